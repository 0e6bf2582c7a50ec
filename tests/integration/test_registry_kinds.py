"""One registered model per kind, on a real MLflow: same aliases, promotion and rollback, each with its own figure."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crossmix import config
from crossmix.bundle import BundleError
from crossmix.creators import bundled, effect, generated
from crossmix.creators.bundled import BundledPlanner
from crossmix.creators.sampled import brief_of
from crossmix.registry.store import Registry
from tests.support.bundles import make

CONFIG = config.load("laptop", ["task=creators", "data.source=demo-creators", "creators.solver.seconds=0.3"])
CATALOGUE = generated.demo(200, seed=5).catalogue


@pytest.fixture(scope="module")
def planners(tmp_path_factory: pytest.TempPathFactory) -> list[BundledPlanner]:
    """Of one catalogue; they differ in how long they may plan."""
    root = tmp_path_factory.mktemp("planners")
    made = []
    for at in range(3):
        solver = replace(CONFIG.creators.solver, seed=at)
        own = replace(CONFIG, creators=replace(CONFIG.creators, solver=solver))
        fitted = effect.fit(CATALOGUE)
        made.append(bundled.save(root / str(at), config=own, catalogue=CATALOGUE, predictor=fitted))
    return made


def test_each_kind_has_a_model_of_its_own_with_the_same_aliases(planners: list[BundledPlanner], tmp_path: Path) -> None:
    out = tmp_path / "out"
    splits, creators = Registry.of(config.load("laptop"), out), Registry.of(CONFIG, out)
    assert Registry.of(config.load("laptop"), out, "creators") == creators
    split = splits.register(make(tmp_path / "split").path, tags={"oracle_ratio": "0.9"})
    first = creators.register(planners[0].path, tags={"share_of_bound": "0.97"})
    assert (split.name, first.name) == ("crossmix-policy", "crossmix-creators")
    assert split.aliases == first.aliases == ("challenger", "champion")
    assert (split.tags["kind"], first.tags["kind"]) == ("split", "creators")
    assert "layout_digest" not in first.tags

    # The kind's own figure decides; what a split is judged by does not.
    worse = creators.register(planners[1].path, tags={"share_of_bound": "0.96", "oracle_ratio": "0.99"})
    assert worse.aliases == ("challenger",)
    assert worse.note.endswith("mean share of the bound 0.9600 is not above the champion's 0.9700")
    better = creators.register(planners[2].path, tags={"share_of_bound": "0.98"})
    assert better.aliases == ("challenger", "champion")
    assert creators.rollback(actor="an operator").number == 1
    assert creators.promote(2, actor="an operator", reason="tried").aliases == ("champion",)
    assert splits.get("champion").number == 1

    fetched = creators.fetch("champion", out / "bundle")
    assert isinstance(fetched, BundledPlanner)
    assert fetched.digest == planners[1].digest
    with pytest.raises(BundleError, match="kind 'creators' where one of kind 'split' is asked for"):
        splits.register(planners[0].path)


def test_the_registered_model_plans_a_brief(planners: list[BundledPlanner], tmp_path: Path) -> None:
    registry = Registry.of(CONFIG, tmp_path / "out")
    version = registry.register(planners[0].path, tags={"share_of_bound": "0.97"})
    brief = brief_of(CATALOGUE, CONFIG.creators.briefs, 0)
    tree = {
        "budget": brief.budget,
        "currency": "EUR",
        "channels": ["tiktok"],
        "phases": ["launch"],
        "tiers": {"all": 0},
    }
    code = (
        "import sys, json, mlflow, pandas; mlflow.set_tracking_uri(sys.argv[1]); mlflow.set_registry_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model('models:/crossmix-creators@champion')\n"
        "answer = model.predict(pandas.DataFrame({'brief': [sys.argv[2]]}))\n"
        "print(json.loads(answer['plan'][0])['effect'])\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, registry.uri, json.dumps(tree)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert version.number == 1
    assert float(done.stdout.split()[-1]) > 0
