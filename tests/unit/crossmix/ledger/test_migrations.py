"""The ledger's schema and its migrations, on SQLite and PostgreSQL: nothing of an older database is lost."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from crossmix.ledger import audit, campaigns, experiments, feedback, migrate, tables
from crossmix.ledger import store as store_module
from crossmix.ledger.migrate import MigrationError
from crossmix.ledger.served import last_splits
from crossmix.ledger.store import Store
from serving.experiment.verdict import status
from tests.support import old_ledgers

PLATFORMS = ("search", "social")
TOTALS = 178
"""Different campaign, arm, cycle, platform and cycle known among that database's events."""
RENAMED = {"who": "actor", "why": "reason", "always-valid": "always_valid"}


def _schema(url: str) -> dict[str, Any]:
    """Columns, keys and indexes of every table but Alembic's own."""
    engine = sa.create_engine(url)
    found = sa.inspect(engine)
    schema = {
        name: (
            {
                column["name"]: (str(column["type"]), column["nullable"], column.get("comment"))
                for column in found.get_columns(name)
            },
            found.get_pk_constraint(name)["constrained_columns"],
            sorted((index["name"] or "", index["column_names"]) for index in found.get_indexes(name)),
        )
        for name in found.get_table_names()
        if name != "alembic_version"
    }
    engine.dispose()
    return schema


def _revision(url: str) -> str | None:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    engine.dispose()
    return found


def test_a_fresh_database_is_that_of_the_tables(empty: str) -> None:
    store = Store(empty)
    with store.read() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata) == []
    assert store.revision() == 0
    store.close()
    scripts = ScriptDirectory(str(migrate.FOLDER))
    assert scripts.get_heads() == [migrate.NEWEST] == [_revision(empty)]


def test_the_baseline_is_the_schema_of_the_commit_before(empty: str, tmp_path: Path) -> None:
    engine = sa.create_engine(empty)
    with engine.begin() as connection:
        migrate.upgrade(connection, migrate.BASELINE)
    made = _schema(empty)
    with engine.begin() as connection:
        for name in (*made, "alembic_version"):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    engine.dispose()
    old_ledgers.fill(empty)
    assert made == _schema(empty)


def _renamed(found: Any) -> Any:
    """Under the names of now."""
    if isinstance(found, dict):
        return {RENAMED.get(key, key.replace(" ", "_")): _renamed(value) for key, value in found.items()}
    return [_renamed(one) for one in found] if isinstance(found, list) else found


CHANGED = {"line", "by_figure", "guardrails", "notes"}
"""What is told otherwise now: guardrails have a level of their own, a p is that of its interval."""
PRICED = {"planned", "roi", "utilisation", "dynamic_reward"}
"""What a planned budget is part of."""


ENDED = {
    "the router has seen no user: every question named its arm, or the experiment has just begun.": (
        "the router saw no user of it before its end: every question named its arm."
    ),
    "0 finished cycles with feedback; 3 are needed: 3 more": (
        "0 finished cycles with feedback by its end; 3 were needed"
    ),
}
"""Sentences that ask for more, and what is said instead of one that has ended."""


def _still(figures: Any, but: set[str]) -> Any:
    """What has not changed on purpose."""
    if isinstance(figures, list):
        return [_still(one, but) for one in figures]
    if not isinstance(figures, dict):
        return figures
    hidden = but | ({"p"} if "figures" in figures else set())
    return {key: _still(value, but) for key, value in figures.items() if key not in hidden}


def _assert_same(found: Any, before: Any, path: str = "") -> None:
    """What was told before is told now, and equal; ratios within what another processor's logarithm may do."""
    if isinstance(before, dict):
        assert before.keys() <= found.keys(), path
        for key in before:
            _assert_same(found[key], before[key], f"{path}.{key}")
    elif isinstance(before, list):
        assert len(found) == len(before), path
        for number, one in enumerate(before):
            _assert_same(found[number], one, f"{path}[{number}]")
    elif isinstance(before, float):
        assert math.isclose(found, before, rel_tol=1e-12), (path, found, before)
    else:
        assert found == before, path


