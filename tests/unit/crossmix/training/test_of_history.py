"""Steps that a spend history has no use for: what they leave is what training gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from crossmix.artifacts import Alignment, MetaTraining
from crossmix.config import Config, load
from crossmix.market.model import Market, save
from crossmix.training.align import align
from crossmix.training.loop import train
from crossmix.training.meta import meta
from crossmix.training.policy_file import AdaptationStart, load_policy
from tests.support.markets import make_market, of_totals

SMALL = ["train.pathwise.hidden=[16,16]", "train.cycles=6", "train.pathwise.batch=16", "meta.batch=8", "meta.steps=1"]


@pytest.fixture(scope="module")
def config() -> Config:
    return load("laptop", SMALL)


@pytest.fixture(scope="module")
def market() -> Market:
    return of_totals(make_market(platforms=3, campaigns=1))


@pytest.fixture(scope="module")
def trained(config: Config, market: Market, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("history")
    for name in ("market", "policy"):
        (root / name).mkdir()
    save(market, root / "market")
    train(config, root / "market", root / "policy")
    return root


def test_training_keeps_the_plan(trained: Path, market: Market) -> None:
    curve = json.loads((trained / "policy" / "curve.json").read_text())
    assert (curve["agent"], curve["best"]["phase"], len(curve["points"])) == ("mpc", "mpc", 1)
    assert curve["best"]["validation_ratio"] > curve["uniform_ratio"]


def test_alignment_is_off_and_leaves_the_policy(trained: Path, config: Config, tmp_path: Path) -> None:
    out = tmp_path / "aligned"
    out.mkdir()
    align(config, tmp_path / "no dataset is read", trained / "market", trained / "policy", out)
    report = Alignment.load(out)
    assert (report.target, report.kept) == ("off", "trained")
    assert (out / "policy.safetensors").read_bytes() == (trained / "policy" / "policy.safetensors").read_bytes()


def test_readaptation_starts_from_the_policy_as_it_is(trained: Path, config: Config, tmp_path: Path) -> None:
    out = tmp_path / "meta"
    out.mkdir()
    meta(config, trained / "market", trained / "policy", out, tmp_path / "work")
    told, start = MetaTraining.load(out), AdaptationStart.load(out)
    assert (told.iterations, told.best, len(told.points)) == (0, 0, 1)
    kept = load_policy(trained / "policy").state_dict()
    assert all(torch.equal(weight, kept[name]) for name, weight in start.weights.items())
    assert told.rates == pytest.approx(dict.fromkeys(told.rates, config.meta.inner_rate))
