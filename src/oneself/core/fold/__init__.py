"""Applying plans to profiles, and replaying them from the log."""
