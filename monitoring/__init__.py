"""Watching what was served and what came back: findings, the alerts made of them, and the webhook that takes alerts."""
