"""Step `champion`."""
