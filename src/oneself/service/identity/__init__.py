"""The identity configuration of datasets."""
