"""Profiles and what belongs to them: claims, consents, visits, owned objects."""
