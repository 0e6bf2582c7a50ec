"""`crossmix run --set task=creators`: registered, again, killed and resumed, failing a gate, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crossmix.creators import bundled
from crossmix.creators.sampled import brief_of
from crossmix.registry.store import Registry
from pipelines.cli.main import app
from tests.support.creators_run import GENERATED, SMALL
from tests.support.task_run import kill, run

KEYS = {"run_id", "source", "task", "figures", "gates", "registry", "bundle", "seconds", "steps"}
RULES = 'creators.gates.required=["creators.rules"]'
"""So small a catalogue need not let a plan lead; that rules are kept it must prove."""
SETTINGS = (*SMALL, GENERATED, RULES)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose whole process group was killed in its gate step."""
    out = tmp_path_factory.mktemp("creators") / "run"
    kill(out, SETTINGS, lambda: bool(list(out.glob("steps/gate/*.tmp"))))
    return out


@pytest.mark.slow
def test_a_killed_run_goes_on_and_the_next_reuses_everything(killed: Path) -> None:
    assert not (killed / "summary.json").exists()
    done = run(killed, SETTINGS)
    assert done.returncode == 0, done.stdout
    assert "ingest    reused" in done.stdout
    assert "train     reused" in done.stdout
    told: dict[str, Any] = json.loads((killed / "summary.json").read_text())
    assert set(told) == KEYS
    assert told["registry"] == {"name": "crossmix-creators", "version": 1, "aliases": ["challenger", "champion"]}

    again = run(killed, SETTINGS)
    assert again.returncode == 0
    assert again.stdout.count("reused") == 4
    assert json.loads((killed / "summary.json").read_text())["figures"] == told["figures"]

    planner = bundled.load(killed / "bundle")
    assert planner.digest == told["bundle"]["sha256"]
    plan = planner.plan(brief_of(planner.catalogue, planner.config.creators.briefs, 9))
    assert plan.choices
    assert "Does the predictor keep its word?" in (killed / "report.html").read_text()
    version = Registry.of(planner.config, killed).get("champion")
    assert float(version.tags["share_of_bound"]) == told["figures"]["figures"]["share_of_bound"]["mean"]


@pytest.mark.slow
def test_a_gate_that_does_not_pass_registers_nothing(tmp_path: Path) -> None:
    done = run(tmp_path / "run", (*SETTINGS, "creators.gates.share=1.0", 'creators.gates.required=["creators.gap"]'))
    assert done.returncode == 3, done.stdout
    assert "FAIL  creators.gap.mean" in done.stdout
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["registry"] is None


def test_what_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    asked = ["run", "--out", str(tmp_path / "run"), "--set", "task=creators"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: data.source: 'demo' is no source of task 'creators'; use one of creators, ")
    assert not (tmp_path / "run").exists()
