"""Step `ingest`."""
