"""The late feed: ages by hand, per campaign and arm; who is not running is not watched."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix.config import ConfigError, load
from monitoring.monitors import MONITORS, Finding, configured, look
from pipelines.cli.main import app
from tests.support.experiments import DAY, START, deliver, event, make_store

NOW = START + 5.5 * DAY
ALONE = ('monitor.watch=["late_feed"]',)


def found(
    folder: Path, *overrides: str, campaigns: dict[str, dict[str, object]] | None = None, **experiment: object
) -> list[Finding]:
    """What is found 5.5 days into an experiment whose control reported for three days and its policy for five."""
    store = make_store(folder, campaigns=campaigns, **experiment)
    deliver(store, [event(arm, day) for arm, days in (("policy", 5), ("control", 3)) for day in range(days)])
    return look(store, NOW, load("laptop", ['monitor.watch=["late_feed"]', *overrides]))


def test_the_age_is_of_the_newest_event_of_each_arm(tmp_path: Path) -> None:
    policy, control = found(tmp_path)
    assert (policy.arm, policy.observed, policy.alarming) == ("policy", pytest.approx(0.5), False)
    assert (control.arm, control.observed, control.alarming) == ("control", pytest.approx(2.5), True)
    assert control.detail.startswith(f"no feedback since {(START + 3 * DAY).isoformat(timespec='minutes')}, 2.5 cycles")


def test_a_feed_that_never_began_is_as_old_as_its_campaign(tmp_path: Path) -> None:
    (silent,) = found(
        tmp_path, 'monitor.settings.late_feed.arms=["policy"]', campaigns={"quiet": {"starts": NOW - 2 * DAY}}
    )
    assert (silent.campaign_id, silent.observed, silent.alarming) == ("quiet", pytest.approx(2.0), True)
    assert "since the campaign began" in silent.detail


@pytest.mark.parametrize(
    "idle", [{"paused": True}, {"starts": NOW + timedelta(hours=1)}, {"cycles": 3, "starts": NOW - 3 * DAY}]
)
def test_a_campaign_that_does_not_run_is_not_watched(idle: dict[str, object], tmp_path: Path) -> None:
    assert found(tmp_path, campaigns={"brand": idle}) == []


@pytest.mark.parametrize(
    ("experiment", "arms"),
    [
        ({"ended": START + 4 * DAY, "reason": "decided"}, ["control"]),
        ({"ended": START + 4.9 * DAY, "reason": "decided"}, ["control"]),
        ({"ended": START + 4 * DAY, "outcome": "shipped", "shipped": START + 4 * DAY}, ["policy"]),
        # The cycle in which it ends was shared, and one that begins as it ends is.
        ({"ended": START + 5 * DAY, "reason": "decided"}, ["policy", "control"]),
        ({"ended": START + 5.1 * DAY, "reason": "decided"}, ["policy", "control"]),
        ({"weights": {"policy": 1.0, "control": 0.0}}, ["policy"]),
    ],
)
def test_an_arm_without_users_is_not_watched(experiment: dict[str, object], arms: list[str], tmp_path: Path) -> None:
    assert [finding.arm for finding in found(tmp_path, **experiment)] == arms


def test_events_of_before_the_start_make_no_feed_older_than_its_campaign(tmp_path: Path) -> None:
    later = {"brand": {"starts": START + 4 * DAY}}
    ages = [finding.observed for finding in found(tmp_path, campaigns=later)]
    assert ages == [pytest.approx(0.5), pytest.approx(1.5)]


def test_at_the_limit_a_feed_is_not_yet_late(tmp_path: Path) -> None:
    _, control = found(tmp_path, "monitor.settings.late_feed.cycles=2.5")
    assert (control.observed, control.alarming) == (2.5, False)


def test_only_what_is_to_be_watched_is_looked_at(tmp_path: Path) -> None:
    assert found(tmp_path, "monitor.watch=[]") == []


def test_settings_are_checked_as_strictly_as_the_config() -> None:
    ((monitor, settings),) = configured(
        load("laptop", ["monitor.settings.late_feed.cycles=3", 'monitor.watch=["late_feed"]'])
    )
    assert (monitor.name, settings.cycles) == ("late_feed", 3)
    for override, message in (
        ("monitor.settings.late_feed.cycles=0", r"monitor.settings.late_feed.cycles: 0 does not fit"),
        ("monitor.settings.late_feed.days=1", r"monitor.settings.late_feed.days: unknown config key; use cycles, arms"),
        ("monitor.settings.later.days=1", r"monitor.settings.later: no such monitor; use one of feed, late_feed"),
    ):
        with pytest.raises(ConfigError, match=message):
            configured(load("laptop", [override]))
    with pytest.raises(ConfigError, match=r"monitor.watch: no monitor is called 'later'; use feed, late_feed"):
        load("laptop", ['monitor.watch=["later"]'])
    assert MONITORS.names() == ("feed", "late_feed", "regret", "residuals", "roi", "undelivered")


def test_the_command_prints_findings_and_exits_by_them(tmp_path: Path) -> None:
    """By the wall's clock: the campaign is long over; with more cycles it is years late."""
    store = make_store(tmp_path, campaigns={"brand": {"cycles": 100_000}})
    deliver(store, [event("policy", 0)])
    url = f"sqlite:///{tmp_path / 'serving.db'}"
    alone = ["--set", *ALONE]
    done = CliRunner().invoke(app, ["monitor", "--database", url, "--json", *alone])
    assert done.exit_code == 3, done.output
    rows = json.loads(done.output)
    assert [(row["arm"], row["alarming"]) for row in rows] == [("policy", True), ("control", True)]
    shown = CliRunner().invoke(app, ["monitor", "--database", url, *alone])
    assert shown.output.count("ALARM") == 2
    quiet = ["--set", "monitor.settings.late_feed.cycles=1e9"]
    assert CliRunner().invoke(app, ["monitor", "--database", url, *quiet]).exit_code == 0
    missing = CliRunner().invoke(app, ["monitor", "--database", f"sqlite:///{tmp_path / 'none.db'}"])
    assert missing.exit_code == 2
    assert "there is no such file" in missing.output


def test_a_run_that_was_never_served_is_told_how_to_be(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"run_id": "x", "config": asdict(load("laptop")), "steps": {}}))
    done = CliRunner().invoke(app, ["monitor", str(tmp_path)])
    assert done.exit_code == 2
    assert f"`crossmix serve {tmp_path}` begins" in done.output


def test_a_report_that_came_when_the_clock_ran_ahead_does_not_excuse_the_feed(tmp_path: Path) -> None:
    """Its age was below 0 for as long as the clock had run ahead: a feed that died then was late to nobody."""
    store = make_store(tmp_path)
    deliver(store, [event("policy", 400)])
    policy, _ = look(store, NOW, load("laptop", ALONE))
    # Since the campaign began, three days before the experiment.
    assert (policy.observed, policy.alarming) == (pytest.approx(8.5), True)
    assert policy.detail.startswith("no feedback since a clock ran ahead, to ")
