"""Previews of changes of settings: the change itself, made on a copy of the profiles that it concerns."""
