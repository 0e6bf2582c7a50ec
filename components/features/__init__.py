"""Step `features`."""
