"""What a fitted market leads one to expect of feedback, and from when on a difference is an alarm."""
