"""Residuals of a served advertiser: what is found and named, what is kept between looks, what is said otherwise."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from crossmix.config import load
from crossmix.feedback import Feedback
from crossmix.ledger import alerts, tables, watched
from crossmix.ledger.campaigns import Campaign, changing
from crossmix.ledger.store import Store
from crossmix.market.shift import shift
from monitoring.monitors import EVERY, Finding, MonitorError, Served
from monitoring.residuals import Settings, look, residual_table
from pipelines.cli.main import app
from tests.support import watching
from tests.support.watching import DAY, START

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return watching.make_bundle(tmp_path_factory.mktemp("watched") / "bundle").path


@pytest.fixture(scope="module")
def dear() -> dict[str, Feedback]:
    """Prices on p1 double from cycle 20 on."""
    world = shift(watching.market(), "price_shock", platforms="p1", size=2.0, start=20)
    return watching.flown(world, 26, 3)


def served(bundle: Path | None) -> Served:
    return Served(config=load("laptop", ()), bundle=bundle)


def seen(store: Store, cycle: int, bundle: Path) -> list[Finding]:
    """What is found an hour after so many cycles have ended."""
    return list(look(store, START + cycle * DAY + HOUR, Settings(), served(bundle)))


def test_a_shock_is_found_named_and_told_until_it_is_settled(
    database: str, bundle: Path, dear: dict[str, Feedback]
) -> None:
    store = watching.begun(database)
    watching.report(store, dear, 0, 20)
    quiet = seen(store, 20, bundle)
    assert [one.quantity for one in quiet] == ["requests", "price", "ctr", "cvr", "value"]
    assert not any(one.alarming for one in quiet)
    told = []
    for cycle in range(21, 26):
        watching.report(store, dear, cycle - 1, cycle)
        told.append([one for one in seen(store, cycle, bundle) if one.alarming and one.quantity == "price"])
    assert [len(some) for some in told] == [1, 1, 1, 1, 0]
    (first,) = told[0]
    assert (first.monitor, first.campaign_id, first.arm, first.cause) == ("residuals", EVERY, EVERY, "price")
    assert (first.platform, first.cycle) == ("p1", 20)
    spend = sum(float(one.spend_TCP[20, :, 1].sum()) for one in dear.values())
    assert first.observed == pytest.approx(spend)
    assert first.expected is not None
    assert 1.4 < spend / first.expected < 2.8
    assert first.z is not None
    assert first.score is not None
    assert first.z > 0.9 * first.limit
    assert first.score > first.limit == watching.expectation().thresholds.largest
    assert set(first.campaigns) == {"c0", "c1"}
    assert [one.cycle for some in told for one in some] == [20] * 4


def test_looks_every_day_see_what_one_look_at_the_history_sees(
    database: str, bundle: Path, dear: dict[str, Feedback]
) -> None:
    store = watching.begun(database)
    for cycle in range(1, 23):
        watching.report(store, dear, cycle - 1, cycle)
        daily = seen(store, cycle, bundle)
    kept = watched.load(store, "residuals@24h")
    assert kept is not None
    assert kept.through == START + 22 * DAY
    with store.write() as connection:
        connection.execute(tables.watched.delete())
    assert seen(store, 22, bundle) == daily


def test_what_comes_late_is_taken_in_until_it_has_settled(
    database: str, bundle: Path, dear: dict[str, Feedback]
) -> None:
    """The shock's own reports come a day late: then they are found, in their own cycle."""
    store = watching.begun(database)
    watching.report(store, dear, 0, 20)
    watching.report(store, dear, 20, 21, silent=("p1",))
    assert not any(one.alarming for one in seen(store, 21, bundle))
    watching.report(store, dear, 20, 21)
    assert [one.cycle for one in seen(store, 21, bundle) if one.alarming and one.quantity == "price"] == [20]


def test_another_bundle_begins_anew_from_the_history(
    database: str, bundle: Path, dear: dict[str, Feedback], tmp_path: Path
) -> None:
    store = watching.begun(database)
    watching.report(store, dear, 0, 15)
    seen(store, 15, bundle)
    before = watched.load(store, "residuals@24h")
    other = watching.make_bundle(tmp_path / "other", seed=1)
    found = seen(store, 15, other.path)
    after = watched.load(store, "residuals@24h")
    assert before is not None
    assert after is not None
    assert (after.bundle, before.bundle != after.bundle) == (other.digest, True)
    assert (after.through, after.state) == (before.through, before.state)
    assert len(found) == 5


