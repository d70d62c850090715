"""What every wire shares: guards, bodies, headers, limits, metrics."""
