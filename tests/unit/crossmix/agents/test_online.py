"""Online updates: the gradient of eq. 12 by hand, the step size, the trust region, learning from a log alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossmix.agents.online import Feedback, FeedbackError, _advantage, explore, update
from crossmix.agents.policy import Policy
from crossmix.config import Online, load
from crossmix.exploration import Exploration
from crossmix.state import ALLOCATION

STRICT = load("strict").online


def _policy(seed: int = 0) -> Policy:
    torch.manual_seed(seed)
    return Policy(4, (16,), 8).eval()


def _feedback(policy: Policy, rows: int, seed: int, best: int = 2) -> Feedback:
    """Cycles whose reward grows with platform `best`'s share, on a level that differs by campaign."""
    generator = torch.Generator().manual_seed(seed)
    state = 0.1 * torch.randn(rows, ALLOCATION.size, generator=generator)
    logits, density = explore(policy, LAW, state, generator)
    group = torch.arange(rows) % 3
    reward = torch.softmax(logits, 1)[:, best] + 10.0 * group + 0.02 * torch.randn(rows, generator=generator)
    return Feedback(state, logits, density, reward, group)


LAW = Exploration(0.3, 2.0)


def test_eq_12_is_the_score_times_the_reward() -> None:
    policy = _policy()
    feedback = _feedback(policy, 32, 1)
    settings = replace(STRICT, batch=32, learning_rate=1e-3)
    by_hand = _policy()
    density = LAW.log_density(by_hand.logits(feedback.state_NS), feedback.logits_NP)
    (-(density * feedback.reward_N).mean()).backward()
    torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 1.0)
    optimiser = torch.optim.Adam(by_hand.parameters(), 1e-3 / 2)  # day 4: eta_0 / sqrt(4)
    optimiser.step()
    found = update(policy, LAW, feedback, 4, settings)
    assert found.steps == 1
    for name, value in by_hand.named_parameters():
        torch.testing.assert_close(found.policy.get_parameter(name), value)
    # The policy that served is untouched.
    for name, value in _policy().named_parameters():
        assert torch.equal(policy.get_parameter(name), value)


def test_eq_12_leaves_out_what_the_policy_can_no_longer_sample() -> None:
    policy = _policy()
    feedback = _feedback(policy, 32, 1)
    other = _policy()
    with torch.no_grad():
        other.head.bias[0] += 0.5 * LAW.sigma
    beyond = LAW.log_density(other.logits(feedback.state_NS), feedback.logits_NP).isneginf()
    assert 0 < int(beyond.sum()) < 16
    moved = replace(feedback, reward_N=torch.where(beyond, 1_000.0, feedback.reward_N))
    plain = replace(STRICT, batch=32, learning_rate=1e-3)
    for settings in (plain, replace(plain, clip=0.2)):
        ours, theirs = (update(other, LAW, one, 1, settings) for one in (feedback, moved))
        for name, value in ours.policy.named_parameters():
            assert torch.equal(value, theirs.policy.get_parameter(name)), name
        assert ours.effective <= 32 - int(beyond.sum())


def test_the_baseline_is_the_campaigns_own_mean() -> None:
    feedback = _feedback(_policy(), 30, 2)
    advantage = _advantage(feedback, Online())
    for group in range(3):
        assert float(advantage[feedback.group_N == group].mean()) == pytest.approx(0, abs=1e-4)
    assert float(advantage.square().mean()) == pytest.approx(1, rel=1e-4)
    assert torch.equal(_advantage(feedback, STRICT), feedback.reward_N)


def test_days_of_logged_feedback_teach_the_better_platform() -> None:
    policy = start = _policy()
    settings = replace(Online(), learning_rate=3e-3, epochs=4, max_kl=0.3)
    for day in range(1, 15):
        policy = update(policy, LAW, _feedback(policy, 256, day), day, settings).policy
    state = 0.1 * torch.randn(200, ALLOCATION.size, generator=torch.Generator().manual_seed(99))
    before, after = (float(one.raw(state)[:, 2].mean().detach()) for one in (start, policy))
    assert after > before + 0.05


def test_an_update_ends_before_it_leaves_the_trust_region() -> None:
    policy = _policy()
    feedback = _feedback(policy, 256, 3)
    settings = replace(Online(), learning_rate=0.01, batch=32)
    bounded = update(policy, LAW, feedback, 1, settings)
    free = update(policy, LAW, feedback, 1, replace(settings, max_kl=None))
    assert bounded.kl <= 0.05 < free.kl
    assert bounded.steps < free.steps == 8
    assert free.effective < bounded.effective <= 256
    # What it tells of the move is what the policies show.
    gap = (bounded.policy.logits(feedback.state_NS) - policy.logits(feedback.state_NS)) / LAW.sigma
    assert bounded.kl == pytest.approx(float(0.5 * gap.square().sum(1).mean().detach()), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("reward_N", torch.ones(7), r"reward_N: shape \(7,\), want \(8,\)"),
        ("reward_N", torch.full((8,), torch.nan), "reward_N: row 0 is not finite"),
        ("state_NS", torch.ones(8, 639), r"state_NS: shape \(8, 639\)"),
    ],
)
def test_feedback_that_does_not_fit_is_refused(name: str, value: torch.Tensor, told: str) -> None:
    whole = _feedback(_policy(), 8, 6)
    parts = {key: getattr(whole, key) for key in ("state_NS", "logits_NP", "log_density_N", "reward_N", "group_N")}
    with pytest.raises(FeedbackError, match=told):
        Feedback(**parts | {name: value})
    with pytest.raises(FeedbackError, match="no rows"):
        Feedback(**{key: tensor[:0] for key, tensor in parts.items()})
    with pytest.raises(FeedbackError, match="day: 0"):
        update(_policy(), LAW, whole, 0, Online())
    assert len(Feedback.joined([whole, whole])) == 16
