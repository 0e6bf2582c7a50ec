"""The registry on a real MLflow (sqlite): one version per bundle whatever happens, aliases, roll-back, fetch."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmix import bundle as bundle_module
from crossmix import state
from crossmix.bundle import BundleError
from crossmix.registry.mlflow_door import RegistryError
from crossmix.registry.refusing import RefusingRegistry
from crossmix.registry.store import Registry
from tests.support.bundles import make


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[bundle_module.Bundle]:
    root = tmp_path_factory.mktemp("bundles")
    made = [make(root / f"policy-{seed}", seed=seed) for seed in range(3)]
    return [bundle_module.annotate(one.path, [{"name": "policy.latency", "verdict": "pass"}]) for one in made]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "out" / "mlartifacts")


def test_registering_promoting_and_rolling_back(
    registry: Registry, bundles: list[bundle_module.Bundle], tmp_path: Path
) -> None:
    report = tmp_path / "r.html"
    report.write_text("<p>report</p>")
    first = registry.register(
        bundles[0].path,
        metrics={"oracle_ratio": 0.97, "cpa": float("nan")},
        artifacts={"report/report.html": report},
        tags={"oracle_ratio": "0.97"},
    )
    assert (first.number, first.aliases) == (1, ("challenger", "champion"))
    assert first.digest == bundles[0].digest
    assert json.loads(first.tags["gates"]) == {"policy.latency": "pass"}

    # Twice the same bundle: the same version.
    assert registry.register(bundles[0].path).number == 1

    worse = registry.register(bundles[1].path, tags={"oracle_ratio": "0.96"})
    assert (worse.number, worse.aliases) == (2, ("challenger",))
    assert "not above the champion's" in worse.note

    better = registry.register(bundles[2].path, wins=True, actor="a test")
    assert better.aliases == ("challenger", "champion")
    assert registry.get("previous").number == 1
    replaced = json.loads(registry.get(1).tags["replaced"])
    assert (replaced["actor"], replaced["with"]) == ("a test", 3)
    assert replaced["at"]

    assert registry.rollback(actor="an operator").number == 1
    assert registry.get("champion").number == 1
    assert registry.get("previous").number == 3
    # Of a version that is champion no more: nothing changes.
    assert registry.rollback(actor="guardrail", of=3).number == 1
    assert (registry.get("champion").number, registry.get("previous").number) == (1, 3)
    assert [version.number for version in registry.versions()] == [1, 2, 3]

    # The run holds what was logged; the infinite metric is left out; everything lies beside the database.
    run = registry._client.get_run(first.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"oracle_ratio": 0.97}
    assert run.data.params["train.ppo.clip"] == "0.2"
    assert run.info.artifact_uri.startswith(registry.artifact_root.absolute().as_uri())
    assert list(registry.artifact_root.rglob("report/report.html"))
    assert (registry.artifact_root.parent / "mlflow.db").exists()


def test_what_is_fetched_answers_like_what_was_registered(
    registry: Registry, bundles: list[bundle_module.Bundle], tmp_path: Path
) -> None:
    registry.register(bundles[0].path)
    fetched = registry.fetch("champion", tmp_path / "served" / "bundle")
    assert fetched.digest == bundles[0].digest
    question = bundles[0].example()
    inputs = (question["state"], question["low"], question["high"])
    np.testing.assert_array_equal(fetched.allocate(*inputs), bundles[0].allocate(*inputs))
    registry.fetch(1, tmp_path / "served" / "bundle")
    assert [item.name for item in (tmp_path / "served").iterdir()] == ["bundle"]

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(BundleError, match="holds other files"):
        registry.fetch("champion", tmp_path / "mine")
    policy = next(registry.artifact_root.rglob("bundle/policy.onnx"))
    policy.write_bytes(policy.read_bytes()[:-1] + b"?")
    with pytest.raises(BundleError, match=r"policy\.onnx: SHA-256"):
        registry.fetch("champion", tmp_path / "served" / "bundle")
    assert bundle_module.load(tmp_path / "served" / "bundle").digest == bundles[0].digest  # the last good one stays


def test_the_registered_model_is_a_pyfunc(registry: Registry, bundles: list[bundle_module.Bundle]) -> None:
    version = registry.register(bundles[0].path)
    code = (
        "import sys, numpy as np, mlflow; mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_registry_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model('models:/crossmix-policy@champion'); m = int(sys.argv[2])\n"
        "x = {'state': np.zeros((3, 640), np.float32), 'low': np.zeros((3, m), np.float32),"
        " 'high': np.ones((3, m), np.float32)}\n"
        "print(model.predict(x)['share'].shape, model.metadata.signature.inputs.input_names(), 'torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, registry.uri, str(len(bundles[0].platforms))],
        capture_output=True,
        text=True,
        check=True,
        cwd=registry.artifact_root,
    )
    assert ran.stdout.strip() == "(3, 4) ['state', 'low', 'high'] False"
    assert version.tags["layout_digest"] == state.ALLOCATION.digest


@pytest.mark.parametrize("before", [True, False], ids=["before the version exists", "before its aliases are set"])
def test_a_run_killed_while_registering_ends_with_one_version(
    registry: Registry, bundles: list[bundle_module.Bundle], before: bool
) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; import mlflow\n"
        "from crossmix.registry.store import Registry\n"
        "create = mlflow.MlflowClient.create_model_version\n"
        "def killed(*args, **kwargs):\n"
        "    if sys.argv[3] == 'False': create(*args, **kwargs)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "mlflow.MlflowClient.create_model_version = killed\n"
        "Registry(Path(sys.argv[1])).register(Path(sys.argv[2]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(registry.artifact_root), str(bundles[0].path), str(before)],
        capture_output=True,
        check=False,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    version = registry.register(bundles[0].path)
    assert (version.number, version.aliases) == (1, ("challenger", "champion"))
    assert len(registry.versions()) == 1
    experiment = registry._client.get_experiment_by_name("crossmix")
    runs = registry._client.search_runs([experiment.experiment_id])
    assert [(run.info.run_id, run.info.status) for run in runs] == [(version.run_id, "FINISHED")]


def test_questions_without_an_answer_say_what_there_is(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="none yet: run `crossmix run`"):
        registry.fetch("champion", tmp_path / "b")
    with pytest.raises(RegistryError, match="nothing to roll back to"):
        registry.rollback(actor="an operator")
    with pytest.raises(BundleError, match=r"manifest\.json: missing"):
        registry.register(tmp_path / "nowhere")


def _point(update: int) -> dict[str, object]:
    return {"phase": "hybrid", "update": update, "env_steps": 100 * update, "validation_ratio": 0.9 + update / 100}


def test_the_learning_curve_is_live_in_the_run_that_is_registered(
    registry: Registry, bundles: list[bundle_module.Bundle]
) -> None:
    def cut_off() -> None:
        with registry.follow("key-1", "seed 0") as listen:
            listen(_point(1))
            runs = registry._client.search_runs([registry._experiment_id()])
            assert [(run.info.status, run.data.metrics["curve.update"]) for run in runs] == [("RUNNING", 1)]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    # The run goes on after a kill; a point that it has is not logged twice, one that never came is added at the end.
    with registry.follow("key-1") as listen:
        listen(_point(1))
        listen({**_point(2), "ppo_kl": float("nan"), "share": [0.5, 0.5]})
    curve = {"key": "key-1", "points": [_point(1), _point(2), _point(3)]}
    version = registry.register(bundles[0].path, curve=curve)
    history = registry._client.get_metric_history(version.run_id, "curve.validation_ratio")
    assert [(item.step, round(item.value, 2)) for item in history] == [(100, 0.91), (200, 0.92), (300, 0.93)]
    runs = registry._client.search_runs([registry._experiment_id()])
    assert [run.info.status for run in runs] == ["FINISHED"]
    # Another bundle of the same training has a run of its own, with the whole curve.
    other = registry.register(bundles[1].path, curve=curve)
    assert other.run_id != version.run_id
    assert len(registry._client.get_metric_history(other.run_id, "curve.validation_ratio")) == 3


def test_a_registry_that_is_away_does_not_stop_the_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    away = Registry(tmp_path / "artifacts", f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")
    with away.follow("key-1") as listen:
        for update in range(1, 4):
            listen(_point(update))
    assert ["not live" in record.message for record in caplog.records].count(True) == 1


def test_a_version_that_is_there_is_one_question_and_one_that_is_not_is_told(
    registry: Registry, bundles: list[bundle_module.Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in bundles[:2]:
        registry.register(one.path)
    asked: list[str] = []
    client = registry._client

    class Counted:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(client, name)

    monkeypatch.setattr(Registry, "_client", property(lambda _: Counted()))
    by_alias, by_number = registry.get("champion"), registry.get(2)
    assert (by_alias.number, by_alias.digest, "champion" in by_alias.aliases) == (1, bundles[0].digest, True)
    assert (by_number.number, by_number.digest) == (2, bundles[1].digest)
    assert "champion" not in by_number.aliases
    assert asked == ["get_model_version_by_alias", "get_model_version"]
    with pytest.raises(RegistryError, match="no version or alias 'nobody'; registered versions: 1, 2"):
        registry.get("nobody")
    with pytest.raises(RegistryError, match="no version or alias 3; registered versions: 1, 2"):
        registry.get(3)


def test_a_refused_version_is_no_challenger_any_more_and_another_challenger_stays(
    registry: Registry, bundles: list[bundle_module.Bundle]
) -> None:
    refusing = RefusingRegistry(registry.artifact_root)
    for one in bundles[:2]:
        refusing.register(one.path)
    assert refusing.get("challenger").number == 2
    refused = refusing.refuse(1, actor="guardrail", reason="it lost")
    assert json.loads(refused.tags["refused"]) | {"at": ""} == {"actor": "guardrail", "at": "", "reason": "it lost"}
    assert refusing.get("challenger").number == 2, "another version's alias"
    for _ in range(2):
        assert refusing.refuse(2, actor="guardrail", reason="it lost").aliases == ()
    with pytest.raises(RegistryError, match="challenger"):
        refusing.get("challenger")
    assert refusing.get("champion").number == 1
    with pytest.raises(RegistryError, match="9"):
        refusing.refuse(9, actor="guardrail", reason="it lost")
