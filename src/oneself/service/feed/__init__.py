"""Changes of profiles that are sent to other systems."""
