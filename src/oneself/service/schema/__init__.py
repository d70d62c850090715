"""Attributes, datasets, identity types and their bindings."""
