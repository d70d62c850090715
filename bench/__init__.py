"""Measurements: written questions, answered beside bare PostgreSQL. These are not tests."""
