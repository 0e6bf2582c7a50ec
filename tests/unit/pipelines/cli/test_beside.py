"""What stands beside an answer: money that is held, platforms that have stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix.artifacts import RunRecord
from crossmix.market import model
from pipelines.cli.beside import beside
from pipelines.cli.main import app
from tests.support.bent_histories import ended, planted, with_channel
from tests.support.histories import ingested
from tests.support.markets import make_market

HELD = "tv: "
STOPPED = "video: nothing spent since 2025-03-06 (60 cycles)"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a history with a channel without delivery and one that has stopped."""
    folder = tmp_path_factory.mktemp("run")
    dataset = ingested(folder, with_channel(ended(planted(), "video", 60)))
    market = folder / "market"
    market.mkdir()
    model.save(make_market(platforms=3), market)
    steps = {"ingest": dataset.path.name, "market": market.name}
    RunRecord(run_id="r", config={}, steps=steps).save(folder)
    return folder


def test_it_says_what_no_split_moves_and_asks_about_what_has_stopped(out: Path) -> None:
    held, stopped = beside(out)
    assert held.startswith(HELD)
    assert "39.0% of the money; held as it is" in held
    assert stopped.startswith(STOPPED)


def test_whatif_ends_with_it(out: Path) -> None:
    result = CliRunner().invoke(app, ["whatif", str(out), "--campaign", "c0"])
    assert result.exit_code == 0, result.output
    held, stopped = [line for line in result.output.splitlines() if line][-2:]
    assert held.startswith(HELD)
    assert stopped.startswith(STOPPED)


def test_json_has_it_too(out: Path) -> None:
    result = CliRunner().invoke(app, ["whatif", str(out), "--campaign", "c0", "--json"])
    assert json.loads(result.output)["beside"] == beside(out)


def test_nothing_stands_beside_where_no_run_tells_its_data(tmp_path: Path) -> None:
    assert beside(None) == []
    assert beside(tmp_path) == []
    RunRecord(run_id="r", config={}, steps={}).save(tmp_path)
    assert beside(tmp_path) == []
