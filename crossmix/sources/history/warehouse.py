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
    if bool(table) == bool(query):
        both = "both a table and a query" if table else "no table and no query"
        raise DataError(
            f"data.path: {address.partition('?')[0]} names {both}; end it with ?table=NAME or ?query=SELECT…"
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


def _asked(backend: Any, table: str | None, query: str | None) -> Any:
    if query:
        return backend.sql(query)
    schema, _, name = str(table).rpartition(".")
    return backend.table(name, database=schema or None)
