"""Step `train`."""
