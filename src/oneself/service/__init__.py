"""The use-cases: one transaction each. Gather from the store, decide in core, apply to the store."""
