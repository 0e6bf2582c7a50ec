"""`crossmix loop`: server, monitor, webhook and re-adaptation as processes here, in lock-step by one clock."""
