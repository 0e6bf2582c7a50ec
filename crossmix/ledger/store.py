"""The server's database: campaigns, overrides, feedback, assignments, served splits, experiments, audit.

SQLite in WAL mode on one machine (what is acknowledged has reached the disk), PostgreSQL by URL on a cluster. Whoever
changes campaigns, overrides or experiments adds 1 to `revision` in the same transaction, so that readers learn of a
change by one cheap look. A database that cannot be reached raises `StoreAwayError`, whatever the driver says.

SQLAlchemy stays in this package: others call its functions, and pass on what `change` and `write` give without a look.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from crossmix.clock import Clock, wall
from crossmix.ledger import patience
from crossmix.ledger.migrate import migrate
from crossmix.ledger.tables import identity, revision
from crossmix.ledger.turns import Turns

SQLITE_SECONDS = 10.0
"""How long a transaction waits for SQLite's one writer, for its turn in this process and for the lock together."""
WHOLE = 0.99
"""The part of `SQLITE_SECONDS` from which on what is left to wait is as good as all of it."""
WAITS = {"connect_timeout": 3, "tcp_user_timeout": 5_000, "options": "-c statement_timeout=10000"}
"""libpq's parameters of a PostgreSQL whose URL does not set them: seconds, milliseconds, and a session's options."""


class StoreAwayError(RuntimeError):
    """The database cannot be reached or written to; nothing of the call was kept."""


class StoreUrlError(ValueError):
    """A URL that names no database; the message says why."""


