"""Step `readapt_gate`."""
