"""Step `feedback`."""
