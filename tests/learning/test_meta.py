"""Meta-training: a killed one ends with the same start, and a loss that is not finite stops it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from crossmix.agents.maml import MAML
from crossmix.config import load
from crossmix.market.model import save
from crossmix.training.loop import train
from crossmix.training.meta import meta
from crossmix.training.policy_file import AdaptationStart
from crossmix.training.run import TrainingError
from tests.support.markets import make_market

SMALL = ["train.agent=pathwise", "train.pathwise.updates=40", "train.pathwise.batch=32", "train.cycles=20"]
SMALL += ["train.pathwise.hidden=[16,16]", "meta.iterations=4", "meta.validate_every=2", "meta.batch=6"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    market, policy = tmp_path_factory.mktemp("market"), tmp_path_factory.mktemp("policy")
    save(make_market(platforms=4), market)
    train(load("laptop", SMALL), market, policy)
    return market, policy


def _folder(root: Path, name: str) -> Path:
    (root / name).mkdir()
    return root / name


def test_a_killed_meta_training_ends_with_the_same_start(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load("laptop", SMALL)
    whole = _folder(tmp_path, "whole")
    told = meta(config, *trained, whole, _folder(tmp_path, "w1"))
    assert [point["iteration"] for point in told["points"]] == [0, 2, 4]
    real, calls = MAML.update, {"n": 0}

    def dies(self, *args):
        calls["n"] += 1
        if calls["n"] == 4:
            raise KeyboardInterrupt
        return real(self, *args)

    monkeypatch.setattr(MAML, "update", dies)
    cut, work = _folder(tmp_path, "cut"), _folder(tmp_path, "w2")
    with pytest.raises(KeyboardInterrupt):
        meta(config, *trained, cut, work)
    monkeypatch.setattr(MAML, "update", real)
    meta(config, *trained, cut, work)
    ours, theirs = (AdaptationStart.load(folder) for folder in (whole, cut))
    assert torch.equal(ours.log_rates, theirs.log_rates)
    assert list(ours.rates()) == list(told["rates"])
    for name, value in ours.weights.items():
        assert torch.equal(value, theirs.weights[name]), name
    told = [
        [point["adapted"] for point in json.loads((folder / "meta.json").read_text())["points"]]
        for folder in (whole, cut)
    ]
    assert told[0] == told[1]
    # The base policy is where it starts: nothing of the trained policy's file is changed.
    assert told[0][0] == pytest.approx(1, abs=0.05)


def test_a_loss_that_is_not_finite_stops_and_is_named(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MAML, "update", lambda self, *args: math.nan)
    with pytest.raises(TrainingError, match=r"meta loss is nan.*no checkpoint yet.*meta\.outer_rate"):
        meta(load("laptop", SMALL), *trained, _folder(tmp_path, "out"), _folder(tmp_path, "work"))
