"""Policies judged by logged propensities, where what they would earn is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmix.config import Demo
from crossmix.exploration import FeedbackError
from crossmix.journeys.choices import by_margin, taken
from crossmix.journeys.log import Events, Floats
from crossmix.journeys.logged import ROBUST, SNIPS, Places, earning, judged
from crossmix.journeys.world import World, planted, play_log

WORLD = planted(Demo(seed=4, users=1_200, creatives=5, campaigns=1, days=2))
WORTH = 1.0
"""Of a click, currency; conversions are left out, of which there are few."""


def logged(seed: int, exposures: int = 12_000) -> Events:
    return play_log(WORLD, exposures, 30.0, np.random.default_rng([seed, 1]))[0]


def places(log: Events, model_UC: Floats) -> Places:
    """The world's users and its log's own propensities; the model is who is asked."""
    return Places(
        user_S=log.user_R,
        channel_S=log.channel_R,
        propensity_S=WORLD.share_C[log.channel_R],
        revenue_S=WORTH * log.clicked_R,
        cost_S=log.cost_R,
        value_SC=WORTH * model_UC[log.user_R],
        expected_SC=np.broadcast_to(WORLD.cost_C, (len(log), len(WORLD.channels))),
        picked=0.1,
    )


def truth(world: World, log: Events, policy_SC: Floats) -> float:
    """Revenue per cost of a policy on these journeys."""
    return float((policy_SC * WORTH * world.click_UC[log.user_R]).sum() / (policy_SC * world.cost_C).sum())


def test_what_a_policy_would_earn_is_found_and_its_interval_is_as_wide_as_its_luck() -> None:
    """Twelve logs: the mean of standardised errors has a deviation of 0.29, their own deviation is about 1.

    The model that is wrong, one rate for everybody, does not move the doubly robust estimate.
    """
    flat_UC = np.full_like(WORLD.click_UC, WORLD.click_UC.mean())
    z: dict[str, list[float]] = {SNIPS: [], ROBUST: []}
    for seed in range(12):
        log = logged(seed)
        policy_SC = by_margin(places(log, WORLD.click_UC))
        found = earning(places(log, flat_UC), policy_SC)
        assert found.enough
        assert found.spent.low < 1.0 < found.spent.high + 0.05
        for by, figure in found.per_cost.items():
            z[by].append((figure.value - truth(WORLD, log, policy_SC)) / ((figure.high - figure.low) / 2 / 1.96))
    for errors in z.values():
        assert abs(np.mean(errors)) < 0.87
        assert 0.5 < np.std(errors) < 1.6


def test_leads_are_those_of_the_truth_and_the_log_s_own_rate_is_counted() -> None:
    log = logged(99, 40_000)
    asked = places(log, WORLD.click_UC)
    C = len(WORLD.channels)
    best = int(np.argmax(WORLD.click_UC.mean(0) / WORLD.cost_C))
    policies = {
        "response": by_margin(asked),
        "one": taken(np.full(len(log), best), np.ones(len(log)), C),
        "eq. 17": np.broadcast_to(0.1 * WORLD.share_C, (len(log), C)),
    }
    found = judged(asked, policies)
    own = log.clicked_R.sum() / log.cost_R.sum()
    assert found.log.value == pytest.approx(own)
    true = {name: truth(WORLD, log, policy_SC) for name, policy_SC in policies.items()}
    for name, rate in true.items():
        for by in (SNIPS, ROBUST):
            half = (found.policies[name].per_cost[by].high - found.policies[name].per_cost[by].low) / 2
            assert abs(found.policies[name].per_cost[by].value - rate) < 2 * half
    # A policy that is the log's, at a tenth of its exposures, earns per cost what the log does.
    assert found.policies["eq. 17"].per_cost[SNIPS].value == pytest.approx(own, rel=1e-6)
    assert found.lead("response", "log", ROBUST).low > 0
    assert true["response"] - own == pytest.approx(found.lead("response", "log", ROBUST).value, rel=0.35)
    assert found.lead("response", "one", ROBUST).value == pytest.approx(
        found.policies["response"].per_cost[ROBUST].value - found.policies["one"].per_cost[ROBUST].value
    )


def test_who_buys_the_few_best_alone_is_told_by_what_it_spent() -> None:
    log = logged(3, 20_000)
    asked = places(log, WORLD.click_UC)
    whole = by_margin(asked)
    few = by_margin(replace(asked, picked=0.01))
    spent, little = (earning(asked, policy_SC).spent for policy_SC in (whole, few))
    assert spent.value == pytest.approx(1.0, abs=0.15)
    assert little.high < 0.2


def test_a_policy_of_which_the_log_holds_nothing_is_left_out() -> None:
    log = logged(5)
    never = log.rows(np.flatnonzero(log.channel_R != 0))
    asked = places(never, WORLD.click_UC)
    policy_SC = taken(np.zeros(len(never), int), np.ones(len(never)), len(WORLD.channels))
    assert judged(asked, {"never": policy_SC}).policies == {}
    with pytest.raises(FeedbackError, match="none of the logged"):
        earning(asked, policy_SC)
