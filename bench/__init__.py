"""Benchmarks: written questions, measured beside bare PostgreSQL. These are not tests."""
