"""The rules: pure functions on frozen values. Imports nothing of ours, does no I/O (DESIGN §12)."""
