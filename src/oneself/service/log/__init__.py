"""Checks on the log: verify, rebuild, audit."""
