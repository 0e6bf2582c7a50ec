"""The seed's walk: rewards in closed form, nothing where nothing fits, the penalty; DDPG learns it, and goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix.creators import ddpg
from crossmix.creators.fill import Work
from crossmix.creators.knapsack import best_set
from crossmix.creators.problem import pose
from crossmix.creators.reference import pick
from crossmix.creators.settings import Reward
from crossmix.creators.settings import Walk as Settings
from crossmix.creators.walk import STATE, Walk, projected, traits
from tests.support import creators

PLAIN = Reward(quality=0, interaction=0, price=0, content=0, penalty=0)
CATALOGUE = creators.catalogue(60, 1)


def _walk(reward: Reward | None = None, **changes) -> Walk:
    brief = creators.brief(**{"budget": 25_000, "rules": [creators.ORDER], **changes})
    problem = pose(CATALOGUE, creators.effects(CATALOGUE, 1), brief)
    return Walk(problem, traits(CATALOGUE, problem), reward)


def test_cells_come_in_order_and_money_is_a_share_of_what_is_left() -> None:
    walk = _walk(PLAIN)
    shares = [0.1, 0.3, 0.0, 1.0] + [0.5] * 8
    left = walk.problem.budget
    for cell, share in enumerate(shares):
        step = walk.step(share)
        assert walk.money_C[cell] == pytest.approx(share * left)
        spent = walk.problem.spend_C(walk.cell_N)[cell]
        assert spent <= share * left + 1e-9
        left -= spent
        assert walk.left == pytest.approx(left)
        assert step.last == (cell == 11)
        assert step.state_S.shape == (STATE,)
        assert np.isfinite(step.state_S).all()


def test_a_cells_creators_are_the_best_set_of_who_is_left() -> None:
    walk = _walk(PLAIN)
    for _ in range(12):
        cell, before = walk.cells[walk.at], walk.cell_N.copy()
        free = np.flatnonzero((walk.problem.class_N == walk.class_C[cell]) & (before < 0))
        money = 0.4 * walk.left
        walk.step(0.4)
        expected = free[best_set(walk.problem.price_N[free], walk.problem.effect_N[free], money)]
        np.testing.assert_array_equal(np.flatnonzero(walk.cell_N != before), expected)


def test_rewards_without_traits_add_up_to_the_plans_effect() -> None:
    walk = _walk(PLAIN)
    total = sum(walk.step(0.3).reward for _ in range(12))
    assert total * walk.scale == pytest.approx(walk.problem.value(walk.cell_N))


def test_a_trait_pays_and_nothing_pays_where_nothing_fits() -> None:
    plain, paid = _walk(PLAIN), _walk(Reward(quality=0.5, interaction=0, price=0, content=0, penalty=0))
    one, other = plain.step(0.5).reward, paid.step(0.5).reward
    taken = np.flatnonzero(paid.cell_N >= 0)
    price_N = paid.problem.price_N[taken]
    quality = price_N @ paid.traits_N4[taken, 0] / price_N.sum()
    assert other == pytest.approx(one * (1 + 0.5 * quality))
    assert _walk(Reward()).step(0.0).reward == 0.0


def test_abnormal_ratios_are_penalised_at_the_end() -> None:
    walk = _walk(Reward(quality=0, interaction=0, price=0, content=0, penalty=2.0))
    free = _walk(PLAIN)
    for share in [0.0, 0.0, 0.9] + [0.0] * 9:  # tail alone: head >= mid >= tail is broken
        step, same = walk.step(share), free.step(share)
    spend_C = walk.problem.spend_C(walk.cell_N)
    shortfall = float(np.maximum(-walk.problem.rows.slack_R(spend_C), 0).sum())
    assert shortfall == pytest.approx(spend_C.sum())
    assert step.reward - same.reward == pytest.approx(-2.0)
    nothing = _walk(Reward(penalty=2.0))
    assert [nothing.step(0.0).reward for _ in range(12)][-1] == -2.0


def test_traits_are_standardised() -> None:
    walk = _walk()
    np.testing.assert_allclose(walk.traits_N4.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(walk.traits_N4.std(0), 1)
    quality = CATALOGUE.quality_N[walk.problem.row_N]
    assert np.corrcoef(quality, walk.traits_N4[:, 0])[0, 1] == pytest.approx(1.0)


def test_a_projected_matrix_keeps_every_rule() -> None:
    walk = _walk()
    for _ in range(12):
        walk.step(0.4)
    work = Work(walk.problem, projected(walk.problem, walk.money_C))
    assert work.shortfall == 0
    assert work.left >= 0
    assert work.value > 0


def test_closed_phases_have_no_cell_and_must_have_creators_are_there() -> None:
    walk = _walk(must_have=["c3"])
    assert (walk.cell_N[walk.problem.must_N] >= 0).all()
    assert walk.left == pytest.approx(walk.problem.budget - walk.problem.price_N[walk.problem.must_N].sum())
    np.testing.assert_array_equal(walk.cell_N, pick(walk.problem, np.zeros(12)))


def test_an_actor_that_knows_nothing_spends_evenly() -> None:
    walk = _walk()
    agent = ddpg.Agent(Settings(hidden=(8,)))
    state_S = walk.reset()
    assert agent.act(state_S, 0.0) == pytest.approx(1 / 12, abs=1e-6)
    walk.step(0.0)
    assert agent.act(walk.state_S(), 0.0) == pytest.approx(1 / 11, abs=1e-6)


def test_the_critic_learns_a_reward_and_the_actor_climbs_it() -> None:
    """One step, reward -(a - 0.8)^2: closed form."""
    agent = ddpg.Agent(Settings(hidden=(32,), actor_rate=1e-3, actor_after=200, batch=64))
    rng = np.random.default_rng(0)
    state_S = np.full(STATE, 0.5)
    for _ in range(600):
        share = float(rng.uniform())
        agent.remember(state_S, share, -((share - 0.8) ** 2), np.zeros(STATE), True)
    with torch.random.fork_rng(devices=[]):
        for _ in range(1_500):
            agent.update()
    assert agent.act(state_S, 0.0) == pytest.approx(0.8, abs=0.07)


def test_training_is_the_same_for_the_same_seed() -> None:
    settings = Settings(hidden=(8,), warm_up=20, batch=16, actor_after=5)
    runs = [ddpg.train(lambda _: _walk(), settings, episodes=4) for _ in range(2)]
    assert runs[0].returns == runs[1].returns
    assert runs[0].updates == 4 * 12 - 19
    for one, other in zip(runs[0].actor.parameters(), runs[1].actor.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(ValueError, match="give episodes or cpu_seconds"):
        ddpg.train(lambda _: _walk(), settings)


SMALL = Settings(hidden=(8,), warm_up=20, batch=16, actor_after=5, replay=60)
"""The replay is full, and overwritten, before the kill."""


def _killed(work: Path, at: int, episodes: int = 9) -> None:
    """A training that ends as episode `at` begins."""

    def walk(episode: int) -> Walk:
        if episode == at:
            raise KeyboardInterrupt
        return _walk()

    with pytest.raises(KeyboardInterrupt):
        ddpg.train(walk, SMALL, episodes=episodes, work=work, key="a")


def test_a_killed_training_goes_on_and_ends_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddpg, "EVERY", 3)
    whole = ddpg.train(lambda _: _walk(), SMALL, episodes=9)
    _killed(tmp_path, 8)
    played: list[int] = []
    again = ddpg.train(lambda at: played.append(at) or _walk(), SMALL, episodes=9, work=tmp_path, key="a")
    assert played == [6, 7, 8]
    assert (again.returns, again.updates, again.episodes) == (whole.returns, whole.updates, 9)
    assert ddpg.exported(again.actor) == ddpg.exported(whole.actor)


def test_a_checkpoint_of_other_walks_or_settings_is_not_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ddpg, "EVERY", 1)
    _killed(tmp_path, 2)
    checkpoint = (tmp_path / ddpg.CHECKPOINT).read_bytes()
    for settings, key in ((SMALL, "b"), (replace(SMALL, seed=1), "a")):
        (tmp_path / ddpg.CHECKPOINT).write_bytes(checkpoint)
        played: list[int] = []
        ddpg.train(lambda at, to=played: to.append(at) or _walk(), settings, episodes=2, work=tmp_path, key=key)
        assert played == [0, 1]


def test_training_tells_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    ddpg.train(lambda _: _walk(), SMALL, episodes=2)
    assert "2/2" in capsys.readouterr().err
