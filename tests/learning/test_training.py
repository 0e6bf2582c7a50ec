"""Learning: to a threshold on a known market, the same after a kill, and PPO's parts in closed form."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossmix.agents import ppo
from crossmix.agents.policy import Policy
from crossmix.baselines.registry import state_readers
from crossmix.config import Config, load
from crossmix.evaluate.judge import act_of, from_state, judge_act, oracle, summarise
from crossmix.market.model import save
from crossmix.training.loop import train
from crossmix.training.policy_file import POLICY_FILES, TrainedPolicy, load_policy
from crossmix.training.run import TrainingError
from tests.support.markets import make_market

SMALL = [
    "train.pathwise.updates=200",
    "train.pathwise.batch=64",
    "train.pathwise.hidden=[128,128]",
    "train.ddpg.critic_hidden=[64,64]",
    "train.ddpg.batch=64",
    "train.ddpg.warm_up=20",
    "train.cycles=50",
    "train.episodes=64",
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
    players |= {one.name: act_of(one, market) for one in state_readers() if one.name != "plug_in"}
    records = {name: judge_act(market, _config(), act, name) for name, act in players.items()}
    table = summarise(records, {}, _config(), market.platforms)
    assert table["policy"]["oracle_ratio"]["mean"] > 0.95
    assert records["policy"].breaks == 0
    for name in ("uniform", "static", "control", "rule", "windowed_roi"):
        assert table[name]["difference"]["ci95"][0] > 0, name
        assert table[name]["oracle_ratio"]["mean"] < 1, name


@pytest.mark.parametrize("validations", [4, 7], ids=["pathwise", "hybrid"])
def test_a_killed_training_ends_with_the_same_policy(
    validations: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = make_market()
    fitted, whole, whole_work, cut, cut_work = _folders(tmp_path, "m", "a", "aw", "b", "bw")
    save(market, fitted)
    train(_config(), fitted, whole, whole_work)

    import crossmix.training.loop as module

    real, calls = module.validate, {"n": 0}

    def dies(*args, **kwargs):
        calls["n"] += 1
        if calls["n"] == validations:  # the first is of the uniform split, the next four are of the pathwise phase
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "validate", dies)
    with pytest.raises(KeyboardInterrupt):
        train(_config(), fitted, cut, cut_work)
    monkeypatch.setattr(module, "validate", real)
    train(_config(), fitted, cut, cut_work)
    ours, theirs = (TrainedPolicy.load(folder).weights for folder in (whole, cut))
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


def test_a_checkpoint_of_another_market_is_not_resumed(tmp_path: Path) -> None:
    first, second, out, work = _folders(tmp_path, "m1", "m2", "out", "work")
    save(make_market(0), first)
    save(make_market(1), second)
    tiny = _config("train.pathwise.updates=50", "train.episodes=16")
    train(tiny, first, out, work)
    before = TrainedPolicy.load(out).weights
    train(tiny, second, out, work)
    after = TrainedPolicy.load(out).weights
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("agent", "broken", "named"),
    [
        ("ppo", "crossmix.agents.ppo.update", "ppo actor loss is nan"),
        ("ppo", "parameter", r"policy parameter trunk\.0\.weight is nan"),
    ],
)
def test_what_is_not_finite_stops_the_training_and_is_named(
    agent: str, broken: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, out, work = _folders(tmp_path, "m", "out", "work")
    save(make_market(), fitted)
    real, calls = ppo.update, {"n": 0}

    def breaks(*args, **kwargs):
        result = real(*args, **kwargs)
        calls["n"] += 1
        if calls["n"] < 2:
            return result
        if broken == "parameter":
            with torch.no_grad():
                args[0].trunk[0].weight[3, 7] = math.nan
            return result
        return replace(result, actor_loss=math.nan)

    monkeypatch.setattr(ppo, "update", breaks)
    config = _config(f"train.agent={agent}", "train.episodes=64", "train.cycles=10")
    with pytest.raises(TrainingError, match=rf"{named}.*last good checkpoint is .*checkpoint\.pt.*learning rate"):
        train(config, fitted, out, work)
    kept = torch.load(work / "checkpoint.pt", weights_only=True)
    assert kept["progress"]["update"] == 1
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept["policy"].values())
    assert not any((out / name).exists() for name in POLICY_FILES)


@pytest.mark.parametrize("agent", ["ddpg", "ppo", "hybrid"])
def test_each_algorithm_learns_from_the_uniform_split(agent: str, tmp_path: Path) -> None:
    market = make_market(drift=0.1)
    fitted, out = _folders(tmp_path, "m", "out")
    save(market, fitted)
    more = {"ddpg": ["train.episodes=160"], "ppo": ["train.episodes=240"], "hybrid": ["train.episodes=128"]}[agent]
    told: list[dict] = []
    config = _config(f"train.agent={agent}", "train.start=fresh", "train.plan=false", "train.parallel=16", *more)
    curve = train(config, fitted, out, listener=told.append)
    assert told == curve["points"]
    assert {point["phase"] for point in told} == {agent}
    # Half of what the uniform split leaves on the table, with every platform still in play. DDPG by itself swings from
    # update to update, by seed and by a processor's rounding: 0.38 to 0.63 of it, over six seeds; a quarter is asked.
    part = 0.25 if agent == "ddpg" else 0.5
    assert curve["best"]["validation_ratio"] > part + (1 - part) * curve["uniform_ratio"]
    assert min(told[-1]["share"]) > 0.001
    names = {"ddpg": {"ddpg_critic_loss", "ddpg_actor_loss"}, "ppo": {"ppo_entropy", "ppo_kl"}}
    wanted = names.get(agent) or names["ddpg"] | names["ppo"]
    assert wanted <= told[0].keys()


def test_a_training_that_stops_improving_stops_and_says_why(tmp_path: Path) -> None:
    fitted, out = _folders(tmp_path, "m", "out")
    save(make_market(), fitted)
    # A rate of next to nothing cannot improve on the pathwise actor.
    config = _config("train.pathwise.updates=50", "train.fine_tuning=1e-9", "train.patience=2", "train.cycles=10")
    curve = train(config, fitted, out)
    assert curve["stopped"] == "no better validation in 2 rounds"
    assert [point["update"] for point in curve["points"] if point["phase"] == "hybrid"] == [1, 2]
    assert curve["best"]["phase"] == "pathwise"


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
