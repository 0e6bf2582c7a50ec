"""Locks that all processes of a cluster share: PostgreSQL's advisory locks, of the ledger's database.

PostgreSQL frees a lock when the connection that took it ends, however it ends. A pooler between them that hands a
connection on after each transaction (PgBouncer's `transaction`) would lose it: name the database itself. On SQLite
there is one machine, which has its own means; there these locks are always free.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from crossmix.ledger.store import Store, StoreAwayError

_log = logging.getLogger(__name__)
PUSHER = 0x63726F7373707573
""""crosspus": whoever holds it pushes finished cycles."""
REGISTRY = 0x63726F7373726567
""""crossreg": whoever holds it moves the registry's aliases, or adds a version."""
KEEPALIVE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}
"""Of PostgreSQL: a leader whose machine is gone has lost its lock after 25 s, not after hours."""


class Lead:
    """One of several processes leads, for as long as it lives and its database knows it.

    Args:
        name: of the lock, 63 bits.
    """

    def __init__(self, name: int) -> None:
        self._name = name
        self._turn = threading.Lock()
        self._connection: sa.Connection | None = None
        self.terms = 0
        """How often it began to lead."""

    def held(self, store: Store) -> bool:
        """Whether this process leads, as the database says now; it begins to where nobody does.

        Raises:
            StoreAwayError: the database is away; then nobody knows, and this process does not lead.
        """
        if store.kind != "postgresql":
            self.terms = 1
            return True
        with self._turn:
            if self._connection is not None and self._knows(self._connection):
                return True
            with store.translated():
                connection = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                for name, value in KEEPALIVE.items():
                    connection.execute(sa.text(f"SET {name} = {value}"))
                if connection.execute(sa.select(sa.func.pg_try_advisory_lock(self._name))).scalar_one():
                    self._connection, self.terms = connection, self.terms + 1
                    return True
                connection.close()
        return False

    def free(self) -> None:
        """Let another lead."""
        with self._turn:
            if self._connection is not None:
                self._drop(self._connection)

    def _knows(self, connection: sa.Connection) -> bool:
        """Whether the connection that took the lock is there; a new one in its place would hold nothing."""
        try:
            connection.execute(sa.select(sa.literal(1)))
        except sa.exc.SQLAlchemyError as error:
            _log.warning("the lock is lost with its connection: %s", str(error).splitlines()[0])
            self._drop(connection)
            return False
        return True

    def _drop(self, connection: sa.Connection) -> None:
        self._connection = None
        _end(connection, self._name)


@contextmanager
def alone(store: Store, name: int, seconds: float) -> Iterator[None]:
    """Hold a lock for the block; others wait for it.

    Args:
        name: of the lock, 63 bits.
        seconds: how long to wait.

    Raises:
        StoreAwayError: the database is away, or the lock was not free within `seconds`.
    """
    if store.kind != "postgresql":
        yield
        return
    with store.translated():
        connection = store.engine.connect()
    try:
        with store.translated():
            try:
                connection.execute(sa.text(f"SET LOCAL statement_timeout = {round(seconds * 1_000)}"))
                connection.execute(sa.select(sa.func.pg_advisory_lock(name)))
                connection.commit()
            except sa.exc.OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != "57014":  # canceled by the timeout
                    raise
                where = store.engine.url.render_as_string(hide_password=True)
                raise StoreAwayError(f"database {where}: its lock {name:x} was not free within {seconds:g} s") from None
        yield
    finally:
        _end(connection, name)


def _end(connection: sa.Connection, name: int) -> None:
    """Free a lock now, where its connection is there, and end that: one that went back into the pool might keep it."""
    with suppress(sa.exc.SQLAlchemyError):
        connection.execute(sa.select(sa.func.pg_advisory_unlock(name)))
    connection.invalidate()
    connection.close()
