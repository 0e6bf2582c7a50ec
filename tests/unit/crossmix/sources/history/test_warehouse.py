"""A table or a query of a database, by its address."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from components.cache import log_digest
from crossmix.config import load
from crossmix.schema import DataError
from tests.support import services
from tests.support.services import Cluster
from tests.unit.crossmix.sources.history.test_load import PLAIN, assert_same, taken

QUERY = (
    "select date as day, platform, sum(spend) as cost, sum(impressions) as impressions, sum(clicks) as clicks, "
    "sum(conversions) as conversions, sum(revenue) as revenue from marts.daily group by date, platform"
)
NUMBERS = {"spend": float, "impressions": int, "clicks": int, "conversions": int, "revenue": float}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("warehouse") / "store.db"
    with duckdb.connect(str(path)) as made:
        made.register("plain", PLAIN.astype(NUMBERS))
        made.execute("create schema marts; create table marts.daily as select * from plain")
    return path


def test_a_table_of_a_duckdb_file(file: Path) -> None:
    assert_same(taken(f"duckdb://{file}?table=marts.daily"))
    assert_same(taken(f"duckdb://{file}?query={QUERY}"))


@pytest.mark.parametrize("asked", ["?table=daily", "?table=marts.dayly", ""])
def test_who_names_no_table_that_is_there_is_told_which_there_are(asked: str, file: Path) -> None:
    with pytest.raises(DataError, match=r"(?:no table|names no table).*: it has marts\.daily$"):
        taken(f"duckdb://{file}{asked}")


def test_a_schema_that_is_called_as_its_file(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "marts.db")) as made:
        made.register("plain", PLAIN.astype(NUMBERS))
        made.execute("create schema marts.marts; create table marts.marts.daily as select * from plain")
    assert_same(taken(f"duckdb://{tmp_path}/marts.db?table=marts.daily"))


def test_the_same_table_is_the_same_log(file: Path) -> None:
    def key(address: str) -> str:
        return log_digest(load("laptop", ["data.source=spend", f"data.path={address}"]).data)

    assert key(f"duckdb://{file}?table=marts.daily") == key(f"duckdb://{file}?query=select * from marts.daily")
    assert key(f"duckdb://{file}?table=marts.daily") != key(f"duckdb://{file}?query={QUERY}")


@pytest.fixture(scope="module")
def postgres() -> Iterator[Cluster]:
    yield from services.postgres()


def test_a_table_of_postgres(postgres: Cluster) -> None:
    with sa.create_engine(postgres.url).begin() as made:
        made.execute(sa.text("drop schema if exists marts cascade; create schema marts"))
        made.execute(
            sa.text(
                "create table marts.daily (date date, platform text, spend numeric(12, 3), impressions bigint, "
                "clicks bigint, conversions double precision, revenue numeric(12, 2))"
            )
        )
        rows = PLAIN.astype(NUMBERS).to_dict("records")
        names = ", ".join(f":{name}" for name in PLAIN.columns)
        made.execute(sa.text(f"insert into marts.daily values ({names})"), rows)
    address = f"postgres://postgres@127.0.0.1:{postgres.port}/postgres"
    assert_same(taken(f"{address}?table=marts.daily"))
    assert_same(taken(f"{address}?query={QUERY}"))
    with pytest.raises(DataError, match=r"no table 'marts\.monthly'.*: it has (?:.*, )?marts\.daily"):
        taken(f"{address}?table=marts.monthly")
    with pytest.raises(DataError, match=r"data\.path: postgres://.* cannot be read \(.*\); check the address"):
        taken(f"{address}?query=select * from marts.monthly")
    cast = "spend::money as spend"
    with pytest.raises(DataError, match=r"cannot be read \(.*\); cast columns of type money in a query"):
        taken(
            f"{address}?query=select date, platform, {cast}, impressions, clicks, conversions, revenue from marts.daily"
        )


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("duckdb:///nowhere.db?table=x", r"the DuckDB file '/nowhere\.db' does not exist"),
        ("duckdb:///nowhere.db", r"the DuckDB file '/nowhere\.db' does not exist"),
        ("duckdb:///nowhere.db?table=x&query=select 1", r"names both a table and a query; end it with \?table=NAME"),
        ("postgres://me:secret@host/db?table=x", r"the address has a password, which would be written down"),
    ],
)
def test_an_address_that_cannot_be_used_is_said(address: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as refused:
        taken(address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("scheme", "driver", "install"),
    [
        ("postgres", "psycopg", "crossmix[steps]"),
        ("postgresql", "psycopg", "crossmix[steps]"),
        ("mysql", "MySQLdb", "ibis-framework[mysql]"),
    ],
)
def test_a_driver_that_is_not_there_is_named_with_what_installs_it(
    scheme: str, driver: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = f"ibis.backends.{scheme.removesuffix('ql') if driver == 'psycopg' else scheme}"
    monkeypatch.delitem(sys.modules, backend, raising=False)
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(DataError, match=rf"needs a driver of \w+, .*; pip install '{re.escape(install)}'"):
        taken(f"{scheme}://reader@host/db?table=daily")


def test_the_extra_that_is_named_has_the_driver() -> None:
    extras = tomllib.loads((Path(__file__).parents[5] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {"psycopg[binary]", "python-calamine"} <= set(extras["steps"])
