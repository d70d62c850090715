"""What a dataset looks like as a whole, and whether what it needs works."""
