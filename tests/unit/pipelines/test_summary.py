"""summary.json: gathered from the steps' folders through their declarations, whole or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import gate_table, log_numbers, log_roc
from components.declared import Step, steps
from crossmix.artifacts import Done, Evaluation, FusionReport, GateRow, GateTable, Interval, Registration, Summary
from crossmix.config import load
from pipelines.summary import collect, own_bundle
from tests.support.bundles import make
from tests.support.report_steps import demo

GATES = GateTable(
    gates=(
        GateRow(
            name="fidelity.campaign.ctr",
            value=0.012345678,
            threshold="within 5 %",
            verdict="pass",
            required=True,
            detail="",
        ),
        GateRow(
            name="policy.off_policy",
            value=None,
            threshold=">= champion",
            verdict="not applicable",
            required=False,
            detail="no champion",
        ),
    ),
    passed=True,
)
REGISTERED = Registration(
    name="m", version=2, aliases=("challenger",), run_id="r", bundle_digest="abc", note="for the log"
)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    made = demo(tmp_path / "steps", ("a", "b"))
    GATES.save(made["gate"])
    for number, (name, folder) in enumerate(made.items()):
        Done(step=name, key="k", seconds=1.5 + number, finished="now").save(folder)
    return made


def test_summary_of_a_registered_run(folders: dict[str, Path], tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle")
    told = collect(load("laptop"), steps(), folders, "r1", REGISTERED, bundle.path).plain()
    assert told["rows"] == {"ingested": 214_332, "quarantined": {"price_paid_negative": 12, "unknown_platform": 3}}
    assert told["fusion"] == {
        "click_auc": 0.71,
        "conversion_auc": 0.76,
        "click_ece": 0.021 * 0.04,
        "modalities": ["image", "text", "behaviour"],
    }
    assert told["fidelity"] == {"campaign.ctr": {"value": 0.012345678, "verdict": "pass"}}
    assert told["policy"]["oracle_ratio"]["mean"] == pytest.approx(0.975)
    baselines = {name: round(ratio["mean"], 3) for name, ratio in told["policy"]["baselines"].items()}
    assert (baselines["uniform"], baselines["plug_in"]) == (0.807, 0.921)
    assert "oracle" not in baselines  # it is no competitor
    assert told["gates"][1] == {
        "name": "policy.off_policy",
        "value": None,
        "threshold": ">= champion",
        "verdict": "not applicable",
        "required": False,
    }
    assert told["registry"] == {"name": "m", "version": 2, "aliases": ["challenger"]}
    assert told["bundle"] == {"path": str(bundle.path), "sha256": bundle.digest}
    ran = [name for name in steps() if name in folders]
    assert list(told["seconds"]) == ran  # in the order of the report, whatever the folders'
    assert told["seconds"]["fusion"] == 2.5
    assert told["steps"]["train"]["uniform_ratio"] == 0.812
    assert told["steps"]["align"] == {"validation_trained": 0.981, "validation_aligned": 0.984, "kept": "aligned"}
    assert told["steps"]["register"] == {"version": 1}
    assert "market" not in told["steps"]  # it declares no figures


def test_nothing_registered_is_null(folders: dict[str, Path]) -> None:
    told = collect(load("laptop"), steps(), folders, "r1", None, None)
    assert (told.registry, told.bundle) == (None, None)
    assert told.plain()["registry"] is None


def test_a_declared_step_is_in_the_summary_without_any_other_edit(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    Done(step="audit", key="k", seconds=0.5, finished="now").save(folder)
    audit = Step(
        name="audit",
        order=75,
        core="crossmix.config:load",
        settings=(),
        figures=lambda place: {"found": len(list(place.iterdir())), "share": float("nan"), "none": None},
    )
    told = collect(load("laptop"), steps() | {"audit": audit}, folders | {"audit": folder}, "r1", None, None)
    assert told.steps is not None
    assert told.steps["audit"] == {"found": 1}  # what is undefined is left out
    assert told.seconds["audit"] == 0.5


def test_a_challenger_points_to_its_own_bundle(tmp_path: Path) -> None:
    judged, other = make(tmp_path / "judged"), make(tmp_path / "other", seed=1)
    same = make(tmp_path / "champion")
    assert own_bundle(judged.path, same.path) == same.path
    assert own_bundle(judged.path, other.path) == judged.path


def test_json_is_written_whole_and_strictly(folders: dict[str, Path], tmp_path: Path) -> None:
    told = collect(load("laptop"), steps(), folders, "r1", None, None)
    told.save(tmp_path, strict=True)
    nan = replace(told, policy=replace(told.policy, gap_closed=Interval(mean=float("nan"), ci95=(0, 1))))
    with pytest.raises(ValueError, match="not JSON compliant"):
        nan.save(tmp_path, strict=True)
    assert Summary.load(tmp_path) == told
    assert json.loads((tmp_path / "summary.json").read_text())["run_id"] == "r1"


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


def test_a_roc_curve_has_finite_thresholds(folders: dict[str, Path]) -> None:
    head = FusionReport.load(folders["fusion"]).click
    assert head is not None
    curve, none = Recorder(), Recorder()
    roc = replace(head.roc, fpr=(0.0, 1.0, 1.0), tpr=(0.0, 0.5, 1.0), threshold=(float("inf"), None, 0.25))
    log_roc(curve, replace(head, roc=roc))  # type: ignore[arg-type]
    assert curve.curve == ([0.0, 1.0, 1.0], [0.0, 0.5, 1.0], [1.0, 1.0, 0.25])
    log_roc(none, None)  # type: ignore[arg-type]
    assert none.curve == ()


def test_the_gate_step_tells_every_competitor(folders: dict[str, Path]) -> None:
    numbers = steps()["gate"].measured(folders["gate"])
    assert numbers["policy_oracle_ratio"] == pytest.approx(0.975)
    assert numbers["uniform_oracle_ratio"] == pytest.approx(0.807)
    assert "oracle_oracle_ratio" not in numbers
    assert len(numbers) == 3 + len(Evaluation.load(folders["gate"]).policies) - 2


def test_the_fusion_step_tells_nothing_of_a_head_that_is_not_there(folders: dict[str, Path]) -> None:
    report = FusionReport.load(folders["fusion"])
    assert report.click is not None
    assert steps()["fusion"].measured(folders["fusion"])["click_auc"] == report.click.auc
    replace(report, click=None, conversion=None).save(folders["fusion"])
    assert steps()["fusion"].measured(folders["fusion"]) == {}


def test_gate_table_is_markdown(tmp_path: Path) -> None:
    gate_table(GATES, str(tmp_path / "gates.md"))
    assert (tmp_path / "gates.md").read_text().splitlines()[2:] == [
        "| fidelity.campaign.ctr | 0.01235 | within 5 % | pass | yes |",
        "| policy.off_policy | – | >= champion | not applicable | no |",
    ]
