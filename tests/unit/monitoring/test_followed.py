"""A look that goes on from what earlier ones kept shows what one at the whole history shows, to the last bit."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from crossmix.feedback import Feedback
from crossmix.ledger import feedback, quarantine, returned, tables, watched
from crossmix.ledger.feedback import Event
from crossmix.ledger.store import Store
from crossmix.market.shift import shift
from monitoring.followed import Look, take
from tests.support import watching
from tests.support.watching import DAY, START

HOUR = timedelta(hours=1)
NAME = "residuals@24h"
NOT_ASKED = (
    *("mlflow", "evidently", "duckdb", "ibis", "transformers", "matplotlib", "sklearn", "scipy", "pandas", "pyarrow"),
    *("onnxruntime", "feast", "kfp", "kserve", "fastapi", "alembic.command"),
    *("crossmix.evaluate.play", "crossmix.evaluate.watch.quiet", "crossmix.market.environment"),
)
"""Modules that cost a look memory or time and tell it nothing."""
DIGEST = "d" * 64


@pytest.fixture(scope="module")
def dear() -> dict[str, Feedback]:
    """Prices on p1 double from cycle 12 on."""
    world = shift(watching.market(), "price_shock", platforms="p1", size=2.0, start=12)
    return watching.flown(world, 20, 3)


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = watching.begun(database)
    yield opened
    opened.close()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """How many rows each look reads; `None`: all."""
    rows: list[int | None] = []
    ours = returned.read

    def counted(*given: object, **named: object) -> object:
        rows.append(named["newest"])  # type: ignore[arg-type]
        return ours(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(returned, "read", counted)
    return rows


def looked(store: Store, days: int, name: str = NAME, settle: int = 3, digest: str = DIGEST) -> Look:
    found = take(store, START + days * DAY + HOUR, name, settle, watching.expectation(), digest)
    assert found is not None
    return found


def assert_as_anew(store: Store, days: int, found: Look) -> None:
    """As a look shows that has nothing to go on from."""
    anew = looked(store, days, f"anew {days} {found.fresh}")
    with store.write() as connection:
        connection.execute(tables.watched.delete().where(tables.watched.c.name.startswith("anew")))
    for state, other in zip(found.after.state, anew.after.state, strict=True):
        np.testing.assert_array_equal(state.numpy(), other.numpy())
    for track, theirs in zip(found.after.track, anew.after.track, strict=True):
        np.testing.assert_array_equal(track, theirs)
    np.testing.assert_array_equal(found.after.z_NPQ, anew.after.z_NPQ)
    both = found.shown.tables(), anew.shown.last(len(found.shown)).tables()
    for name in both[0]:
        np.testing.assert_array_equal(both[0][name], both[1][name], name)


def test_a_daily_look_reads_the_day_that_is_new_and_shows_what_all_show(
    store: Store, dear: dict[str, Feedback], read: list[int | None]
) -> None:
    for days in range(1, 17):
        watching.report(store, dear, days - 1, days)
        found = looked(store, days)
        assert read.pop() == (None if days == 1 else 1)
        assert found.fresh == min(days, 4)
        assert_as_anew(store, days, found)
        read.clear()
        again = looked(store, days)
        assert read == []
        assert (again.fresh, again.shown.cycle_T.tolist()) == (min(days, 3), found.shown.cycle_T.tolist()[-9:])
    with store.read() as connection:
        names = connection.execute(sa.select(tables.watched.c.name)).scalars().all()
    # What is believed after the last three cycles and before them; what each of the last nine shows.
    assert len(names) == 1 + 4 + 9


def test_a_daily_look_asks_each_table_once_and_keeps_one_cycle(store: Store, dear: dict[str, Feedback]) -> None:
    watching.report(store, dear, 0, 12)
    looked(store, 12)
    watching.report(store, dear, 12, 13)
    asked: list[str] = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    looked(store, 13)
    read = Counter(table for text in asked for table in re.findall(r"FROM (\w+)", text) if text.startswith("SELECT"))
    # Of totals what has changed and what is new, of splits whether any was noted late and those of the new cycle; a
    # belief and its head beside what the last cycles showed; no limits, no overrides.
    assert read == {
        **{"campaigns": 1, "totals": 2, "served": 2, "watched": 3, "feedback_state": 1, "quarantine": 2, "audit": 1},
        **{"experiments": 2, "canaries": 2},
    }
    # What is believed after the new cycle, what it shows, and the head.
    assert [text.split()[0] for text in asked if not text.startswith("SELECT")] == ["DELETE", *["INSERT"] * 3]


def test_who_looks_imports_neither_simulator_nor_frameworks(tmp_path: Path, dear: dict[str, Feedback]) -> None:
    url = f"sqlite:///{tmp_path / 'serving.db'}"
    with closing(watching.begun(url)) as store:
        watching.report(store, dear, 0, 3)
    (tmp_path / "watch.npz").write_bytes(watching.expectation().as_bytes())
    code = f"""
