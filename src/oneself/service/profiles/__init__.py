"""Reading and writing profiles."""
