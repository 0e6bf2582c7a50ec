"""Gates of re-adaptation: each with its figure, and a reason that names what stopped it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossmix.agents import online
from crossmix.artifacts import FeedbackReport, SuspectCell
from crossmix.config import Config, load
from crossmix.evaluate.gates import readapt as gates
from crossmix.evaluate.gates.flights import Flights, fly
from crossmix.evaluate.gates.readapt import CHALLENGER, CHAMPION, ReadaptCase
from crossmix.evaluate.gates.readapt_step import verdict, worth
from crossmix.exploration import Exploration
from crossmix.feedback import Feedback
from crossmix.market.conditions import scaled_market
from crossmix.market.model import Market
from crossmix.verdicts import FAIL, INSUFFICIENT, NOT_APPLICABLE, PASS, Gate
from tests.support.markets import make_market
from tests.support.planned_bundles import planned, publish, states
from tests.support.served_market import PARTS, REPORTED
from tests.support.served_market import fly as served

ROWS = 24
TOLD = FeedbackReport(
    at="2026-02-01T00:00:00+00:00",
    until="2026-02-01T00:00:00+00:00",
    cycles=ROWS,
    warming=0,
    day=ROWS,
    campaigns=("c0", "c1"),
    left_out={},
    arms=("policy", "control"),
    suspects=(),
    served=0,
)
CELL = SuspectCell(
    cause="impossible",
    arm="policy",
    campaign="c1",
    platform="p2",
    cycle=9,
    first=7,
    quantity="value",
    observed=900.0,
    expected=9.0,
    z=12.0,
    sentence="c1, arm policy, p2, cycles 7 to 9: value 900 where about 9 is usual",
)


def came(config: Config, world: Market) -> Feedback:
    flown = served(config, world, None, PARTS["control"], ROWS, 51_000_001, 0)
    cycle_TC = np.tile(np.arange(ROWS)[:, None], (1, 2))
    return Feedback(
        campaigns=world.campaigns,
        platforms=world.platforms,
        cycle_TC=cycle_TC,
        weekday_TC=(cycle_TC + flown.weekday_C) % 7,
        part_TC=np.full((ROWS, 2), PARTS["control"]),
        told_TCP=flown.told_TCP,
        **{f"{name}_TCP": flown.report[name] for name in REPORTED},
    )


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> ReadaptCase:
    config, market = (
        load("laptop", ["evaluate.market_seeds=3", "evaluate.cycles=3"]),
        make_market(seed=3, campaigns=2, platforms=6, drift=0.1),
    )
    policy = planned(market, config)
    even = {name: np.full(3, 0.9) for name in (CHAMPION, CHALLENGER)}
    return ReadaptCase(
        config=config,
        market=market,
        refitted=market,
        feedback=came(config, market),
        told=TOLD,
        flights=Flights(even, dict.fromkeys(even, 0)),
        challenger=policy,
        bundle=publish(tmp_path_factory.mktemp("bundle"), market=market),
        served=None,
    )


def test_the_table_has_every_gate_in_order_and_says_which_are_required(case: ReadaptCase) -> None:
    table = list(gates.judged(case))
    names = ["plausible", "levels", "arms", "predicts", "gain", "limits", "latency", "off_policy"]
    assert [gate.name for gate in table] == [f"readapt.{name}" for name in names]
    assert [gate.required for gate in table] == [True] * 7 + [False]
    loose = replace(case, config=load("laptop", ['readapt.required=["limits"]']))
    assert gates.limits(loose).required
    assert not gates.gain(loose).required


def test_a_report_that_is_held_stops_it_with_platform_and_cause(case: ReadaptCase) -> None:
    held = replace(case, told=replace(TOLD, suspects=(CELL,)))
    row = gates.plausible(held)
    assert (row.verdict, row.value) == (FAIL, 3)
    assert row.detail.startswith("stopped: impossible on p2: c1, arm policy, p2, cycles 7 to 9: value 900 where")
    assert (gates.arms(held).verdict, gates.plausible(case).verdict) == (PASS, PASS)
    differ = replace(case, told=replace(TOLD, suspects=(replace(CELL, cause="disagree"), CELL)))
    assert gates.arms(differ).value == 3
    assert gates.arms(differ).detail.startswith("stopped: disagree on p2")
    assert gates.plausible(differ).value == 3


def test_one_arm_alone_has_nothing_to_compare(case: ReadaptCase) -> None:
    row = gates.arms(replace(case, told=replace(TOLD, arms=("policy",))))
    assert (row.verdict, row.value) == (NOT_APPLICABLE, None)
    assert row.detail == "arm policy alone has delivered: there is nothing to compare"


def test_a_level_wholly_beyond_what_a_market_does_stops_it(case: ReadaptCase) -> None:
    near = gates.levels(case)
    assert near.verdict == PASS
    assert near.value is not None
    assert near.value < 1.5
    factor = torch.ones(2, 6)
    factor[1, 4] = 20.0
    row = gates.levels(replace(case, feedback=came(case.config, scaled_market(case.market, value=factor))))
    assert row.verdict == FAIL
    assert row.value is not None
    assert 4 < row.value < 20
    assert row.detail.startswith("stopped: value of c1 on p4: x")


def test_a_platform_that_loses_its_requests_is_an_outage_and_no_broken_feed(case: ReadaptCase) -> None:
    spoiled = replace(case.feedback, requests_TCP=case.feedback.requests_TCP.copy())
    spoiled.requests_TCP[:, 0, 0] /= 50
    for name in ("impressions_TCP", "clicks_TCP", "conversions_TCP", "revenue_TCP", "spend_TCP"):
        spoiled = replace(spoiled, **{name: getattr(spoiled, name).copy()})
        getattr(spoiled, name)[:, 0, 0] /= 50
    assert gates.levels(replace(case, feedback=spoiled)).verdict == PASS


def test_a_moved_market_is_predicted_better_by_its_refit_and_a_fresh_break_worse(case: ReadaptCase) -> None:
    factor = torch.ones(2, 6)
    factor[:, ::2] = 2.0
    moved = came(case.config, scaled_market(case.market, ctr=factor))
    better = gates.predicts(replace(case, feedback=moved))
    assert (better.verdict, better.name) == (PASS, "readapt.predicts")
    assert better.value is not None
    assert better.value > 0.05
    # What held until the last week is no guide to it: the market is back where it was fitted.
    held, quiet = case.config.readapt.held_out, case.feedback
    names = ("requests", "impressions", "clicks", "conversions", "revenue", "spend")
    back: dict[str, Any] = {
        f"{name}_TCP": np.concatenate([getattr(moved, f"{name}_TCP")[:-held], getattr(quiet, f"{name}_TCP")[-held:]])
        for name in names
    }
    worse = gates.predicts(replace(case, feedback=replace(moved, **back)))
    assert worse.verdict == FAIL
    assert worse.value is not None
    assert worse.value < -gates.SLIGHT


def test_a_refit_is_not_stopped_for_what_estimates_cost(case: ReadaptCase) -> None:
    """Of a market that did not move, or moved among the cycles held out, no refit can know more than the old one."""
    held, cells = case.config.readapt.held_out, (2, 6, 5)
    for level, wanted in ((-0.005, PASS), (-0.019, PASS), (-0.021, FAIL)):
        ahead = np.full((held, *cells), level)
        ahead[:, :, 1:] = np.nan  # what told nothing does not count
        found = gates.predicted(ahead)
        assert found is not None
        assert found.cycles == 2 * held
        assert found.interval == pytest.approx((level, level, level))
        assert (FAIL if found.interval[2] < -gates.SLIGHT else PASS) == wanted
    # The market moves on the first of the days held out: both are as wrong.
    factor = torch.ones(2, 6)
    factor[:, ::2] = 2.0
    moved = came(case.config, scaled_market(case.market, ctr=factor))
    names = ("requests", "impressions", "clicks", "conversions", "revenue", "spend")
    fresh: dict[str, Any] = {
        f"{name}_TCP": np.concatenate(
            [getattr(case.feedback, f"{name}_TCP")[:-held], getattr(moved, f"{name}_TCP")[-held:]]
        )
        for name in names
    }
    assert gates.predicts(replace(case, feedback=replace(case.feedback, **fresh))).verdict == PASS


def test_both_markets_predict_with_the_same_standard_errors(case: ReadaptCase, monkeypatch: pytest.MonkeyPatch) -> None:
    errors, real = [], gates.follow

    def noted(market: Market, *given: Any) -> Any:
        errors.append(market.error)
        return real(market, *given)

    monkeypatch.setattr(gates, "follow", noted)
    gates.ahead(case.market, case.feedback, case.config.levels, case.config.readapt.held_out)
    assert [one is case.market.error for one in errors] == [True, True]


def test_too_few_cycles_predict_nothing(case: ReadaptCase) -> None:
    row = gates.predicts(replace(case, told=replace(TOLD, cycles=13)))
    assert (row.verdict, row.value) == (INSUFFICIENT, None)
    assert row.detail == "13 cycles tell something; 14 are needed, half of them to refit on"


@pytest.mark.parametrize(
    ("ahead", "wanted"),
    [
        ([0.010, 0.011, 0.012], PASS),
        ([0.000, 0.000, 0.000], FAIL),
        ([0.010, -0.009, 0.012], FAIL),  # in the mean more than `gain`, but not surely
        ([-0.01, -0.01, -0.01], FAIL),
    ],
)
def test_a_gain_must_surely_be_worth_a_change(case: ReadaptCase, ahead: list[float], wanted: str) -> None:
    ratio_N = {CHAMPION: np.full(3, 0.9), CHALLENGER: 0.9 + np.array(ahead)}
    row = gates.gain(replace(case, flights=Flights(ratio_N, {})))
    assert row.verdict == wanted
    assert row.value == pytest.approx(np.mean(ahead))
    assert row.detail.startswith("gain below 0.002: ") == (wanted == FAIL)


def test_a_broken_limit_fails(case: ReadaptCase) -> None:
    row = gates.limits(replace(case, flights=replace(case.flights, breaks={CHALLENGER: 2})))
    assert (row.verdict, row.value) == (FAIL, 2)


def log(case: ReadaptCase, rows: int, off: float, reward: float = 0.0) -> online.Feedback:
    """Served cycles whose logits lie `off` from the challenger's own."""
    state_NS = states(case.market, rows)
    with torch.no_grad():
        logits_NP = case.challenger.logits(state_NS) + off
        density_N = Exploration.of(case.config).log_density(logits_NP, logits_NP)
    return online.Feedback(
        state_NS=state_NS,
        logits_NP=logits_NP,
        log_density_N=density_N,
        reward_N=torch.linspace(1, 2, rows) + reward,
        group_N=torch.arange(rows) % 2,
    )


