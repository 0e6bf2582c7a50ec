"""`crossmix run --set task=journeys`: killed in training, resumed, registered, and played by `journeys simulate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossmix.journeys import bundled
from crossmix.journeys.bundled import probe
from crossmix.registry.store import Registry
from pipelines.cli.main import app
from tests.support.journeys_run import SMALL
from tests.support.task_run import kill, run

REQUIRED = 'journeys.gates.required=["journey.causal","journey.apart","journey.budget","journey.value"]'
"""So small a log need not let clicks be told better than by own click share; this it must prove."""
SETTINGS = (*SMALL, REQUIRED)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose whole process group was killed as its training had written a checkpoint."""
    out = tmp_path_factory.mktemp("journeys") / "run"
    kill(out, SETTINGS, lambda: bool(list(out.glob("steps/train/*.work/response/training.pt"))))
    return out


@pytest.mark.slow
def test_a_killed_training_goes_on_is_registered_and_plays(killed: Path) -> None:
    assert not (killed / "summary.json").exists()
    done = run(killed, SETTINGS)
    assert done.returncode == 0, done.stdout
    assert "ingest    reused" in done.stdout
    told = json.loads((killed / "summary.json").read_text())
    assert told["registry"] == {"name": "crossmix-journey", "version": 1, "aliases": ["challenger", "champion"]}
    again = run(killed, SETTINGS)
    assert again.stdout.count("reused") == 5

    bundle = bundled.load(killed / "bundle")
    assert bundle.digest == told["bundle"]["sha256"]
    assert bundle.answer(probe(bundle.channels)).click_UC.shape == (8, len(bundle.channels))
    version = Registry.of(bundle.config, killed).get("champion")
    assert float(version.tags["click_auc"]) == told["figures"]["figures"]["click_auc"]["mean"]

    played = CliRunner().invoke(app, ["journeys", "simulate", str(killed), "--blocks", "3", "--json"])
    assert played.exit_code == 0, played.output
    answer = json.loads(played.stdout)
    assert answer["world"] == "planted: the generated log's users"
    earned = {name: row["revenue_per_cost"] for name, row in answer["players"].items()}
    assert earned["oracle"] > earned["response"] > 2 * earned["log"]


@pytest.mark.slow
def test_a_run_of_another_task_is_not_played(tmp_path: Path) -> None:
    from crossmix.config import load, to_json

    record = {"run_id": "r", "config": json.loads(to_json(load("laptop"))), "steps": {}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    played = CliRunner().invoke(app, ["journeys", "simulate", str(tmp_path)])
    assert played.exit_code == 2
    assert "holds a run of task 'split'" in played.output