import sys
from datetime import datetime
from pathlib import Path
from benchmarks._look import look
assert look(Path({str(tmp_path)!r}), datetime.fromisoformat({(START + 3 * DAY + HOUR).isoformat()!r}))["cycles"] == 3
print(*sorted(set({NOT_ASKED!r}) & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def late(store: Store, cycle: int, known: int, **changes: object) -> None:
    where = {"campaign_id": "c0", "arm": "policy", "platform": "p1", "user": None, "requests": 40.0, "clicks": 3.0}
    amounts = {"impressions": 20.0, "conversions": 0.0, "revenue": 0.0, "spend": 5.0}
    told = {"event_id": f"late {cycle} {known}", "cycle": cycle, "known": known, **where, **amounts, **changes}
    feedback.insert(store, [Event(**told)], START + known * DAY + 2 * HOUR)  # type: ignore[arg-type]


def correct(store: Store, cycle: int, known: int) -> None:
    late(store, cycle, known, replaces=f"c0/policy/p1/{cycle}", reason="wrong")


def hold(store: Store, cycle: int, known: int) -> None:
    entry = quarantine.Entry(
        *("c0", "policy", "p1", cycle, "impossible", "requests", 1.0, 9.0, -9.0, "", START),
        *(quarantine.HELD, quarantine.GUARD, "", START),
    )
    quarantine.update(store, [entry], [], START + known * DAY)


@pytest.mark.parametrize("change", [late, correct, hold])
@pytest.mark.parametrize(("cycle", "rows"), [(12, 2), (11, 3), (10, 4), (9, None), (2, None)])
def test_where_the_past_is_another_it_is_followed_from_before_that(
    store: Store, dear: dict[str, Feedback], read: list[int | None], change: object, cycle: int, rows: int | None
) -> None:
    watching.report(store, dear, 0, 13)
    before = looked(store, 13)
    change(store, cycle, 13)  # type: ignore[operator]
    watching.report(store, dear, 13, 14)
    read.clear()
    found = looked(store, 14)
    assert read == [rows]
    assert (found.trouble, found.fresh) == ("", 4)
    assert_as_anew(store, 14, found)
    assert not np.array_equal(before.after.z_NPQ, found.after.z_NPQ[:13])


def test_days_that_were_missed_are_told_all(store: Store, dear: dict[str, Feedback], read: list[int | None]) -> None:
    watching.report(store, dear, 0, 9)
    looked(store, 9)
    watching.report(store, dear, 9, 17)
    found = looked(store, 17)
    assert read == [None, 8]
    assert found.fresh == 11
    assert_as_anew(store, 17, found)
    assert found.shown.looked.alarms[-5:].any()


def test_another_bundle_or_an_earlier_moment_begins_anew(
    store: Store, dear: dict[str, Feedback], read: list[int | None]
) -> None:
    watching.report(store, dear, 0, 12)
    looked(store, 12)
    other = looked(store, 12, digest="e" * 64)
    assert (read, other.fresh) == ([None, None], 3)
    assert_as_anew(store, 12, other)
    read.clear()
    earlier = looked(store, 11, digest="e" * 64)
    assert read == [None]
    assert_as_anew(store, 11, earlier)


@pytest.mark.parametrize("part", ["", "believed", "shown"])
def test_what_is_damaged_is_thrown_away_and_told(store: Store, dear: dict[str, Feedback], part: str) -> None:
    watching.report(store, dear, 0, 13)
    looked(store, 13)
    table = tables.watched
    shows = table.c.name.endswith("shown")
    names = {"": table.c.name == NAME, "believed": table.c.name.contains(watched.PART) & ~shows, "shown": shows}[part]
    with store.write() as connection:
        connection.execute(table.update().where(names).values(state=b"half a file"))
    watching.report(store, dear, 13, 14)
    found = looked(store, 14)
    assert found.trouble.startswith("what earlier looks kept cannot be read (")
    assert found.trouble.endswith("): all was followed anew from the history")
    assert_as_anew(store, 14, found)
    assert looked(store, 14).trouble == ""


def test_looks_of_other_lengths_share_what_is_kept(store: Store, dear: dict[str, Feedback]) -> None:
    watching.report(store, dear, 0, 13)
    looked(store, 13, settle=6)
    watching.report(store, dear, 13, 14)
    assert looked(store, 14, settle=2).fresh == 7
    late(store, 12, 14)
    watching.report(store, dear, 14, 15)
    found = looked(store, 15, settle=6)
    assert found.fresh == 3
    assert_as_anew(store, 15, found)
