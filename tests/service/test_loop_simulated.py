"""A simulated loop: what the server told is what was planned, what it was told is what the market delivered, and its
processes are gone at the end."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from crossmix.clock import wall
from crossmix.evaluate.loop.diary import load
from crossmix.ledger import returned
from crossmix.metrics import ARMS
from pipelines.cli.database import opened
from pipelines.loop import simulate as loop
from pipelines.loop.copied import copy
from pipelines.loop.processes import Household
from tests.support.looped import market_of
from tests.support.serving_run import BUDGET, NAMES, Run

GUIDE = Path(__file__).parents[2] / "docs" / "loop.md"
DAYS = 7
FLIGHT = loop.Question(
    days=DAYS, campaigns=2, market="counts", scenario="price_shock", start_day=3, poison="revenue_x5", loop=False
)


@pytest.mark.slow
def test_money_told_is_the_plan_and_feedback_is_what_was_delivered(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market_of(run)
    before = {path: path.stat().st_mtime_ns for path in run.out.rglob("*") if path.is_file() and path.name != ".lock"}
    households = []

    class Seen(Household):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            households.append(self)

    monkeypatch.setattr(loop, "Household", Seen)
    said = []
    diary = loop.simulate(run.out, tmp_path / "simulation", FLIGHT, [], said.append)

    assert len(diary.days) == DAYS
    planned = {arm: diary.days[0]["arms"][arm]["planned"] for arm in ARMS}
    assert planned == pytest.approx({"policy": 0.7 * 2 * BUDGET, "control": 0.3 * 2 * BUDGET}, rel=1e-4)
    url = f"sqlite:///{tmp_path}/simulation/run/serving/serving.db"
    now = loop.BEGINS + timedelta(days=DAYS, hours=1)
    with opened(url, wall) as store:
        (kept,) = returned.read(store, NAMES, now)
    for arm in ARMS:
        feedback, days = kept.arms[arm], [day["arms"][arm] for day in diary.days]
        told_T = feedback.told_TCP.sum((1, 2))
        np.testing.assert_allclose(told_T, [day["planned"] for day in days], rtol=1e-4)
        np.testing.assert_allclose(feedback.spend_TCP.sum((1, 2)), [day["spend"] for day in days], rtol=1e-6)
        for name in ("conversions", "revenue"):
            known_T = getattr(feedback, f"{name}_TCP").sum((1, 2))
            np.testing.assert_allclose(known_T, [day["reported"][name] for day in days], rtol=1e-6)
        total = {name: sum(day[name] for day in days) for name in ("conversions", "revenue")}
        assert 0.7 * total["conversions"] < sum(day["reported"]["conversions"] for day in days) < total["conversions"]
        # The platform with most spend has more than a fifth of the revenue, which is told five times from day 3 on.
        assert sum(day["reported"]["revenue"] for day in days[3:]) > 1.3 * sum(day["revenue"] for day in days[3:])
    assert [process.popen.returncode for process in households[0].processes] == [0]
    address = said[0].removeprefix("the page: ")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/healthz", timeout=5)
    assert load(tmp_path / "simulation").days == diary.days
    after = {path: path.stat().st_mtime_ns for path in run.out.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == before, "the run stays as it is"


def test_a_copy_serves_by_itself_and_a_second_simulation_takes_another_folder(run: Run, tmp_path: Path) -> None:
    market_of(run)
    own = copy(run.out, tmp_path / "a" / "run", run.config)
    record: dict[str, Any] = json.loads((tmp_path / "a" / "run" / "run.json").read_text())
    assert record["config"]["serving"]["clock"] == own.serving.clock == str(tmp_path / "a" / "clock")
    assert record["config"]["registry"]["experiment"] == "crossmix-loop"
    assert (tmp_path / "a" / "run" / "steps" / "market" / "market.json").is_file()
    assert not (tmp_path / "a" / "run" / "steps" / "features").is_symlink()
    assert (tmp_path / "a" / "run" / "steps" / "current" / "market" / "market.json").is_file()
    with pytest.raises(loop.ConfigError, match="holds a simulation already; name a new folder"):
        loop.simulate(run.out, tmp_path / "a", FLIGHT, [], print)


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ({"market": "expected"}, "--market 'expected': is unknown; use exact or counts"),
        ({"scenario": "flood"}, "--scenario 'flood': is unknown; use one of price_shock"),
        ({"size": 2.0}, "--size, --platforms: they are a scenario's; add --scenario NAME"),
        ({"days": 10, "start_day": 10}, "--start-day 10: the last day is 9; give an earlier one"),
    ],
)
def test_what_cannot_be_simulated_is_told(question: dict[str, Any], sentence: str) -> None:
    with pytest.raises(loop.ConfigError) as told:
        loop.Question(**question).check()
    assert str(told.value).startswith(sentence)


@pytest.mark.slow
def test_the_guides_commands_run(run: Run, tmp_path: Path) -> None:
    """In small: the tiny run in place of the trained one, four days."""
    market_of(run)
    asked = [shlex.split(line) for line in re.findall(r"^(crossmix .*)$", GUIDE.read_text(), re.MULTILINE)]
    assert [words[1] for words in asked] == ["run", "loop", "loop", "monitor", "monitor", "serve"]
    folders = {"out/demo": str(run.out)}
    small = ["--days", "4", "--campaigns", "2", "--market", "counts", "--start-day", "2"]
    for words in asked[1:-1]:
        given = [folders.get(word, word.replace("out/", f"{tmp_path}/")) for word in words[1:]]
        given += small if words[1] == "loop" else []
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli.main", *given], capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 3 if words[1:3] != ["loop", "simulate"] else 0), done.stdout + done.stderr
    alone, healed = load(tmp_path / "alone"), load(tmp_path / "healed")
    assert [day["arms"] for day in healed.days] == [day["arms"] for day in alone.days], (
        "nothing alarmed, so it is the same"
    )
    assert "no thresholds" in healed.days[-1]["unknown"]
    assert "unknown" not in alone.days[-1]
    assert {"cpu_serve", "cpu_monitor", "cpu_webhook", "cpu_driver"} <= healed.cost.keys()
    assert (tmp_path / "healed" / "loop.svg").read_text().startswith("<svg")
