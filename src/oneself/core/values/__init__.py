"""Attributes, their values, and the rules for writing and merging them."""
