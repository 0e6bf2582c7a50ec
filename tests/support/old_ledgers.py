"""A database of the commit before migrations (`ledger_before`), on SQLite or PostgreSQL, and what that said of it."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

FOLDER = Path(__file__).with_name("ledger_before")


def figures() -> dict[str, Any]:
    """What that commit's own code said of the database."""
    found: dict[str, Any] = json.loads((FOLDER / "figures.json").read_text())
    return found


def fill(url: str) -> None:
    """Make that database in an empty one."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.executescript((FOLDER / "sqlite.sql").read_text())
        connection.close()
    else:
        _fill_postgresql(url)


def _fill_postgresql(url: str) -> None:
    """The rows of the SQLite dump in that commit's PostgreSQL tables."""
    source = sqlite3.connect(":memory:")
    source.row_factory = sqlite3.Row
    source.executescript((FOLDER / "sqlite.sql").read_text())
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql((FOLDER / "postgresql.sql").read_text())
        tables = sa.MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            names = ", ".join(f'"{column.name}"' for column in table.c)
            # JSON as the text that it is: its null and SQL's are two things.
            values = ", ".join(
                f"CAST(%({column.name})s AS {column.type.compile(engine.dialect)})" for column in table.c
            )
            for row in source.execute(f'SELECT * FROM "{table.name}"'):
                parameters = {column.name: _value(row[column.name], column.type) for column in table.c}
                connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) VALUES ({values})', parameters)
        # The dump's ids were not given out by this sequence.
        connection.exec_driver_sql("SELECT setval('audit_id_seq', (SELECT max(id) FROM audit))")
    engine.dispose()
    source.close()


def _value(value: Any, kind: sa.types.TypeEngine[Any]) -> Any:
    """A value of the dump for PostgreSQL: SQLite drops zones, and knows a JSON number and a truth value as integers."""
    if value is None:
        return None
    if isinstance(kind, sa.DateTime):
        return datetime.fromisoformat(f"{value}+00:00")
    if isinstance(kind, sa.JSON):
        return str(value)
    return bool(value) if isinstance(kind, sa.Boolean) else value
