"""A server runs on what the lock of its image holds: nothing else can be imported, and it starts and answers."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supply.locks import TARGETS, read
from tests.support.only_locked import blocked, environment
from tests.support.served_process import Server
from tests.support.serving_run import Run, instance


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that this test starts have what the lock of `serve` holds."""
    folder = tmp_path / "locked"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", environment(folder, read("serve")))


def test_what_the_image_lacks_cannot_be_imported_and_what_it_has_can(locked: None) -> None:
    """Every module that the image's processes start from."""
    probe = f"""
import importlib, sys
for name in {TARGETS["serve"].runs!r}:
    importlib.import_module(name)
print(*sorted({{"torch", "kfp", "transformers", "evidently", "sklearn"}} & set(sys.modules)))
import torch
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "", done.stderr
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'torch' (not in the lock)"


def test_a_folder_that_two_packages_share_is_told_apart() -> None:
    """mlflow-skinny is in the lock, mlflow is not: what only mlflow has is out of reach."""
    out = blocked(frozenset(read("serve")))
    assert {"torch", "kfp", "transformers", "evidently", "sklearn"} <= out
    assert out.isdisjoint({"mlflow", "mlflow.tracking", "google", "google.protobuf", "numpy", "crossmix", "serving"})


@pytest.mark.slow
def test_a_predictor_starts_and_answers_on_its_lock_alone(
    run: Run, serve: Callable[..., Server], locked: None, tmp_path: Path
) -> None:
    server = serve(run, "--role", "policy", "--set", f"serving.database=sqlite:///{tmp_path / 'ledger.db'}")

    def asked(path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(server.url + path, data=data), timeout=300) as answer:
            return answer.read()

    told = json.loads(asked("/v1/models/policy:predict", instance()))["predictions"][0]
    assert sum(line["share"] for line in told["allocation"]) == pytest.approx(1.0)
    assert told["degraded"] == []
    serving = json.loads(asked("/serving"))
    assert (serving["version"], serving["degraded"]) == (1, [])
    assert b"crossmix" in asked("/metrics")
    assert server.end() == 0
