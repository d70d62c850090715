"""`/t/{org}/api/v1`: what the vendor wires have no word for (DESIGN §9). JSON, snake_case, shape A."""
