"""DDPG's parts: the replay against a plain list, the target and the losses by hand, what keeps it off the corners."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossmix.agents.ddpg import DDPG, Critic, ReplayBuffer, RunningMeanDeviation
from crossmix.agents.hybrid import Hybrid
from crossmix.agents.policy import Policy
from crossmix.agents.ppo import PPO
from crossmix.config import DDPGConfig, PPOConfig
from crossmix.state import ALLOCATION

CPU = torch.device("cpu")
SMALL = DDPGConfig(critic_hidden=(16,), batch=32, warm_up=0)


def _replay(capacity: int, cycles: int, length: int, rows: int = 3) -> tuple[ReplayBuffer, list[tuple]]:
    """A replay that saw `cycles` cycles of episodes of `length`; and what may be drawn: (s, r, s', last) per row."""
    replay = ReplayBuffer(capacity, rows, 2, 2, CPU)
    kept: list[tuple] = []
    for cycle in range(cycles):
        state = torch.stack([torch.tensor([cycle, row], dtype=torch.float) for row in range(rows)])
        last = cycle % length == length - 1
        replay.add(state, torch.full((rows, 2), 0.5), torch.arange(rows) + 10.0 * cycle, last)
        kept.append((cycle, last))
    return replay, kept


@pytest.mark.parametrize("cycles", [2, 5, 9, 10, 23, 25])
def test_the_replay_draws_every_whole_transition_and_no_other(cycles: int) -> None:
    capacity, rows = 30, 3
    replay, kept = _replay(capacity, cycles, length=5)
    alive = kept[-capacity // rows :]
    if not alive[-1][1]:
        alive = alive[:-1]  # its next state is not known yet
    assert len(replay) == rows * len(alive)
    batch = replay.sample(4_000, torch.Generator().manual_seed(0))
    drawn = {(int(state[0]), int(state[1])) for state in batch.state_NS}
    assert drawn == {(cycle, row) for cycle, _ in alive for row in range(rows)}
    lasts = dict(alive)
    for state, reward, following, last in zip(batch.state_NS, batch.reward_N, batch.next_NS, batch.last_N, strict=True):
        cycle, row = int(state[0]), int(state[1])
        assert (float(reward), bool(last)) == (10.0 * cycle + row, lasts[cycle])
        if not last:
            assert following.tolist() == [cycle + 1, row]


def test_a_replay_is_refilled_from_its_rounds() -> None:
    whole, _ = _replay(30, 25, length=5)
    again = ReplayBuffer(30, 3, 2, 2, CPU)
    for end in (10, 20, 25):
        part, _ = _replay(30, end, length=5)
        again.extend(part.newest(5 if end == 25 else 10))
    ours, theirs = (one.sample(100, torch.Generator().manual_seed(1)) for one in (whole, again))
    for name in ("state_NS", "share_NP", "reward_N", "next_NS", "last_N"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


def test_the_running_scale_is_that_of_all_rewards() -> None:
    rewards, scale = torch.randn(7, 11, generator=torch.Generator().manual_seed(2)) * 3 + 5, RunningMeanDeviation()
    for part in rewards:
        scale.add(part)
    wanted = (rewards - rewards.mean()) / rewards.std(correction=0)
    torch.testing.assert_close(scale(rewards), wanted, rtol=1e-5, atol=1e-5)


def _agent(config: DDPGConfig, discount: float = 0.0) -> DDPG:
    torch.manual_seed(0)
    agent = DDPG(Policy(4, (16,)), config, discount, rows=4, size=ALLOCATION.size)
    agent.begin()
    generator = torch.Generator().manual_seed(3)
    for cycle in range(100):
        state = 0.05 * torch.randn(4, ALLOCATION.size, generator=generator)
        share = torch.softmax(torch.randn(4, 4, generator=generator), 1)
        agent.remember(state, share, share @ torch.tensor([1.0, 2.0, 3.0, 0.0]), cycle % 10 == 9)
    return agent


@pytest.mark.parametrize("twin", [True, False])
def test_the_critics_loss_is_the_bellman_error_by_hand(twin: bool) -> None:
    discount, config = 0.9, replace(SMALL, twin=twin, reward_scale=False)
    agent = _agent(config, discount)
    batch = agent.replay.sample(config.batch, torch.Generator().manual_seed(4))
    wanted = 0.0
    for n in range(config.batch):
        state, following = batch.state_NS[n : n + 1], batch.next_NS[n : n + 1]
        later = min(float(q) for q in agent.critic(following, agent.policy.raw(following)).detach())
        target = float(batch.reward_N[n]) + (0.0 if batch.last_N[n] else discount * later)
        values = agent.critic(state, batch.share_NP[n : n + 1]).detach()
        wanted += sum((float(q) - target) ** 2 for q in values) / len(values) / config.batch
    before = {name: value.clone() for name, value in agent.target_critic.state_dict().items()}
    critic_loss, _, _ = agent.update(torch.Generator().manual_seed(4))
    assert critic_loss == pytest.approx(wanted, rel=1e-4)
    online = agent.critic.state_dict()
    for name, value in agent.target_critic.named_parameters():
        torch.testing.assert_close(value, before[name] + config.tau * (online[name] - before[name]))


@pytest.mark.slow
def test_the_actor_waits_for_the_critic_and_then_finds_the_best_platform() -> None:
    agent = _agent(replace(SMALL, warm_up=200, actor_rate=1e-3, critic_rate=3e-3, logit_penalty=0.1))
    generator, start = torch.Generator().manual_seed(5), agent.policy.head.weight.clone()
    for _ in range(200):
        agent.update(generator)
    assert torch.equal(agent.policy.head.weight, start)
    for _ in range(400):
        agent.update(generator)
    states = agent.replay.sample(64, generator).state_NS
    logits = agent.policy.logits(states).detach()
    assert (logits.argmax(1) == 2).float().mean() > 0.9
    # The reward is linear, so the optimum is a corner; the penalty keeps the logits, and a gradient, in reach.
    assert float((logits - logits.mean(1, keepdim=True)).abs().max()) < 4


def test_every_addition_can_be_left_out() -> None:
    plain = replace(SMALL, twin=False, layer_norm=False, centred_action=False, reward_scale=False, logit_penalty=0)
    critic = Critic(ALLOCATION.size, 4, plain)
    assert (len(critic.nets), [type(layer).__name__ for layer in critic.nets[0]]) == (1, ["Linear", "ReLU", "Linear"])
    agent = _agent(plain)
    before = agent.policy.head.weight.clone()
    agent.update(torch.Generator().manual_seed(6))
    assert not torch.equal(agent.policy.head.weight, before)
    assert float(agent.reward_scale.count) == 0


def test_the_hybrid_has_one_actor() -> None:
    one, other = Policy(4, (16,)), Policy(4, (16,))
    with pytest.raises(ValueError, match="share one policy"):
        Hybrid(DDPG(one, SMALL, 0.0, 4, ALLOCATION.size), PPO(other, PPOConfig(), 0.0, ALLOCATION.size))
