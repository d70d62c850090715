"""Organisations, applications, accounts, sessions, grants, keys."""
