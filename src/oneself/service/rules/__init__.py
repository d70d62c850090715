"""Unification rules: definition, preview, reindexing."""
