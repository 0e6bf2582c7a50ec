"""Step `readapt`."""
