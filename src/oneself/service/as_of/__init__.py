"""Profiles as they were at an instant."""
