"""What pages share: static files, headers."""
