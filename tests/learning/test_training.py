"""Learning: to a threshold on a known market, the same after a kill, and PPO's parts in closed form."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from crossmix.agents import ppo
from crossmix.agents.policy import Policy
from crossmix.baselines import COMPETITORS
from crossmix.config import Config, load
from crossmix.evaluate.judge import from_state, oracle, play, summarise
from crossmix.market.model import save
from crossmix.train import TrainingError, _finite, load_policy, train
from tests.markets import make_market

SMALL = [
    "train.pathwise.updates=200",
    "train.pathwise.batch=64",
    "train.pathwise.hidden=[128,128]",
    "train.cycles=50",
    "train.episodes=32",
    "train.parallel=16",
    "evaluate.market_seeds=6",
    "evaluate.cycles=10",
]


def _config(*more: str) -> Config:
    return load("laptop", [*SMALL, *more])


def _folders(root: Path, *names: str) -> list[Path]:
    folders = [root / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


def test_the_policy_learns_to_beat_every_simple_competitor(tmp_path: Path) -> None:
    market = make_market(maximum=0.5)
    fitted, out, work = _folders(tmp_path, "market", "out", "work")
    save(market, fitted)
    curve = train(_config(), fitted, out, work)
    assert curve["best"]["validation_ratio"] > 0.96
    assert curve["uniform_ratio"] < 0.9
    actor = load_policy(out)
    players = {"policy": from_state(lambda s, low, high, _: actor(s, low, high)), "oracle": oracle}
    players |= {name: from_state(make(market)) for name, make in COMPETITORS.items() if name != "plug_in"}
    records = {name: play(market, _config(), act, name) for name, act in players.items()}
    table = summarise(records, {}, _config(), market.platforms)
    assert table["policy"]["oracle_ratio"]["mean"] > 0.95
    assert records["policy"].breaks == 0
    for name in ("uniform", "static", "control", "rule", "windowed_roi"):
        assert table[name]["difference"]["ci95"][0] > 0, name
        assert table[name]["oracle_ratio"]["mean"] < 1, name


def test_a_killed_training_ends_with_the_same_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = make_market()
    fitted, whole, whole_work, cut, cut_work = _folders(tmp_path, "m", "a", "aw", "b", "bw")
    save(market, fitted)
    train(_config(), fitted, whole, whole_work)

    import crossmix.train as module

    real, calls = module.validate, {"n": 0}

    def dies(*args, **kwargs):
        calls["n"] += 1
        if calls["n"] == 4:  # in the third pathwise episode
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "validate", dies)
    with pytest.raises(KeyboardInterrupt):
        train(_config(), fitted, cut, cut_work)
    monkeypatch.setattr(module, "validate", real)
    train(_config(), fitted, cut, cut_work)
    ours, theirs = (torch.load(folder / "policy.pt", weights_only=True)["policy"] for folder in (whole, cut))
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def test_a_checkpoint_of_another_market_is_not_resumed(tmp_path: Path) -> None:
    first, second, out, work = _folders(tmp_path, "m1", "m2", "out", "work")
    save(make_market(0), first)
    save(make_market(1), second)
    tiny = _config("train.pathwise.updates=50", "train.episodes=16")
    train(tiny, first, out, work)
    before = torch.load(out / "policy.pt", weights_only=True)["policy"]
    train(tiny, second, out, work)
    after = torch.load(out / "policy.pt", weights_only=True)["policy"]
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_loss_that_is_not_finite_stops_and_names_itself(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"ppo actor loss is nan.*last good checkpoint"):
        _finite("ppo actor loss", math.nan, tmp_path / "checkpoint.pt")


def test_advantages_by_hand() -> None:
    reward, value = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[0.5], [0.5], [0.5]])
    discount, trace = 0.9, 0.8
    last = 3 - 0.5
    middle = 2 + discount * 0.5 - 0.5 + discount * trace * last
    first = 1 + discount * 0.5 - 0.5 + discount * trace * middle
    torch.testing.assert_close(
        ppo.advantages(reward, value, discount, trace), torch.tensor([[first], [middle], [last]])
    )
    # Discount 0: nothing but the cycle's own surprise.
    torch.testing.assert_close(ppo.advantages(reward, value, 0.0, trace), reward - value)


def test_density_and_entropy_are_the_gaussians() -> None:
    mean, log_sigma, logits = torch.randn(4, 3), torch.tensor([0.1, -0.2, 0.0]), torch.randn(4, 3)
    law = torch.distributions.Independent(torch.distributions.Normal(mean, log_sigma.exp()), 1)
    torch.testing.assert_close(ppo.log_density(mean, log_sigma, logits), law.log_prob(logits))
    torch.testing.assert_close(ppo.entropy(log_sigma), law.entropy()[0])


def test_a_fresh_policy_starts_near_the_uniform_split() -> None:
    torch.manual_seed(0)
    share = Policy(10, (64, 64)).raw(torch.randn(8, 640))
    assert float((share - 0.1).abs().max().detach()) < 0.03
