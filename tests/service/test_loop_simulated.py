"""A simulated loop, by its guide's commands: the server tells the plan's money and is told what the
market delivered, and no process is left."""

from __future__ import annotations

import json
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from crossmix.clock import wall
from crossmix.config import ConfigError
from crossmix.evaluate.loop.diary import Diary, load
from crossmix.ledger import returned
from crossmix.metrics import ARMS
from pipelines.cli.database import opened
from pipelines.cli.main import app
from pipelines.loop import simulate as loop
from pipelines.loop.copied import copy
from pipelines.loop.processes import Household
from tests.support.looped import market_of
from tests.support.serving_run import BUDGET, NAMES, Run

GUIDE = Path(__file__).parents[2] / "docs" / "loop.md"
DAYS = 7
SMALL = ["--days", str(DAYS), "--campaigns", "2", "--market", "counts", "--start-day", "3", "--poison", "revenue_x5"]


def commands(run: Run, folder: Path) -> list[list[str]]:
    """The guide's, in small: the tiny run in place of the trained one."""
    asked = [shlex.split(line) for line in re.findall(r"^(crossmix .*)$", GUIDE.read_text(), re.MULTILINE)]
    assert [words[1] for words in asked] == ["run", "loop", "loop", "monitor", "monitor", "serve"]
    folders = {"out/demo": str(run.out)}
    given = [[folders.get(word, word.replace("out/", f"{folder}/")) for word in words[1:]] for words in asked[1:-1]]
    return [words + (SMALL if words[0] == "loop" else []) for words in given]


@pytest.mark.slow
def test_the_guides_commands_tell_the_plans_money_and_what_was_delivered_and_leave_no_process(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market_of(run)
    before = stamps(run.out)
    households: list[Household] = []

    class Seen(Household):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            households.append(self)

    monkeypatch.setattr(loop, "Household", Seen)
    said = ""
    for given in commands(run, tmp_path):
        done = CliRunner().invoke(app, given)
        assert done.exit_code in (0, 3 if given[0] == "monitor" else 0), done.output
        said += done.output

    assert [[process.name for process in one.processes] for one in households] == [
        ["serve"], ["serve", "webhook", "monitor"],
    ]  # fmt: skip
    assert all(process.popen.returncode is not None for one in households for process in one.processes)
    addresses = re.findall(r"the page: (\S+)", said)
    assert len(addresses) == 2
    for address in addresses:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/healthz", timeout=5)
    assert stamps(run.out) == before, "the run stays as it is"
    alone, healed = load(tmp_path / "alone"), load(tmp_path / "healed")
    as_told(alone, tmp_path / "alone" / "run")
    assert [day["arms"] for day in healed.days] == [day["arms"] for day in alone.days], "nothing alarmed: the same days"
    assert "no thresholds" in healed.days[-1]["unknown"]
    assert "unknown" not in alone.days[-1]
    assert {"cpu_serve", "cpu_monitor", "cpu_webhook", "cpu_driver"} <= healed.cost.keys()
    assert (tmp_path / "healed" / "loop.svg").read_text().startswith("<svg")


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def as_told(diary: Diary, run: Path) -> None:
    """Money told is the plan's, and the ledger has what the market delivered."""
    assert len(diary.days) == DAYS
    planned = {arm: diary.days[0]["arms"][arm]["planned"] for arm in ARMS}
    assert planned == pytest.approx({"policy": 0.7 * 2 * BUDGET, "control": 0.3 * 2 * BUDGET}, rel=1e-4)
    with opened(f"sqlite:///{run}/serving/serving.db", wall) as store:
        (kept,) = returned.read(store, NAMES, loop.BEGINS + timedelta(days=DAYS, hours=1))
    for arm in ARMS:
        feedback, days = kept.arms[arm], [day["arms"][arm] for day in diary.days]
        np.testing.assert_allclose(feedback.told_TCP.sum((1, 2)), [day["planned"] for day in days], rtol=1e-4)
        np.testing.assert_allclose(feedback.spend_TCP.sum((1, 2)), [day["spend"] for day in days], rtol=1e-6)
        for name in ("conversions", "revenue"):
            known_T = getattr(feedback, f"{name}_TCP").sum((1, 2))
            np.testing.assert_allclose(known_T, [day["reported"][name] for day in days], rtol=1e-6)
        sold = sum(day["conversions"] for day in days)
        assert 0.7 * sold < sum(day["reported"]["conversions"] for day in days) < sold, "some are still to come"
    # Of the platform with most spend, whose revenue is told five times from day 3 on.
    late = [day["arms"]["policy"] for day in diary.days[3:]]
    assert sum(day["reported"]["revenue"] for day in late) > 1.2 * sum(day["revenue"] for day in late)


def test_a_copy_serves_by_itself_and_a_second_simulation_takes_another_folder(run: Run, tmp_path: Path) -> None:
    market_of(run)
    own = copy(run.out, tmp_path / "a" / "run", run.config)
    record: dict[str, Any] = json.loads((tmp_path / "a" / "run" / "run.json").read_text())
    assert record["config"]["serving"]["clock"] == own.serving.clock == str(tmp_path / "a" / "clock")
    assert record["config"]["registry"]["experiment"] == "crossmix-loop"
    assert (tmp_path / "a" / "run" / "steps" / "market" / "market.json").is_file()
    assert not (tmp_path / "a" / "run" / "steps" / "features").is_symlink()
    assert (tmp_path / "a" / "run" / "steps" / "current" / "market" / "market.json").is_file()
    with pytest.raises(ConfigError, match="holds a simulation already; name a new folder"):
        loop.simulate(run.out, tmp_path / "a", loop.Question(days=3, campaigns=2), [], print)


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
    with pytest.raises(ConfigError) as told:
        loop.Question(**question).check()
    assert str(told.value).startswith(sentence)
