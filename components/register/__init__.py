"""Step `register`."""
