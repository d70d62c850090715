"""The admin wire, `/t/{org}/api/v1`: what the vendor wires do not cover. JSON, snake_case, shape A."""
