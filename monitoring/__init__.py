"""Watching what was served and what came back; findings are told, nothing is changed."""
