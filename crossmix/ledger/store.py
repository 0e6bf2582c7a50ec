"""The server's database: campaigns, overrides, feedback, assignments, served splits, experiments, audit.

SQLite in WAL mode on one machine (what is acknowledged has reached the disk), PostgreSQL by URL on a cluster. Whoever
changes campaigns, overrides or experiments adds 1 to `revision` in the same transaction, so that readers learn of a
change by one cheap look. A database that cannot be reached raises `StoreAwayError`, whatever the driver says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

metadata = sa.MetaData()
Moment = sa.DateTime(timezone=True)
"""UTC; `utc` reads it back with its zone, which SQLite drops."""

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("campaign_id", sa.String(200), primary_key=True),
    sa.Column("currency", sa.String(40), nullable=False),
    sa.Column("cycle_budget", sa.Float, nullable=False, comment="of both arms together, currency per cycle"),
    sa.Column("share", sa.JSON, nullable=False, comment="platform -> share of the static split, sums to 1"),
    sa.Column("limits", sa.JSON, nullable=False, comment="platform -> {min, max, step, freeze}"),
    sa.Column("starts", Moment, nullable=False, comment="start of cycle 0"),
    sa.Column("cycles", sa.Integer, nullable=False, comment="planned cycles"),
    sa.Column("cycle_hours", sa.Float, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
)

overrides = sa.Table(
    "overrides",
    metadata,
    sa.Column("campaign_id", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(10), nullable=False, comment="static (kill switch) or given"),
    sa.Column("share", sa.JSON, nullable=True, comment="platform -> share of a given split"),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("why", sa.String(1_000), nullable=False),
    sa.Column("at", Moment, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Moment, nullable=False, index=True),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("action", sa.String(50), nullable=False, comment="as campaign.edit, override.set, bundle.promote"),
    sa.Column("subject", sa.String(200), nullable=False, comment="campaign, version or experiment"),
    sa.Column("before", sa.JSON, nullable=True),
    sa.Column("after", sa.JSON, nullable=True),
    sa.Column("why", sa.String(1_000), nullable=False, default=""),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("event_id", sa.String(200), primary_key=True),
    sa.Column("received", Moment, nullable=False),
    sa.Column("campaign_id", sa.String(200), nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("platform", sa.String(200), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False, comment="of the impressions"),
    sa.Column("known", sa.Integer, nullable=False, comment="cycle in which it was received: later for late ones"),
    sa.Column("user", sa.String(64), nullable=True, comment="keyed hash, never the id"),
    sa.Column("requests", sa.Float, nullable=True, comment="auction requests; null: not told"),
    sa.Column("impressions", sa.Float, nullable=False),
    sa.Column("clicks", sa.Float, nullable=False),
    sa.Column("conversions", sa.Float, nullable=False),
    sa.Column("revenue", sa.Float, nullable=False, comment="currency"),
    sa.Column("spend", sa.Float, nullable=False, comment="currency"),
    sa.Index("events_by_cycle", "campaign_id", "arm", "cycle"),
    sa.Index("events_by_known", "campaign_id", "arm", "known"),
    comment="increments of delivery outcomes, each counted once",
)

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("experiment", sa.String(200), primary_key=True),
    sa.Column("user", sa.String(64), primary_key=True, comment="keyed hash, never the id"),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("bucket", sa.Integer, nullable=False),
    sa.Column("first_seen", Moment, nullable=False),
)

served = sa.Table(
    "served",
    metadata,
    sa.Column("allocation_id", sa.String(64), primary_key=True, comment="digest of the row's content"),
    sa.Column("at", Moment, nullable=False),
    sa.Column("campaign_id", sa.String(200), nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("bundle", sa.String(64), nullable=False, comment="digest"),
    sa.Column("budget", sa.Float, nullable=False, comment="of the arm's cycle, currency"),
    sa.Column("share", sa.JSON, nullable=False, comment="platform -> share, after exploration and limits"),
    sa.Column("state", sa.LargeBinary, nullable=True, comment="640 float32, little-endian; null for a static split"),
    sa.Column("logits", sa.JSON, nullable=True, comment="as sampled, slot order; null: not explored"),
    sa.Column("log_density", sa.Float, nullable=True, comment="ln p(logits | state) of the served Gaussian"),
    sa.Column("override", sa.String(10), nullable=True),
    sa.Index("served_by_cycle", "campaign_id", "arm", "cycle"),
    comment="each split that was served: what online learning and off-policy estimates read beside events",
)

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("salt", sa.String(200), nullable=False),
    sa.Column("weights", sa.JSON, nullable=False, comment="arm -> share of users and budget"),
    sa.Column("started", Moment, nullable=False),
    sa.Column("days", sa.Integer, nullable=False, comment="planned cycles"),
    sa.Column("level", sa.Float, nullable=False),
    sa.Column("ended", Moment, nullable=True),
    sa.Column("why", sa.String(1_000), nullable=True, comment="why it ended; a guardrail's sentence"),
)

pushed = sa.Table(
    "pushed",
    metadata,
    sa.Column("campaign_id", sa.String(200), primary_key=True),
    sa.Column("arm", sa.String(20), primary_key=True),
    sa.Column("cycle", sa.Integer, nullable=False, comment="newest cycle whose statistics went to the feature store"),
)

revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)


class StoreAwayError(RuntimeError):
    """The database cannot be reached or written to; nothing of the call was kept."""


class Store:
    """An engine with the tables made.

    Args:
        url: SQLAlchemy URL, as sqlite:////folder/serving.db or postgresql+psycopg://user@host/name.

    Raises:
        StoreAwayError: it cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = sa.make_url(url)
        self.kind = parsed.get_backend_name()
        if self.kind == "sqlite":
            if parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(url, connect_args={"timeout": 10.0})
            event.listen(self.engine, "connect", _durable)
        else:
            # A database that hangs is away too: nothing waits for it for minutes.
            waits = {"connect_timeout": 3, "tcp_user_timeout": 5_000, "options": "-c statement_timeout=10000"}
            self.engine = sa.create_engine(url, pool_pre_ping=True, pool_timeout=5, connect_args=waits)
        self.create()

    def create(self) -> None:
        """Make the tables that are missing."""
        with self._told():
            try:
                metadata.create_all(self.engine)
            except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
                # Another replica makes them at the same moment: what is missing now is made, or is an error.
                metadata.create_all(self.engine)
            with self.engine.begin() as connection:
                connection.execute(self.insert_new(revision), {"id": 1, "number": 0})

    def insert_new(self, table: sa.Table, renewed: Sequence[str] = ()) -> Any:
        """INSERT that leaves a row whose primary key is there, but for `renewed`; RETURNING tells which were new."""
        insert = postgresql.insert if self.kind == "postgresql" else sqlite.insert
        made = insert(table)
        if not renewed:
            return made.on_conflict_do_nothing()
        keys = [column.name for column in table.primary_key]
        return made.on_conflict_do_update(index_elements=keys, set_={name: made.excluded[name] for name in renewed})

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read with; raises `StoreAwayError`."""
        with self._told(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: committed, and on the disk, when the block ends; raises `StoreAwayError`."""
        with self._told(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[sa.Connection]:
        """`write`, and the revision goes up: for campaigns, overrides and experiments."""
        with self.write() as connection:
            connection.execute(revision.update().values(number=revision.c.number + 1))
            yield connection

    def revision(self) -> int:
        """Grows with every `change`."""
        with self.read() as connection:
            return int(connection.execute(sa.select(revision.c.number)).scalar_one())

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
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
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
