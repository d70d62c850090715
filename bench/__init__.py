"""What Oneself costs: written questions, measured beside bare PostgreSQL (DESIGN §13). Not a test."""
