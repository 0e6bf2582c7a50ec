"""A new learner is one file: written into the package, it is known to config, help, training, report and step keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEARNER = '''
"""Random search: move the last layer's bias at random, and stay where an episode earned more."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from crossmix.agents.learner import AGENTS, Agent, Learner, Setup, figures_of
from crossmix.config import STRICT, Positive


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomSearchConfig:
    __pydantic_config__ = STRICT
    spread: Positive = 0.3
    """Deviation of a move, logits."""


@dataclass(frozen=True)
class RoundResult:
    reward: float
    spread: float

    def figures(self):
        return figures_of("search", self)


class RandomSearch:
    environments, replay, log_sigma_P = 1, None, None

    def __init__(self, policy, settings):
        self.policy, self.settings, self.best = policy, settings, -1e9

    def begin(self):
        self.policy.head.bias.requires_grad_(False)

    def play(self, environments, cycles, generator):
        before = self.policy.head.bias.clone()
        self.policy.head.bias += self.settings.spread * torch.randn(len(before), generator=generator)
        (environment,) = environments
        observation, reward = environment.observe(), 0.0
        for _ in range(cycles):
            step = environment.step(self.policy.raw(observation.state_BS).detach())
            observation, reward = step.observation, reward + float(step.reward_B.mean())
        if reward < self.best:
            self.policy.head.bias.copy_(before)
        self.best = max(self.best, reward)
        return RoundResult(self.best, self.settings.spread)

    def state_dict(self):
        return {"best": self.best}

    def load_state_dict(self, kept):
        self.best = kept["best"]


def build(setup: Setup) -> Learner:
    return RandomSearch(setup.policy, setup.settings)


AGENTS.register(
    Agent(
        name="search",
        label="random search",
        build=build,
        settings=RandomSearchConfig,
        curves={"search_reward": "best reward of an episode"},
    )
)
'''
TRAIN = """
import json, sys
from pathlib import Path
from crossmix.config import load
from crossmix.market.model import save
from crossmix.report.inputs import ReportInputs
from crossmix.report.page import render
from crossmix.training.loop import train
from tests.support.markets import make_market

out = Path(sys.argv[1])
market = out / "market"
market.mkdir()
save(make_market(drift=0.1), market)
small = ["train.agent=search", "train.plan=false", "train.episodes=96", "train.parallel=4", "train.cycles=10"]
config = load("laptop", [*small, "train.settings.spread=0.5"])
curve = train(config, market, out / "train")
page = render(ReportInputs.collect({"train": out / "train"}))
print(json.dumps({"curve": curve, "page": page}))
"""
KEYS = """
from components.cache import code_digest
print(code_digest("crossmix.registry.step_train"))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with one file more."""
    root = tmp_path_factory.mktemp("tree")
    for package in ("crossmix", "components", "pipelines"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "crossmix" / "agents" / "search.py").write_text(LEARNER)
    return root


def python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the copy in front of everything."""
    path = os.pathsep.join([str(tree), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def cli(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(tree, "-m", "pipelines.cli.main", *arguments)


def test_help_and_config_know_it(tree: Path) -> None:
    assert "train.agent: ddpg, hybrid, mpc, pathwise, ppo, search" in " ".join(
        cli(tree, "config", "--help").stdout.split()
    )
    printed = cli(tree, "config", "--set", "train.agent=search", "--set", "train.settings.spread=0.5").stdout
    assert "train.agent=search\n" in printed
    assert 'train.settings={"spread": 0.5}\n' in printed
    refused = cli(tree, "config", "--set", "train.agent=serch")
    assert refused.returncode == 2
    assert "train.agent: 'serch' is unknown; use one of ddpg, hybrid, mpc, pathwise, ppo, search" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["train.settings.spred=0.5"], "train.settings.spred: unknown config key; use spread"),
        (["train.settings.spread=-1"], "train.settings.spread: -1 does not fit: Input should be greater than 0"),
        (["train.agent=ppo", "train.settings.spread=1"], "agent 'ppo' has no settings of its own; drop the key"),
    ],
)
def test_a_run_refuses_settings_that_do_not_fit_before_it_starts(
    settings: list[str], sentence: str, tree: Path, tmp_path: Path
) -> None:
    pairs = [part for item in ["train.agent=search", *settings] for part in ("--set", item)]
    done = cli(tree, "run", "--out", str(tmp_path / "out"), *pairs)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()


def test_it_trains_and_the_report_names_it(tree: Path, tmp_path: Path) -> None:
    done = python(tree, "-c", TRAIN, str(tmp_path))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    curve, page = told["curve"], told["page"]
    assert (curve["agent"], curve["stopped"]) == ("search", "all 24 rounds played")
    assert {point["phase"] for point in curve["points"]} == {"search"}
    assert curve["points"][-1]["search_spread"] == 0.5
    assert curve["best"]["validation_ratio"] > curve["uniform_ratio"] + 0.01
    assert "Agent: random search (search)." in page
    assert "best reward of an episode" in page


def test_a_change_of_its_file_is_another_step(tree: Path) -> None:
    before = python(tree, "-c", KEYS).stdout
    assert len(before.strip()) == 64
    file = tree / "crossmix" / "agents" / "search.py"
    file.write_text(f"{LEARNER}\n# changed\n")
    after = python(tree, "-c", KEYS).stdout
    file.write_text(LEARNER)
    assert len({before, after}) == 2
    assert python(tree, "-c", KEYS).stdout == before


def test_the_report_titles_every_declared_curve() -> None:
    from crossmix.agents.learner import AGENTS
    from crossmix.report.training import headings

    titles: dict[str, str] = {}
    for agent in AGENTS.all():
        titles |= agent.curves
    assert headings() == titles
    assert {"ddpg_critic_loss", "ppo_kl"} <= titles.keys()
