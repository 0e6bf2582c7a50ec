"""Alignment: a planted bias is found, the policy is kept only if it is not worse, and what the step writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from crossmix.config import Config, load
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market, save
from crossmix.market.model import load as load_market
from crossmix.training import align as module
from crossmix.training.align import (
    QUANTITIES,
    Logged,
    Simulation,
    align_market,
    align_policy,
    scaled,
)
from crossmix.training.loop import train
from crossmix.training.policy_file import POLICY_FILES, load_policy
from crossmix.training.run import TrainingError
from tests.support.markets import make_market

PLATFORMS = 4
SMALL = ["align.hidden=[64,64]", "align.batch=64", "train.agent=pathwise", "train.pathwise.updates=60"]
SMALL += ["train.pathwise.batch=64", "train.pathwise.hidden=[32,32]", "train.cycles=20", "align.updates=20"]


def _config(*more: str) -> Config:
    return load("laptop", [*SMALL, *more])


def _world(market: Market, mechanism: str = "expected", rows: int = 6) -> MarketEnvironment:
    campaigns = torch.arange(rows) % len(market.campaigns)
    return MarketEnvironment(market, _config(), campaign_B=campaigns, cycles=20, mechanism=mechanism, seed=3)


def _log_of(market: Market, config: Config, cycles: int = 120) -> Logged:
    """What a log of the market holds, under splits that vary."""
    simulation = Simulation(config, market, 4, seed=77)
    generator = torch.Generator().manual_seed(8)
    rows, shares = [], []
    for _ in range(cycles):
        share = torch.softmax(0.4 * torch.randn(4, len(market.platforms), generator=generator), 1)
        rows.append(simulation.transition(share).detach())
        shares.append(share[: len(market.campaigns)])
    return Logged(torch.cat(rows[10:]), torch.stack(shares))


@pytest.mark.parametrize(
    ("quantity", "platform", "factor"), [("ctr", 1, 1.6), ("level", 2, 0.65), ("cvr", 0, 1.7), (None, 0, 1.0)]
)
def test_a_planted_bias_is_found_and_nothing_else(quantity: str | None, platform: int, factor: float) -> None:
    config = _config("align.iterations=500", "align.market_rate=0.02")
    reality = make_market(platforms=PLATFORMS, drift=0.1)
    bias = torch.zeros(len(QUANTITIES), PLATFORMS)
    if quantity:
        bias[QUANTITIES.index(quantity), platform] = -math.log(factor)
    theta, told = align_market(config, scaled(reality, bias), _log_of(reality, config))
    found = theta.exp()
    if quantity:
        place = (QUANTITIES.index(quantity), platform)
        # The prior shrinks: two thirds of the planted logarithm must be found.
        assert 0.66 < math.log(found[place]) / math.log(factor) < 1.2
        found[place] = 1.0
    # Less than half of the smallest planted one.
    assert float(found.log().abs().max()) < 0.25
    assert {"discriminator_loss", "generator_loss", "accuracy_held_out"} <= told.keys()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    market, policy = tmp_path_factory.mktemp("market"), tmp_path_factory.mktemp("policy")
    save(make_market(platforms=PLATFORMS, drift=0.1), market)
    train(_config(), market, policy)
    return market, policy


def test_eq_6_moves_the_policy_towards_the_logged_splits(trained: tuple[Path, Path]) -> None:
    # Why eq. 6 cannot help an allocator: D sees the share, and the log's shares are the plan's.
    market = load_market(trained[0])
    config = _config("align.weight=5.0", "align.iterations=150", "align.policy_rate=0.001", "align.learning_rate=0.001")
    logged = _log_of(market, config)
    before, policy = load_policy(trained[1]), load_policy(trained[1])
    after, told = align_policy(config, market, logged, policy)
    seen = _world(market, "counts", 32).observe()
    mean = logged.share_TCP.mean((0, 1))
    distance = [
        float((one(seen.state_BS, seen.low_BP, seen.high_BP).mean(0) - mean).abs().sum().detach())
        for one in (before, after)
    ]
    assert distance[1] < 0.8 * distance[0]
    assert len(told["generator_loss"]) == 50


@pytest.mark.parametrize("target", ["market", "policy", "off"])
def test_the_step_writes_a_policy_and_says_what_it_kept(
    target: str, trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = load_market(trained[0])
    config = _config(f"align.target={target}", "align.iterations=60", "align.prior=0.01")
    monkeypatch.setattr(module, "transitions", lambda *_: _log_of(market, config))
    told = module.align(config, tmp_path, *trained, tmp_path)
    assert told == json.loads((tmp_path / "align.json").read_text())
    ours, theirs = load_policy(tmp_path).state_dict(), load_policy(trained[1]).state_dict()
    same = all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert same == (told["kept"] == "trained")
    assert (tmp_path / "curve.json").read_bytes() == (trained[1] / "curve.json").read_bytes()
    if target != "off":
        assert (told["kept"] == "aligned") <= (told["validation_aligned"] >= told["validation_trained"])


def test_a_log_that_says_too_little_moves_nothing(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, config = load_market(trained[0]), _config()
    short = _log_of(market, config, cycles=20)
    monkeypatch.setattr(module, "transitions", lambda *_: short)
    told = module.align(config, tmp_path, *trained, tmp_path)
    assert told == {"target": "market", "kept": "trained", "too_few": 40, "enough": 100}
    for name in POLICY_FILES:
        assert (tmp_path / name).read_bytes() == (trained[1] / name).read_bytes()


def test_a_loss_that_is_not_finite_stops_and_names_itself(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market, config = load_market(trained[0]), _config("align.iterations=5")
    logged = _log_of(market, config)
    logged.transition_NX[:] = math.nan
    monkeypatch.setattr(module, "transitions", lambda *_: logged)
    with pytest.raises(TrainingError, match=r"align: discriminator loss is nan.*align\.learning_rate"):
        module.align(config, tmp_path, *trained, tmp_path)
