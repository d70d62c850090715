"""The configuration of a dataset and its changes."""
