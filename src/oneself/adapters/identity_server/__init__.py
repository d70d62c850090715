"""Clients for external identity servers and token issuers."""
