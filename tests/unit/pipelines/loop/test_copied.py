"""A run's copy: what is written is the copy's own, the rest a link, and the run stays as it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from crossmix.artifacts import RunRecord
from crossmix.config import ConfigError, load
from pipelines.loop.copied import copy


def made(out: Path) -> Path:
    """A finished run with a bundle, a registry and two steps."""
    for name in ("features", "market"):
        folder = out / "steps" / name / "key"
        folder.mkdir(parents=True)
        (folder / "table").write_text(name)
    (out / "bundle").mkdir()
    (out / "bundle" / "manifest.json").write_text("{}")
    (out / "mlflow.db").write_text("registry")
    steps = {name: f"steps/{name}/key" for name in ("features", "market")}
    RunRecord(run_id="r", config=asdict(load("laptop")), steps=steps).save(out)
    return out


def test_what_is_written_is_copied_and_what_is_read_is_a_link(tmp_path: Path) -> None:
    out, to = made(tmp_path / "run"), tmp_path / "sim" / "run"
    config = load("laptop", ["serving.days=9", "serving.database=sqlite:////elsewhere.db"])
    own = copy(out, to, config)
    for path in ("steps/features/key/table", "bundle/manifest.json", "mlflow.db"):
        (to / path).write_text("changed")
        assert (out / path).read_text() != "changed", path
    assert (to / "steps" / "market" / "key").resolve() == out / "steps" / "market" / "key"
    for name, text in (("features", "changed"), ("market", "market")):
        assert (to / "steps" / "current" / name / "table").read_text() == text
    assert (own.serving.database, own.serving.days) == (None, 9)
    assert own.serving.clock == str(tmp_path / "sim" / "clock")
    assert (own.registry.tracking_uri, own.registry.experiment) == (None, "crossmix-loop")
    record = json.loads((to / RunRecord.FILE).read_text())
    assert record["config"]["serving"]["clock"] == own.serving.clock
    assert record["steps"] == {name: f"steps/{name}/key" for name in ("features", "market")}


def test_a_run_that_serves_nothing_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no finished run"):
        copy(tmp_path / "nothing", tmp_path / "to", load("laptop"))
    out = made(tmp_path / "run")
    (out / "bundle" / "manifest.json").unlink()
    (out / "bundle").rmdir()
    with pytest.raises(ConfigError, match="it has no bundle, as its gates did not pass"):
        copy(out, tmp_path / "to", load("laptop"))
    assert not (tmp_path / "to").exists()
