"""The end of a run on a cluster; no step: it has no key and no result."""
