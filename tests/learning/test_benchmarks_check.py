"""`benchmarks.check`: whole processes by turns, on histories that are answered."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import check


def test_a_history_has_a_row_a_day_for_every_platform_of_every_campaign() -> None:
    made = check.history(3, 5)
    assert len(made) == 3 * 5 * len(check.PLATFORMS)
    assert not made.duplicated(["date", "platform", "campaign"]).any()
    assert (made["conversions"] <= made["clicks"]).all()
    assert (made["clicks"] <= made["impressions"]).all()
    assert ((made["revenue"] > 0) == (made["conversions"] > 0)).all()
    assert {campaigns * days * len(check.PLATFORMS) for campaigns, days, _ in check.CASES.values()} == {360, 100_800}


def test_a_process_is_timed_with_those_that_it_starts() -> None:
    busy = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
    clock, cpu = check.timed(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"]
    )
    assert cpu >= 0.2
    assert clock >= 0.2
    with pytest.raises(subprocess.CalledProcessError):
        check.timed([sys.executable, "-c", "raise SystemExit(2)"])


def test_the_middle_is_told_and_a_goal_that_is_missed_is_so() -> None:
    taken = {"check": [(6.0, 4.0), (4.0, 3.0), (5.5, 3.5)], "least": [(1.0, 0.5), (1.0, 0.7), (1.0, 0.6)]}
    row = check.of_case(taken, 5.0)
    assert row["check"]["clock s"] == {"least": 4.0, "middle": 5.5}
    assert row["times the least, cpu"] == pytest.approx(3.5 / 0.6)
    assert not row["met"]
    assert check.of_case(taken, 5.5)["met"]
    told = check.table(
        {
            "rounds": 3,
            "cases": {"360 rows": row},
            "machine": {"processor": "a processor", "load average before": (1.0, 2.0, 3.0)},
        }
    )
    assert "5.50 (4.00)" in told
    assert "missed" in told


@pytest.mark.slow
def test_both_ways_are_run_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    timed = check.timed

    def spied(command: list[str]) -> tuple[float, float]:
        ran.append("check" if "check" in command else "least")
        return timed(command)

    monkeypatch.setattr(check, "timed", spied)
    monkeypatch.setattr(check, "CASES", {"some": (2, 90, 1000.0)})
    result = check.measure(1)
    assert ran == ["check", "least"] * 2
    assert result["cases"]["some"]["met"]
    assert result["cases"]["some"]["times the least, cpu"] > 1
