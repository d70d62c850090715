"""HTTP clients for external systems."""
