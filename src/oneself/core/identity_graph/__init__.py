"""The identity graph: fragments, what joins them, and the views that readers get of it."""
