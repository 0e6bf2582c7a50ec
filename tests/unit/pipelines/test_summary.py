"""summary.json: gathered from the steps' folders, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import gate_table, log_head, log_numbers, policy_numbers
from crossmix.config import load
from pipelines.summary import collect, own_bundle, write_atomically


def figure(mean: float) -> dict[str, Any]:
    return {"mean": mean, "ci95": [mean - 0.01, mean + 0.01]}


def policy(ratio: float, *, clairvoyant: bool = False) -> dict[str, Any]:
    told = {name: figure(ratio) for name in ("oracle_ratio", "gap_closed", "utilisation")}
    return {"clairvoyant": clairvoyant, **told}


EVALUATION = {
    "policies": {"policy": policy(0.97), "oracle": policy(1.0, clairvoyant=True), "uniform": policy(0.8)},
}
GATES = {
    "passed": True,
    "gates": [
        {
            "name": "fidelity.campaign.ctr",
            "value": 0.012345678,
            "threshold": "within 5 %",
            "verdict": "pass",
            "required": True,
            "detail": "",
        },
        {
            "name": "policy.off_policy",
            "value": None,
            "threshold": ">= champion",
            "verdict": "not applicable",
            "required": False,
            "detail": "no champion",
        },
    ],
}
HEAD = {"auc": 0.7, "log_loss": 0.2, "ece": 0.01, "roc": {"fpr": [0, 1], "tpr": [0, 1], "threshold": [None, 0.0]}}


@pytest.fixture
def steps(tmp_path: Path) -> dict[str, Path]:
    reports = {
        "ingest": {"report.json": {"rows": {"ingested": 9, "quarantined": {"negative_price": 1}, "duplicates": 2}}},
        "fusion": {"report.json": {"click": HEAD, "conversion": HEAD, "modalities": ["behaviour"]}},
        "gate": {"evaluation.json": EVALUATION, "gates.json": GATES, "bundle/manifest.json": {"digest": "abc"}},
    }
    for step, files in reports.items():
        for name, content in (files | {"done.json": {"seconds": 1.5}}).items():
            path = tmp_path / step / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
    return {step: tmp_path / step for step in reports}


def test_summary_of_a_registered_run(steps: dict[str, Path]) -> None:
    registered = {"name": "m", "version": 2, "aliases": ["challenger"], "note": "for the log"}
    told = collect(load("laptop"), steps, "r1", registered, steps["gate"] / "bundle")
    assert told["rows"] == {"ingested": 9, "quarantined": {"negative_price": 1}}
    assert told["fusion"] == {"click_auc": 0.7, "conversion_auc": 0.7, "click_ece": 0.01, "modalities": ["behaviour"]}
    assert told["fidelity"] == {"campaign.ctr": {"value": 0.012345678, "verdict": "pass"}}
    assert told["policy"]["oracle_ratio"] == figure(0.97)
    assert told["policy"]["baselines"] == {"uniform": figure(0.8)}  # the oracle is no competitor
    assert told["registry"] == {"name": "m", "version": 2, "aliases": ["challenger"]}
    assert told["bundle"]["sha256"] == "abc"
    assert told["seconds"] == {"ingest": 1.5, "fusion": 1.5, "gate": 1.5}


def test_nothing_registered_is_null(steps: dict[str, Path]) -> None:
    told = collect(load("laptop"), steps, "r1", None, None)
    assert (told["registry"], told["bundle"]) == (None, None)


def test_a_challenger_points_to_its_own_bundle(steps: dict[str, Path], tmp_path: Path) -> None:
    champion = tmp_path / "champion"
    champion.mkdir()
    (champion / "manifest.json").write_text('{"digest": "abc"}')
    assert own_bundle(steps["gate"] / "bundle", champion) == champion
    (champion / "manifest.json").write_text('{"digest": "older"}')
    assert own_bundle(steps["gate"] / "bundle", champion) == steps["gate"] / "bundle"


def test_json_is_written_whole_and_strictly(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_atomically(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_atomically(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


class Recorder:
    """Stands for kfp's Metrics and ClassificationMetrics."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.curve: tuple[Any, ...] = ()

    def log_metric(self, name: str, value: float) -> None:
        self.metrics[name] = value

    def log_roc_curve(self, *curve: Any) -> None:
        self.curve = curve


def test_metrics_are_finite_numbers() -> None:
    recorder = Recorder()
    log_numbers(recorder, {"a": 1, "b": None, "c": float("inf"), "d": "ppo", "e": True, "f": 0.25})  # type: ignore[arg-type]
    assert recorder.metrics == {"a": 1.0, "f": 0.25}


def test_a_roc_curve_has_finite_thresholds() -> None:
    metrics, curve = Recorder(), Recorder()
    log_head(metrics, curve, "click", HEAD | {"roc": {"fpr": [0], "tpr": [0], "threshold": [float("inf")]}})  # type: ignore[arg-type]
    assert metrics.metrics == {"click_auc": 0.7, "click_log_loss": 0.2, "click_ece": 0.01}
    assert curve.curve == ([0], [0], [1.0])


def test_policy_numbers_name_every_competitor() -> None:
    numbers = policy_numbers(EVALUATION)
    assert numbers["policy_oracle_ratio"] == 0.97
    assert numbers["uniform_oracle_ratio"] == 0.8
    assert "oracle_oracle_ratio" not in numbers


def test_gate_table_is_markdown(tmp_path: Path) -> None:
    gate_table(GATES, str(tmp_path / "gates.md"))
    assert (tmp_path / "gates.md").read_text().splitlines()[2:] == [
        "| fidelity.campaign.ctr | 0.01235 | within 5 % | pass | yes |",
        "| policy.off_policy | – | >= champion | not applicable | no |",
    ]
