"""Alembic's entry: the connection is that of `crossmix.ledger.migrate`, which holds the lock and commits."""

from __future__ import annotations

from alembic import context

from crossmix.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