class Store:
    """An engine over a database of the newest schema: an older one is migrated, an empty one made.

    Args:
        url: SQLAlchemy URL, as sqlite:////folder/serving.db or postgresql+psycopg://user@host/name.
        clock: the time at which changes are noted.
        migrated: false for who reads and writes nothing of it: the schema stays, and nothing is connected to yet.

    Raises:
        StoreAwayError: it cannot be reached.
        MigrationError: it is of a crossmix after this one, or another program's.
    """

    def __init__(self, url: str, clock: Clock = wall, *, migrated: bool = True) -> None:
        self.url, self.clock = url, clock
        self.trouble: str | None = None
        """Why the last write failed; `None`: it did not."""
        self.since: float | None = None
        """Of the trouble; seconds, UTC."""
        self._turns, self._wrote = Turns(), -math.inf
        parsed = sa.make_url(url)
        self.kind = parsed.get_backend_name()
        if self.kind == "sqlite":
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(url, connect_args={"timeout": SQLITE_SECONDS})
            event.listen(self.engine, "connect", _durable)
        else:
            # A database that hangs is away too: nothing waits for it for minutes, unless its URL says so.
            waits = {name: value for name, value in WAITS.items() if name not in parsed.query}
            self.engine = sa.create_engine(url, pool_pre_ping=True, pool_timeout=5, connect_args=waits)
        try:
            if migrated:
                with self.translated():
                    migrate(self.engine)
        except BaseException:
            self.close()
            raise

    @classmethod
    def existing(cls, url: str, clock: Clock = wall) -> Store:
        """A database that is there already: reading one must not make it.

        Raises:
            StoreUrlError: the URL, its driver or the file of an SQLite database is none.
            StoreAwayError, MigrationError: as `Store`.
        """
        try:
            parsed = sa.make_url(url)
            if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
                raise StoreUrlError("there is no such file; the server's is serving.db in its folder")
            return cls(url, clock)
        except (sa.exc.ArgumentError, ImportError) as error:
            raise StoreUrlError(f"{error}; give a URL, as sqlite:///folder/serving.db") from None

    def insert_new(self, table: sa.Table, renewed: Sequence[str] = ()) -> Any:
        """INSERT that leaves a row whose primary key is there, but for `renewed`; RETURNING tells which were new."""
        statement = self.insert_or(table)
        if not renewed:
            return statement.on_conflict_do_nothing()
        keys = [column.name for column in table.primary_key]
        values = {name: statement.excluded[name] for name in renewed}
        return statement.on_conflict_do_update(index_elements=keys, set_=values)

    def insert_or(self, table: sa.Table) -> Any:
        """INSERT of this engine's dialect, with `on_conflict_do_update` and `excluded`."""
        return (postgresql.insert if self.kind == "postgresql" else sqlite.insert)(table)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read with; raises `StoreAwayError`."""
        seconds = patience.left(SQLITE_SECONDS)
        with self.translated(), self.engine.connect() as connection, self._waiting(connection, seconds):
            yield connection

    @contextmanager
    def write(self, *, urgent: bool = False) -> Iterator[sa.Connection]:
        """A transaction: committed, and on the disk, when the block ends; raises `StoreAwayError`.

        SQLite has one writer: those of this process take turns, and who is urgent goes before all that wait. What the
        turn took is not waited for again: a lock has what is left of `SQLITE_SECONDS`, or of the caller's `patience`.
        """
        seconds = patience.left(SQLITE_SECONDS)
        last = time.monotonic() + seconds
        turn = self._turns.turn(seconds, urgent) if self.kind == "sqlite" else nullcontext()
        try:
            with (
                self.translated(),
                turn,
                self.engine.begin() as connection,
                self._waiting(connection, max(last - time.monotonic(), 0.0)),
            ):
                yield connection
        except StoreAwayError as error:
            if self.trouble is None:
                self.since = time.time()
            self.trouble = str(error)
            raise
        self.trouble, self.since = None, None
        self._wrote = time.monotonic()

    @contextmanager
    def change(self, *, urgent: bool = False) -> Iterator[sa.Connection]:
        """`write`, and the revision goes up: for campaigns, overrides and experiments."""
        with self.write(urgent=urgent) as connection:
            connection.execute(revision.update().values(number=revision.c.number + 1))
            yield connection

    def probe(self, idle: float) -> None:
        """Find out whether it can be written to, where nobody has for `idle` seconds or the last write failed.

        A database that answers readers and refuses writers is away too; `trouble` says so.
        """
        if self.trouble is None and time.monotonic() - self._wrote < idle:
            return
        try:
            with self.write() as connection:
                connection.execute(revision.update().values(number=revision.c.number))
                if self.trouble is None:
                    # Whether the lock is to be had is known by now: an idle server leaves the disk alone.
                    connection.rollback()
        except StoreAwayError:
            return

    def writable(self, seconds: float) -> None:
        """Raise `StoreAwayError` where it takes no transaction within `seconds`, whoever holds it; nothing is written.

        It takes no turn: a writer of this process that is stuck is found too.
        """
        with self.translated(), self.engine.connect() as connection, self._waiting(connection, seconds):
            if self.kind != "sqlite":
                # One that hangs is found, too.
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = {round(seconds * 1_000)}")
            try:
                connection.execute(revision.update().values(number=revision.c.number))
            finally:
                connection.rollback()

    def identity(self) -> str:
        """Which database it is: 32 hex digits that no other has."""
        with self.read() as connection:
            return str(connection.execute(sa.select(identity.c.id)).scalar_one())

    def revision(self) -> int:
        """Grows with every `change`."""
        with self.read() as connection:
            return int(connection.execute(sa.select(revision.c.number)).scalar_one())

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _waiting(self, connection: sa.Connection, seconds: float) -> Iterator[None]:
        """The block's statements wait for a lock for so long at most; where that is all, the connection's own limit
        stands."""
        if seconds >= WHOLE * SQLITE_SECONDS:
            yield
            return
        limit = round(seconds * 1_000)
        if self.kind != "sqlite":
            # Not what a statement takes: that it may be waited for no more is no reason to end it. 0 is for ever.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(limit, 1)}")
            yield
            return
        before = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
        connection.exec_driver_sql(f"PRAGMA busy_timeout={limit}")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={before}")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What the driver raises in the block as `StoreAwayError`, but for a statement's own faults."""
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError) as error:
            if isinstance(error, sa.exc.IntegrityError | sa.exc.DataError | sa.exc.ProgrammingError):
                raise
            cause = getattr(error, "orig", None) or error
            where = self.engine.url.render_as_string(hide_password=True)
            raise StoreAwayError(f"database {where}: {str(cause).strip().splitlines()[0]}") from error


def _durable(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Turn the write-ahead log on, once in a database's life.

    SQLite does not wait for a lock here, whatever the connection's timeout: of two replicas that make a database
    together one is told that it is locked, and tries again.
    """
    last = time.monotonic() + SQLITE_SECONDS
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > last:
                raise
            time.sleep(0.02)
