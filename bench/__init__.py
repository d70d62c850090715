"""What Oneself costs: written questions, measured beside bare PostgreSQL (DESIGN §13). Never part of the tests."""