def test_a_database_of_the_commit_before_loses_nothing(empty: str) -> None:
    before = old_ledgers.figures()
    old_ledgers.fill(empty)
    store = Store(empty)
    assert _revision(empty) == migrate.NEWEST
    assert store.revision() == before["revision"]
    with store.read() as connection:
        count = sa.func.count()
        rows = {
            table.name: connection.execute(sa.select(count).select_from(table)).scalar()
            for table in tables.metadata.sorted_tables
        }
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    assert rows.pop("identity") == 1
    assert rows.pop("canaries") == 0
    assert rows.pop("quarantine") == rows.pop("watched") == 0
    assert rows.pop("totals") == TOTALS
    assert rows.pop("feedback_state") == 2 * len(before["campaigns"])
    assert [rows.pop(name) for name in ("alerts", "runs", "outbox")] == [0, 0, 0]
    assert rows == before["rows"]
    listed = [{**one, "timezone": None} for one in _renamed(before["campaigns"])]
    assert [one.as_dict() for one in campaigns.load_all(store).values()] == listed
    assert [one.as_dict() for one in audit.trail(store)] == _renamed(before["audit"])

    for name, figures in before["totals"].items():
        found = feedback.totals(store, name, PLATFORMS).values
        for quantity, total_ACP in figures.items():
            np.testing.assert_array_equal(found[quantity], np.array(total_ACP, float), strict=True)
    for name, figures in before["statistics"].items():
        increments = [
            [one.known, one.cycle, one.slot, *one.delivered, *one.arrived]
            for one in feedback.increments(store, name, "policy", PLATFORMS)
        ]
        assert sorted(increments) == figures["increments"]
        splits = last_splits(store, name, "policy", PLATFORMS)
        assert {str(cycle): [*one.share_P.tolist(), one.budget] for cycle, one in splits.items()} == figures["splits"]

    for name, figures in before["status"].items():
        text = json.dumps(_renamed(figures))
        for asked, said in ENDED.items():
            text = text.replace(asked, said)
        figures = json.loads(text)
        found = json.loads(json.dumps(status(store, name, datetime.fromisoformat(before["now"]))))
        # Who ended it is a field now, and the line says so.
        assert found["experiment"]["ended_by"] == {"first": "guardrail", "second": None, "third": "anna"}[name]
        if name == "first":
            assert found["verdict"]["line"] == f"Ended after 6 of 14 cycles by {figures['experiment']['reason']}."
            # A budget that was raised afterwards no longer changes what these cycles had: 1,400 a cycle, 70 : 30.
            assert figures["arms"]["policy"]["planned"] == pytest.approx(6 * 0.7 * 1_500)
            assert [found["arms"][arm]["planned"] for arm in ("policy", "control")] == pytest.approx([5_880, 2_520])
        assert found["verdict"]["word"] == figures["verdict"]["word"]
        _assert_same(found, _still(figures, CHANGED | (PRICED if name == "first" else set())), name)
    store.close()


def test_an_audit_entry_made_after_the_migration_comes_after_the_old_ones(empty: str) -> None:
    old_ledgers.fill(empty)
    store = Store(empty)
    audit.note(store, "anna", "bundle.serve", "version 4", None, None, "later")
    entries = audit.trail(store)
    assert [entry.id for entry in entries] == list(range(13, 0, -1))
    assert (entries[0].actor, entries[0].reason) == ("anna", "later")
    store.close()


def test_without_an_audit_entry_the_reasons_beginning_tells_who_ended_it(empty: str) -> None:
    old_ledgers.fill(empty)
    engine = sa.create_engine(empty)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit WHERE action = 'experiment.end'")
    engine.dispose()
    store = Store(empty)
    ended_by = {name: experiments.get(store, name).ended_by for name in ("first", "second", "third")}
    assert ended_by == {"first": "guardrail", "second": None, "third": None}
    store.close()


