"""Algorithm 1 in a world: budgets, journeys that go on, and what each player can and cannot do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmix.journeys.allocate import Chosen
from crossmix.journeys.answer import Prices
from crossmix.journeys.log import Events
from crossmix.journeys.measured import of_users, worth_by_campaign
from crossmix.journeys.players import (
    best_channel,
    best_for_clickers,
    by_log,
    by_mtorl,
    by_response,
    by_shares,
    initial_policy,
    read,
    repeat_last,
)
from crossmix.journeys.simulate import Player, Round, play
from crossmix.journeys.windows import TEST, TRAIN
from tests.support.journeys_run import learned, mtorl

ROUNDS = 6


@pytest.fixture(scope="module")
def ground() -> tuple:  # type: ignore[type-arg]
    one = learned()
    test = np.flatnonzero(one.ready.is_of(TEST))
    return one.world.of(test), of_users(one.log, test), one.tired_UC[test]


def _budget(world) -> float:  # type: ignore[no-untyped-def]
    return float(ROUNDS * 0.1 * world.users * (world.share_C @ world.cost_C))


def served(log: Events, world, worth_click: float) -> Prices:  # type: ignore[no-untyped-def]
    """A campaign's prices at the world's costs."""
    return Prices(
        currency="credits",
        cost_C=tuple(world.cost_C.tolist()),
        worth_click=worth_click,
        worth_conversion_C=tuple(worth_by_campaign(log, np.repeat("one", len(log)))["one"].tolist()),
        shadow=0.5,
    )


def test_the_response_model_plays_at_its_campaign_s_own_costs_worths_and_lambda(ground: tuple) -> None:  # type: ignore[type-arg]
    one, (world, log, _) = learned(), ground
    prices = Prices(
        currency="credits",
        cost_C=(1.0,) * 9 + (3.0,),
        worth_click=2.0,
        worth_conversion_C=tuple(np.arange(10.0)),
        shadow=0.07,
    )
    question = Round(log, world.cost_C, None, 1e9, 4, np.random.default_rng(0))
    chosen, pace = by_response(one.response, prices).decide(question)
    assert pace is not None
    assert pace.shadow == 0.07
    answer = one.response.answer(log)
    margin_UC = 2 * answer.click_UC + np.arange(10) * answer.conversion_UC - 0.07 * np.array([1.0] * 9 + [3.0])
    np.testing.assert_array_equal(chosen.channel_B, margin_UC.argmax(1))
    np.testing.assert_allclose(chosen.margin_B, margin_UC.max(1))


def test_nobody_passes_the_budget_and_the_clairvoyant_earns_most(ground: tuple) -> None:  # type: ignore[type-arg]
    one, (world, log, tired) = learned(), ground
    training = one.log.of_users(one.ready.is_of(TRAIN))
    initial_C = initial_policy(mtorl(), one.ready.table, one.ready.learn, 0.5)
    assert initial_C.sum() == pytest.approx(1)
    players = [
        by_log(world.share_C),
        by_shares("eq. 17", initial_C),
        repeat_last(0),
        *by_mtorl(mtorl(), one.response, initial_C, 0.5),
        best_for_clickers(4, 0.1),
        by_response(one.response, served(training, world, 0.0)),
    ]
    played = play(world, log, tired, players, budget=_budget(world), rounds=ROUNDS, days=1.0, seed=3)
    by_name = {one.name: one for one in played}
    for one_played in played:
        assert 0.9 * one_played.budget < one_played.cost <= one_played.budget * (1 + 1e-9), one_played.name
    assert max(by_name, key=lambda name: by_name[name].per_cost) == "oracle"
    for name in ("log", "eq. 17", "repeat last", "MTORL argmax"):
        assert by_name["response"].per_cost > 2 * by_name[name].per_cost, name
    again = play(world, log, tired, players[:1], budget=_budget(world), rounds=ROUNDS, days=1.0, seed=3, oracle=False)
    assert again == played[:1]


def test_journeys_go_on_from_what_was_bought(ground: tuple) -> None:  # type: ignore[type-arg]
    world, log, tired = ground
    seen: list[Events] = []

    def decide(question: Round) -> tuple[Chosen, None]:
        seen.append(question.events)
        users = len(question.events.users)
        return Chosen(np.full(users, 7), np.ones(users), np.arange(users) < 3), None

    (played,) = play(world, log, tired, [Player("three", decide)], budget=1e9, rounds=2, days=2.0, seed=0, oracle=False)
    assert played.exposures == 6
    before, after = seen
    assert len(after) == len(before) + 3
    for user in range(3):
        mine = after.rows(np.flatnonzero(after.user_R == user))
        assert mine.channel_R[-1] == 7
        assert mine.seconds_R[-1] == pytest.approx(log.seconds_R.max() + 2 * 86_400)
        assert mine.cost_R[-1] == world.cost_C[7]
    assert np.array_equal(
        after.user_R == 5, np.insert(before.user_R == 5, np.flatnonzero(after.row_R == -1) - np.arange(3), False)
    )


def test_a_tired_user_clicks_less(ground: tuple) -> None:  # type: ignore[type-arg]
    world, log, tired = ground

    def everybody(question: Round) -> tuple[Chosen, None]:
        users = len(question.events.users)
        return Chosen(np.zeros(users, np.int64), np.ones(users), np.ones(users, bool)), None

    fresh, worn = (
        play(of, log, 0 * tired, [Player("same", everybody)], budget=1e9, rounds=4, days=1.0, seed=0, oracle=False)[0]
        for of in (world, world.tiring(fatigue=0.5, recovery=3.0))
    )
    decay = np.exp(-1 / 3)
    tiredness = np.array([0, decay, decay + decay**2, decay + decay**2 + decay**3])
    assert worn.clicks / fresh.clicks == pytest.approx(np.exp(-0.5 * tiredness).mean())


def test_repeating_needs_a_journey_and_ranking_needs_clicks(ground: tuple) -> None:  # type: ignore[type-arg]
    world, log, _ = ground
    question = Round(log, world.cost_C, None, 50.0, 1, np.random.default_rng(0))
    chosen, _ = repeat_last(9).decide(question)
    for user in range(30):
        mine = log.channel_R[log.user_R == user]
        assert chosen.channel_B[user] == (mine[-1] if len(mine) else 9)
    chosen, _ = best_for_clickers(4, 0.1).decide(question)
    share_U = (np.bincount(log.user_R, log.clicked_R, world.users) + 1) / (
        np.bincount(log.user_R, minlength=world.users) + 10
    )
    assert share_U[chosen.allocated_B].min() >= np.sort(share_U)[-chosen.allocated_B.sum()] - 1e-6
    assert set(chosen.channel_B) == {4}


def test_the_best_channel_counts_clicks_at_their_worth(ground: tuple) -> None:  # type: ignore[type-arg]
    """Channel 2 sells for 5, channel 4 is clicked five times as often at the same cost; nothing else is shown."""
    log = ground[1].rows(np.arange(12))
    channel_R, clicked_R = np.array([2, 4] * 6), np.array([0, 1] * 5 + [1, 0], bool)
    sold = replace(
        log, channel_R=channel_R, clicked_R=clicked_R, cost_R=np.ones(12), revenue_R=5.0 * (np.arange(12) == 10)
    )
    assert best_channel(sold, 0.0) == 2
    assert best_channel(sold, 1.2) == 2  # 5 + 1.2 above 5 x 1.2
    assert best_channel(sold, 1.3) == 4
    assert best_channel(replace(sold, revenue_R=np.zeros(12)), 1.0) == 4


def test_mtorl_s_reward_head_is_blind_to_the_channel(ground: tuple) -> None:  # type: ignore[type-arg]
    """It says one number per user, so that it ranks users and cannot choose among channels."""
    one, (_, log, _) = learned(), ground
    policy, reward = read(mtorl(), log, one.response)
    has = np.isin(np.arange(len(log.users)), log.user_R)
    np.testing.assert_allclose(policy[has].sum(1), 1, atol=1e-5)
    assert reward.shape == (len(log.users),)
    assert (reward[has] > 0).all()
    nobody = replace(log.rows(np.array([], dtype=np.int64)))
    assert (read(mtorl(), nobody, one.response)[0] == 0).all()


def test_what_is_paid_is_drawn_from_the_log_s_prices_and_no_budget_is_passed(ground: tuple) -> None:  # type: ignore[type-arg]
    """Prices of a half and of one and a half times what is expected: steps carry what was paid, budgets hold."""
    world, log, tired = ground
    prices_C = tuple(np.array([0.5, 1.5]) * cost for cost in world.cost_C)
    priced, seen = replace(world, prices_C=prices_C), []

    def watched(question: Round) -> tuple[Chosen, None]:
        seen.append(question.events)
        return by_shares("shares", world.share_C).decide(question)

    players = [
        Player("shares", watched),
        best_for_clickers(4, 0.1),
        by_response(learned().response, served(log, world, 1.0)),
    ]
    played = play(priced, log, tired, players, budget=_budget(world), rounds=ROUNDS, days=1.0, seed=3)
    for one in played:
        assert 0.9 * one.budget < one.cost <= one.budget * (1 + 1e-9), one.name
    bought = seen[ROUNDS - 1]
    added = bought.rows(np.flatnonzero(bought.row_R == -1))
    assert set(np.round(added.cost_R / world.cost_C[added.channel_R], 9)) == {0.5, 1.5}
    # Players who choose alike meet the same prices.
    again = play(priced, log, tired, players, budget=_budget(world), rounds=ROUNDS, days=1.0, seed=3)
    assert [one.cost for one in again] == [one.cost for one in played]
