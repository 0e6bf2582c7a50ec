"""What is served is what is learned from: the log of an exploring server gives an unchanged policy the weight 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix import bundle, state
from crossmix.agents.online import Feedback, OnlineResult, update
from crossmix.agents.policy import Policy
from crossmix.clock import MemoryClock
from crossmix.config import Config, Online, load
from crossmix.constraints import Limits
from crossmix.evaluate.stats.off_policy import estimate
from crossmix.exploration import Exploration
from crossmix.ledger import served
from crossmix.ledger.feedback import Event, insert
from serving.allocation import question
from serving.allocation.answer import Answerer
from serving.live.champion import Champion
from serving.live.live import Live

CAMPAIGNS = tuple(f"campaign{number:02d}" for number in range(40))
BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)


@dataclass
class Log:
    """What a server wrote down of a cycle of every campaign, and the policy that served it."""

    policy: Policy
    feedback: Feedback
    config: Config


@pytest.fixture(scope="module", params=[2, 10])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """Served by the real answerer, written by its recorder, read back from the ledger once the cycle is over."""
    folder, platforms = tmp_path_factory.mktemp(f"served{request.param}"), request.param
    config = load("laptop")
    torch.manual_seed(platforms)
    policy = Policy(platforms, (16,), 8).eval()
    torch.nn.init.normal_(policy.head.weight, std=1.0)
    live = _live(folder, policy, config)
    questions = {"instances": [{"campaign_id": name} for name in CAMPAIGNS]}
    answers = Answerer(live).answer(question.of_instances(questions, live.bundle.layout), "policy")
    assert all(answer["explored"] for answer in answers)
    assert live.recorder.flush()
    roi = np.linspace(0, 2, len(CAMPAIGNS))
    insert(
        live.store,
        [
            Event(name, name, "policy", "platform0", 0, 0, None, None, 100.0, 10.0, 1.0, one * answer["budget"], 50.0)
            for name, answer, one in zip(CAMPAIGNS, answers, roi, strict=True)
        ],
        BEGINS,
    )
    rows = served.read(live.store, live.platforms, BEGINS + timedelta(days=1)).learnable()
    assert [rows.campaigns[index] for index in rows.campaign_N] == list(CAMPAIGNS)
    np.testing.assert_allclose(rows.roi_N, roi)
    feedback = Feedback(
        torch.from_numpy(rows.state_NS),
        torch.from_numpy(rows.logits_NP).float(),
        torch.from_numpy(rows.log_density_N).float(),
        torch.from_numpy(rows.roi_N - 1).float(),
        torch.zeros(len(rows), dtype=torch.long),
    )
    yield Log(policy, feedback, config)
    live.stop()


def _live(folder: Path, policy: Policy, config: Config) -> Live:
    platforms = tuple(f"platform{slot}" for slot in range(policy.platforms))
    rng = np.random.default_rng(0)
    made = bundle.save(
        folder / "bundle",
        policy,
        config=config,
        platforms=platforms,
        limits=dict.fromkeys(CAMPAIGNS, Limits.free(len(platforms))),
        plans={name: bundle.Plan(1_000.0, "EUR", (1 / len(platforms),) * len(platforms)) for name in CAMPAIGNS},
        contexts={name: rng.normal(size=state.ALLOCATION.context_size) for name in CAMPAIGNS},
        responses=None,
        data_digest="d" * 64,
    )
    champion = Champion(folder / "own", None, made.path)
    database, clock = f"sqlite:///{folder / 'serving.db'}", MemoryClock(BEGINS)
    live = Live(config, folder / "own", database, champion, folder / "no_features", clock)
    live.reload()
    return live


def test_the_unchanged_policy_has_weight_one(log: Log) -> None:
    """On two densities, of the cut and the uncut Gaussian, it had 0.911 at 2 platforms and 0.628 at 10."""
    feedback, law = log.feedback, Exploration.of(log.config)
    with torch.no_grad():
        density = law.log_density(log.policy.logits(feedback.state_NS), feedback.logits_NP)
    ratio = (density - feedback.log_density_N).exp()
    # float32 logits of ONNX Runtime and of torch, at a deviation of 0.01.
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-3)


def test_no_row_loses_its_gradient(log: Log) -> None:
    """With weights of 0.628 and clip 0.2, a first step had none from any row that did worse than the mean."""
    settings = replace(Online(), learning_rate=1e-6, epochs=1, max_kl=None)
    plain, clipped = (_learn(log, replace(settings, clip=clip)) for clip in (None, 0.2))
    for result in (plain, clipped):
        assert result.steps == 1
        assert result.effective > 0.85 * len(log.feedback)
    # The gradient of clipped weights around 1 is eq. 12's own: Adam's first step is that of its signs.
    moved = [
        torch.cat(
            [(new - old).flatten() for new, old in zip(one.policy.parameters(), log.policy.parameters(), strict=True)]
        )
        for one in (plain, clipped)
    ]
    assert float(moved[0].abs().max().detach()) > 0
    assert float(torch.nn.functional.cosine_similarity(*moved, dim=0).detach()) > 0.999


def test_the_log_says_of_the_policy_that_served_what_it_earned(log: Log) -> None:
    feedback, law = log.feedback, Exploration.of(log.config)
    with torch.no_grad():
        density = law.log_density(log.policy.logits(feedback.state_NS), feedback.logits_NP)
    reward = 1 + feedback.reward_N.square()
    told = estimate(density, feedback.log_density_N, reward)
    assert told.effective == pytest.approx(len(feedback), rel=1e-3)
    assert told.covered == pytest.approx(1, abs=1e-3)
    for one in (told.ips, told.snips):
        assert one.value == pytest.approx(told.logged.value, rel=1e-3)


def _learn(log: Log, settings: Online) -> OnlineResult:
    return update(log.policy, Exploration.of(log.config), log.feedback, 1, settings)
