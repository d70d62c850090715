"""Splits and merges that people decide."""
