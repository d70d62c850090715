"""The identity configuration as one document: export, diff, apply."""