def test_the_off_policy_estimate_says_how_little_it_knows(case: ReadaptCase) -> None:
    none = gates.off_policy(case)
    assert (none.verdict, none.value, none.required) == (INSUFFICIENT, None, False)
    few = gates.off_policy(replace(case, served=log(case, 20, 0.0)))
    assert (few.verdict, few.value, few.required) == (INSUFFICIENT, None, False)
    assert "20 served cycles count as 20, 50 are needed: some 50 cycles" in few.detail
    apart = gates.off_policy(replace(case, served=log(case, 60, 1.0)))
    assert apart.verdict == INSUFFICIENT
    assert "would have served none of the logged splits" in apart.detail
    # Enough of them, of its own splits: it is as good as what served, and counts.
    enough = gates.off_policy(replace(case, served=log(case, 60, 0.0)))
    assert (enough.verdict, enough.required) == (PASS, True)
    assert enough.value == pytest.approx(1.5)


def gate(name: str, outcome: str = FAIL) -> Gate:
    return Gate(f"readapt.{name}", 0.0, "", outcome, True, f"why {name}")


def test_what_is_not_worth_a_change_is_no_alarm() -> None:
    assert verdict([]) == ("adapted", "every required gate passed")
    assert verdict([gate("gain")]) == ("nothing to gain", "why gain")
    stopped = verdict([gate("arms"), gate("gain"), gate("predicts", INSUFFICIENT)])
    assert stopped == ("stopped", "readapt.arms (fail): why arms; readapt.predicts (insufficient data): why predicts")