def test_a_first_start_that_was_cut_off_is_completed(empty: str) -> None:
    old_ledgers.fill(empty)
    engine = sa.create_engine(empty)
    with engine.begin() as connection:
        for name in ("served", "pushed", "revision"):
            connection.exec_driver_sql(f"DROP TABLE {name}")
    engine.dispose()
    store = Store(empty)
    assert store.revision() == 0
    assert len(campaigns.load_all(store)) == 2
    assert last_splits(store, "spring", "policy", PLATFORMS) == {}
    store.close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old_ledgers.fill(empty)
    before = _schema(empty)

    def cut_off(connection: sa.Connection) -> None:
        whole(connection)
        raise KeyboardInterrupt

    whole = migrate.upgrade
    monkeypatch.setattr(migrate, "upgrade", cut_off)
    with pytest.raises(KeyboardInterrupt):
        Store(empty)
    assert _schema(empty) == before
    monkeypatch.undo()
    store = Store(empty)
    assert len(audit.trail(store)) == 12
    store.close()


def test_a_database_of_a_later_crossmix_is_refused_and_left_alone(empty: str) -> None:
    Store(empty).close()
    engine = sa.create_engine(empty)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0009'")
    name = engine.url.render_as_string(hide_password=True)
    with pytest.raises(MigrationError) as refused:
        Store(empty)
    assert str(refused.value) == (
        f"database {name}: its revision '0009' is unknown to this crossmix; update crossmix, or name another database"
    )
    with engine.begin() as connection:  # nobody holds a lock
        assert connection.exec_driver_sql("UPDATE revision SET number = 3").rowcount == 1
    engine.dispose()
    assert _revision(empty) == "0009"


def test_another_programs_tables_are_refused(empty: str) -> None:
    engine = sa.create_engine(empty)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE experiments (experiment_id INTEGER, name VARCHAR(256))")
    with pytest.raises(
        MigrationError, match="its table 'experiments' has no column 'days', as another program made it"
    ):
        Store(empty)
    assert sa.inspect(engine).get_table_names() == ["experiments"]
    engine.dispose()


OPENER = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from crossmix.ledger import store as stores
from crossmix.ledger.store import Store
from crossmix.ledger.audit import trail
stores.SQLITE_SECONDS = 300.0  # however long the two before take on a busy machine
url, go = sys.argv[1], Path(sys.argv[2])
import alembic.command
print("ready", flush=True)
while not go.exists():
    time.sleep(0.001)
store = Store(url)
print(len(trail(store)), store.revision())
"""


@pytest.mark.parametrize("old", [True, False])
def test_replicas_that_start_at_once_migrate_once(empty: str, tmp_path: Path, old: bool) -> None:
    if old:
        old_ledgers.fill(empty)
    go = tmp_path / "go"
    command = [sys.executable, "-c", OPENER, empty, str(go)]
    replicas = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for replica in replicas:
        assert replica.stdout is not None
        assert replica.stdout.readline() == "ready\n"
    go.touch()
    told = [replica.communicate(timeout=300)[0] for replica in replicas]
    assert [replica.returncode for replica in replicas] == [0] * 3
    assert told == ["12 9\n" if old else "0 0\n"] * 3
    assert _revision(empty) == migrate.NEWEST


def test_replicas_turn_the_write_ahead_log_on_together(tmp_path: Path) -> None:
    """SQLite answers "database is locked" there without waiting; without a second try about 1 round of 12 fails."""
    errors: list[Exception] = []

    def connect(path: Path, together: threading.Barrier) -> None:
        connection = sqlite3.connect(path, timeout=10)
        together.wait()
        try:
            store_module._durable(connection, None)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        except sqlite3.OperationalError as error:
            errors.append(error)
        finally:
            connection.close()

    for number in range(60):
        path = tmp_path / f"{number}.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE rows (x)")
            connection.commit()
        together = threading.Barrier(6)
        threads = [threading.Thread(target=connect, args=(path, together)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []


def test_a_refusal_names_the_database_without_its_password() -> None:
    engine = sa.create_engine("postgresql+psycopg://crossmix:secret@127.0.0.1/ledger")
    assert migrate._name(SimpleNamespace(engine=engine)) == "postgresql+psycopg://crossmix:***@127.0.0.1/ledger"  # type: ignore[arg-type]
