"""Step `gate`."""