def test_flights_are_paired_and_their_seeds_are_their_own(case: ReadaptCase, tmp_path: Path) -> None:
    found = fly(case.config, case.market, {CHAMPION: case.challenger, CHALLENGER: case.challenger})
    np.testing.assert_array_equal(found.ratio_N[CHAMPION], found.ratio_N[CHALLENGER])
    assert found.lead(CHALLENGER, CHAMPION) == (0.0, 0.0, 0.0)
    assert found.ratio_N[CHAMPION].shape == (3,)
    assert 0.9 < found.ratio_N[CHAMPION].mean() <= 1.001
    assert found.breaks == {CHAMPION: 0, CHALLENGER: 0}
    other = fly(
        load("laptop", ["evaluate.market_seeds=3", "evaluate.cycles=3", "evaluate.market_seed=5"]),
        case.market,
        {CHAMPION: case.challenger},
    )
    assert not np.array_equal(other.ratio_N[CHAMPION], found.ratio_N[CHAMPION])


def test_a_challenger_whose_gain_passes_or_need_not_and_of_whom_nothing_is_held_is_worth_thresholds() -> None:
    config = load("laptop", ["readapt.gain=0.25"])
    limits = load("laptop", ["readapt.gain=0.25", 'readapt.required=["limits","latency"]'])

    def flown(*lead: float) -> Flights:
        champion = np.array([0.5, 0.5])
        return Flights({CHAMPION: champion, CHALLENGER: champion + lead}, {CHAMPION: 0, CHALLENGER: 0})

    for lead, gained in (((0.25, 0.25), True), ((0.5, 0.25), False), ((0.125, 0.125), False)):
        assert worth(config, flown(*lead), TOLD) is gained, lead
        assert worth(limits, flown(*lead), TOLD), "it is registered all the same"
    for cause in ("impossible", "disagree"):
        held = replace(TOLD, suspects=(replace(CELL, cause=cause),))
        assert not worth(config, flown(0.25, 0.25), held), "its gate stops it"
        assert worth(limits, flown(0.25, 0.25), held)
