"""Step `market`."""
