"""Step `deploy`."""
