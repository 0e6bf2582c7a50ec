"""Step `fusion`."""
