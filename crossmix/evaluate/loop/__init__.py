"""A served market in fast time: its arms by day, what they report, what breaks in that, and the picture of it."""
