"""Identifiers, identity types, and what stored values identify."""
