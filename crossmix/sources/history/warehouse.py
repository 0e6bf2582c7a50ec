"""A table or a query of a warehouse, by an address that Ibis knows: `duckdb://file.db?table=x`, `postgres://…?query=…`.

The address names the table (`table=schema.name`) or the query (`query=select …`); the rest is Ibis's own. A password
comes from the database's own place (`PGPASSWORD`, `~/.pgpass`), as an address is written down with every run.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from crossmix.schema import DataError
from crossmix.sources.history.sheet import ROWS, Sheet, cell_text
from crossmix.sources.late import ibis

SYSTEM = frozenset(("information_schema", "sys", "mysql", "performance_schema"))
"""Schemas of the database's own."""
SHOWN = 12
"""So many tables are named to who named none."""


def read(address: str) -> tuple[Sheet, str]:
    """The table as text, rows in the order of their text, and a SHA-256 of it.

    Raises:
        DataError: the address has a password, names no table or query, its driver is not installed, or the database
            does not answer.
    """
    url, table, query = _parts(address)
    where = url.partition("?")[0]
    try:
        backend = _connected(url)
        if not query:
            _check_table(backend, table, where)
        found = _asked(backend, table, query)
        if int(found.count().execute()) > ROWS:
            raise DataError(f"data.path: {where} gives more than {ROWS:,} rows; add them up to days in a query")
        result = found.to_pyarrow()
        backend.disconnect()
    except DataError:
        raise
    except ImportError as error:
        scheme = url.partition(":")[0]
        extra = "crossmix[steps]" if scheme == "postgres" else f"ibis-framework[{scheme}]"
        raise DataError(
            f"data.path: {where} needs a driver of {scheme}, which is not installed; pip install '{extra}'"
        ) from error
    except Exception as error:  # every database has errors of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        remedy = "check the address, the table or query, and that you may read it"
        if "Decimal object expected" in reason:  # PostgreSQL's money arrives as text
            remedy = "cast columns of type money in a query (?query=SELECT date, spend::numeric AS spend, …)"
        raise DataError(f"data.path: {where} cannot be read ({reason}); {remedy}") from error
    header = [str(name) for name in result.column_names]
    columns = [[cell_text(value) for value in result.column(at).to_pylist()] for at in range(len(header))]
    rows = sorted(map(list, zip(*columns, strict=True))) if columns else []
    digest = hashlib.sha256(repr((header, rows)).encode()).hexdigest()
    name = table or "query"
    note = f"{len(rows):,} rows of {f'the table {table!r}' if table else 'a query'} are read from {where}."
    return Sheet(f"{where} [{name}]", name.rpartition(".")[2], header, rows, [note]), digest


def _parts(address: str) -> tuple[str, str | None, str | None]:
    """Ibis's address, the table and the query."""
    url = urlsplit(address)
    if url.password is not None:
        raise DataError(
            "data.path: the address has a password, which would be written down with the run; leave it out and set "
            "PGPASSWORD, or what your database has for it"
        )
    given = dict(parse_qsl(url.query.replace("+", "%2B"), keep_blank_values=True))
    table, query = given.pop("table", None), given.pop("query", None)
    if table and query:
        raise DataError(
            f"data.path: {address.partition('?')[0]} names both a table and a query; end it with ?table=NAME or "
            "?query=SELECT…"
        )
    scheme = "postgres" if url.scheme == "postgresql" else url.scheme
    rest = f"?{urlencode(given)}" if given else ""
    return f"{scheme}://{url.netloc}{url.path}{rest}", table, query


def _connected(url: str) -> Any:
    parts = urlsplit(url)
    if parts.scheme != "duckdb":
        return ibis.connect(url)
    file = Path(parts.netloc + parts.path)
    if not file.is_file():
        raise DataError(f"data.path: the DuckDB file {str(file)!r} does not exist; correct the address")
    return ibis.duckdb.connect(file, read_only=True)


def _check_table(backend: Any, table: str | None, where: str) -> None:
    """Raise `DataError` where no table, or one that is not there, is named: with those that are there."""
    there = _tables(backend)
    if table and (not there or table.count(".") > 1 or {table, table.rpartition(".")[2]} & set(there)):
        return
    shown = f"it has {', '.join(there[:SHOWN])}{' and more' if there[SHOWN:] else ''}" if there else "it has none"
    if not table:
        raise DataError(
            f"data.path: {where} names no table and no query; end it with ?table=NAME or ?query=SELECT…: {shown}"
        )
    raise DataError(f"data.path: {where} cannot be read (no table {table!r}); check the table's name: {shown}")


def _tables(backend: Any) -> list[str]:
    """Names of tables and views, with a schema where it is not the one that a bare name means."""
    own, found = backend.current_database, list(backend.list_tables())
    for schema in backend.list_databases():
        if schema != own and schema not in SYSTEM and not schema.startswith("pg_"):
            found += [f"{schema}.{name}" for name in backend.list_tables(database=_within(backend, schema))]
    return found


def _within(backend: Any, schema: str) -> Any:
    """A schema as Ibis takes it: in DuckDB with its catalog, as a file and a schema in it may have one name."""
    return (backend.current_catalog, schema) if backend.name == "duckdb" and "." not in schema else schema


def _asked(backend: Any, table: str | None, query: str | None) -> Any:
    if query:
        return backend.sql(query)
    schema, _, name = str(table).rpartition(".")
    return backend.table(name, database=_within(backend, schema) if schema else None)
