"""A bundle of kind `journey` in the registry: registered under its own name, and asked through MLflow without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from crossmix.config import load
from crossmix.journeys import bundled
from crossmix.journeys.answer import Prices
from crossmix.registry.store import Registry
from tests.support.journeys_run import learned


@pytest.mark.slow
def test_the_registered_model_answers_steps(tmp_path: Path) -> None:
    config = load("laptop", ["task=journeys", "journeys.encoder=gru", "journeys.learning.width=16"])
    prices = Prices(currency="c", cost_C=(2.0,) * 10, worth_click=1.0, worth_conversion_C=(5.0,) * 10, shadow=0.1)
    bundle = bundled.save(tmp_path / "bundle", learned().response, config=config, prices={"a": prices}, data_digest="d")
    registry = Registry.of(config, tmp_path / "out")
    version = registry.register(bundle.path, tags={"click_auc": "0.7"})
    assert (registry.model, version.number) == ("crossmix-journey", 1)
    code = (
        "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_registry_uri(sys.argv[1])\n"
        "from crossmix.journeys.bundled import load, probe, steps\n"
        "from pathlib import Path\n"
        "own = load(Path(sys.argv[2]))\n"
        "step, real = steps(probe(own.channels), own.layout, own.window)\n"
        "model = mlflow.pyfunc.load_model('models:/crossmix-journey@champion')\n"
        "answer = model.predict({'step': step, 'real': real})\n"
        "print(abs(answer['click'] - own.run(step, real).click_UC).max())\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, registry.uri, str(bundle.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1e-5
