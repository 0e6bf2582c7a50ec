"""The ledger's schema is brought to the newest revision whenever a store opens (`crossmix/ledger/migrations`).

Several replicas may open at once: the first takes a lock of the database and migrates in one transaction, the others
wait and find it done. A database at the newest revision costs one look. A database without a revision is one of before
there were any, or an empty one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

NEWEST = "0008"
"""Revision of `crossmix.ledger.tables`; a test holds it against the files."""
BASELINE = "0001"
FOLDER = Path(__file__).with_name("migrations")
LOCK = 0x63726F73736D6978
"""Of PostgreSQL's advisory locks: "crossmix"."""
PATIENCE = "60s"
"""How long a replica waits on PostgreSQL for another's migration, and a migration's statement may take."""
_ALEMBIC = threading.Lock()
"""Alembic keeps the migration that runs in its modules: one at a time in a process, whatever the database."""


class MigrationError(ValueError):
    """A database that this crossmix cannot use; the message names it and the remedy."""


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to `NEWEST`.

    Raises:
        MigrationError: the database is of a crossmix after this one, or another program's.
    """
    with engine.connect() as connection:
        if _revision(connection) == NEWEST:
            return
    with _ALEMBIC, _locked(engine) as connection:
        if _revision(connection) != NEWEST:
            upgrade(connection)


def upgrade(connection: sa.Connection, target: str = NEWEST) -> None:
    """Run the migrations up to `target`, within the caller's transaction; raises `MigrationError`."""
    # Alembic takes a quarter of a second to import, and most starts find nothing to do.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    revision = _revision(connection)
    if revision is None:
        _check_baseline(connection, scripts.get_revision(BASELINE).module.metadata)
    elif revision not in {script.revision for script in scripts.walk_revisions()}:
        raise MigrationError(
            f"database {_name(connection)}: its revision {revision!r} is unknown to this crossmix; update crossmix, or "
            "name another database"
        )
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)


def _check_baseline(connection: sa.Connection, baseline: sa.MetaData) -> None:
    """Tables of the baseline's names that are there must be the baseline's."""
    schema = sa.inspect(connection)
    for table in baseline.sorted_tables:
        if schema.has_table(table.name):
            columns = {column["name"] for column in schema.get_columns(table.name)}
            missing = sorted(set(table.c.keys()) - columns)
            if missing:
                raise MigrationError(
                    f"database {_name(connection)}: its table {table.name!r} has no column {missing[0]!r}, as another "
                    "program made it; name another database"
                )


def _name(connection: sa.Connection) -> str:
    return connection.engine.url.render_as_string(hide_password=True)


@contextmanager
def _locked(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that no other replica migrates in; committed when the block ends."""
    if engine.dialect.name == "sqlite":
        # The driver begins no transaction before DDL: without its own, each statement would be committed by itself.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()
    else:
        with engine.begin() as connection:
            connection.execute(sa.text(f"SET LOCAL statement_timeout = '{PATIENCE}'"))
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
            yield connection