def test_without_thresholds_it_says_so(database: str, tmp_path: Path) -> None:
    store = watching.begun(database)
    plain = watching.make_bundle(tmp_path / "plain", watch=False)
    now = START + DAY
    (one,) = look(store, now, Settings(), served(plain.path))
    assert (one.alarming, one.observed) == (False, None)
    assert one.detail == (
        f"bundle {plain.digest[:12]} carries no thresholds; train anew, with thresholds.flights above 0"
    )
    (nobody,) = look(store, now, Settings(), served(None))
    assert nobody.detail == "what serves is not known: name the folder of a run, or --bundle FOLDER"
    with pytest.raises(MonitorError, match=r"bundle: .*No such file or directory.*manifest\.json"):
        list(look(store, now, Settings(), served(tmp_path)))


def test_campaigns_that_the_bundle_does_not_know_are_told(database: str, bundle: Path) -> None:
    store = watching.begun(database)
    with changing(store, "tester", "") as table:
        table.add(Campaign("new", "USD", 10.0, {"p0": 1.0}, {}, START, 30, 24.0))
    stranger, nothing = look(store, START + HOUR, Settings(), served(bundle))
    assert stranger.detail == "new: not in the bundle that serves, so nothing is expected; train anew"
    assert nothing.detail == "no cycle has finished"


def test_the_table_has_a_column_per_platform_and_quantity(
    database: str, bundle: Path, dear: dict[str, Feedback]
) -> None:
    store = watching.begun(database)
    now = START + 24 * DAY + HOUR
    assert residual_table(store, START, Settings(), served(bundle)) is None
    watching.report(store, dear, 0, 24)
    tables = residual_table(store, now, Settings(), served(bundle))
    assert tables is not None
    quiet, recent = tables
    assert list(quiet.columns) == list(recent.columns)
    assert list(quiet.columns)[:2] == ["p0 requests", "p0 price"]
    assert (len(quiet), len(recent)) == (320, 24)
    # Cycle 20 is the shock's.
    assert recent["p1 price"].iloc[20] > 4 > recent["p1 price"].iloc[:20].abs().max()
    assert np.isfinite(quiet.to_numpy()).mean() > 0.99


def test_the_command_prints_them_and_raises_each_alarm_once(
    database: str, bundle: Path, dear: dict[str, Feedback], tmp_path: Path
) -> None:
    store = watching.begun(database)
    watching.report(store, dear, 0, 21)
    clock = tmp_path / "clock"
    clock.write_text((START + 21 * DAY + HOUR).strftime("%Y-%m-%dT%H:%M:%SZ"))
    asked = ["monitor", "--database", database, "--bundle", str(bundle), "--set", f"serving.clock={clock}"]
    asked += ["--set", 'monitor.watch=["residuals"]']
    done = CliRunner().invoke(app, [*asked, "--json"])
    assert done.exit_code == 3, done.output
    rows = json.loads(done.output)
    assert [(row["cause"], row["platform"], row["cycle"]) for row in rows if row["alarming"]] == [("price", "p1", 20)]
    shown = CliRunner().invoke(app, asked)
    assert "ALARM  residuals  *" in shown.output
    assert "price of what was won on p1" in shown.output
    (alert,) = alerts.newest(store)
    assert alert.notice.event["subject"] == EVERY
    assert alert.notice.event["data"]["platform"] == "p1"


def test_a_quiet_flight_says_how_far_the_furthest_platform_is(database: str, bundle: Path) -> None:
    arms = watching.flight(15, 3)
    store = watching.begun(database)
    watching.report(store, arms, 0, 15)
    findings = seen(store, 15, bundle)
    assert [one.alarming for one in findings] == [False] * 5
    requests = findings[0]
    p = watching.market().platforms.index(requests.platform or "")
    assert requests.observed == pytest.approx(sum(float(one.requests_TCP[14, :, p].sum()) for one in arms.values()))
    assert requests.cycle == 14
    assert "of 3." in requests.detail
