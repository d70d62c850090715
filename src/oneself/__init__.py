"""Oneself: one profile for every person, however they arrive."""

__version__ = "0.1.0"
