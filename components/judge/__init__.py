"""Step `judge`."""
