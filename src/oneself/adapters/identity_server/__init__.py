"""Clients of external identity servers and token issuers."""
