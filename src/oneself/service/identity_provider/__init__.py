"""The identity provider's claims and reports."""
