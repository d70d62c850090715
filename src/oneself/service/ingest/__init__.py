"""The write path: batches of observations, each one transaction."""
