"""The gate's component: the Kubeflow UI gets gates and report with a store as without one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from components.gate.component import gate
from crossmix.artifacts import Stored
from tests.support.report_steps import demo

INPUTS = {"dataset": "ingest", "features": "features", "fusion": "fusion", "market": "market", "policy": "align"}


@pytest.mark.parametrize("stored", [True, False])
def test_the_ui_gets_its_artifacts_with_a_store_and_without(
    stored: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = demo(tmp_path / "made", ("a", "b"))
    store = tmp_path / "store"
    paths = {}
    for name, step in {**INPUTS, "evaluation": "gate"}.items():
        paths[name] = made[step] if step in made else tmp_path / "absent" / step
        if stored and step in made:
            (store / step).mkdir(parents=True)
            (store / step / "k").symlink_to(made[step])
            paths[name] = tmp_path / "artifacts" / name
            paths[name].mkdir(parents=True)
            Stored(step=step, key="k").save(paths[name])
    monkeypatch.setattr("components.steps.run_step", lambda *_: made["gate"])
    logged: dict[str, float] = {}
    outputs = {name: SimpleNamespace(path=str(tmp_path / f"{name}.out")) for name in ("gates", "report")}
    word = gate.python_func(
        config_json="{}",
        store=str(store) if stored else "",
        **{name: SimpleNamespace(path=str(path)) for name, path in paths.items()},
        **outputs,
        metrics=SimpleNamespace(log_metric=logged.__setitem__),
    )
    assert word in ("passed", "failed")
    assert Path(outputs["gates"].path).read_text().startswith("| gate | value |")
    page = Path(outputs["report"].path).read_text()
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert "policy_oracle_ratio" in logged
