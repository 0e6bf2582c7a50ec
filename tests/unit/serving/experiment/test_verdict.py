"""The verdict, from rows written through the store: figures by hand, words, which cycles count."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from crossmix.config import Guardrails, Reward
from crossmix.evaluate.stats.sequential import closing, sequential
from crossmix.ledger import tables
from crossmix.ledger.experiments import get as experiment
from crossmix.ledger.experiments import newest
from crossmix.ledger.outcomes_read import read
from crossmix.metrics import AMOUNTS, JUDGED
from serving.experiment.compare import figures, own
from serving.experiment.verdict import status
from tests.support.experiments import (
    DAY,
    NOISE,
    START,
    assign,
    deliver,
    event,
    hour_after,
    lifted,
    make_store,
    paired_days,
)


def test_figures_are_those_computed_by_hand(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    rows = [
        event("policy", 0, impressions=1_000, clicks=50, conversions=5, revenue=700, spend=600),
        event("policy", 0, platform="social", impressions=500, clicks=50, conversions=5, revenue=350, spend=50),
        event("policy", 1, impressions=2_000, clicks=60, conversions=6, revenue=600, spend=700),
        event("policy", 2, impressions=1_500, clicks=40, conversions=4, revenue=800, spend=650),
        event("control", 0, impressions=400, clicks=20, conversions=2, revenue=300, spend=300),
        event("control", 1, impressions=600, clicks=24, conversions=2, revenue=150, spend=200),
        event("control", 2, impressions=500, clicks=16, conversions=2, revenue=240, spend=250),
    ]
    # A late conversion of cycle 1, told while cycle 2 ran, counts in cycle 1.
    rows.append(event("control", 1, known=5, impressions=0, clicks=0, conversions=1, revenue=60, spend=0))
    # Neither what came before the experiment nor the cycle that is still running is in any figure.
    rows += [event(arm, day, revenue=1e6) for arm in ("policy", "control") for day in (-1, 3)]
    deliver(store, rows)
    found = status(store, "first", hour_after(3))
    assert found["cycles"] == {
        "finished": 3,
        "with_feedback": 3,
        "planned": 14,
        "campaign_cycles_without_feedback": 0,
        "campaign_cycles_held": 0,
    }
    policy, control = found["arms"]["policy"], found["arms"]["control"]
    assert (policy["planned"], control["planned"]) == (2_100, 900)
    assert policy["roi"]["value"] == pytest.approx(2_450 / 2_100)
    assert policy["roas"]["value"] == pytest.approx(2_450 / 2_000)
    assert policy["cpa"]["value"] == pytest.approx(2_000 / 20)
    assert policy["ctr"]["value"] == pytest.approx(200 / 5_000)
    assert policy["cvr"]["value"] == pytest.approx(20 / 200)
    assert policy["utilisation"]["value"] == pytest.approx(2_000 / 2_100)
    assert control["roi"]["value"] == pytest.approx(750 / 900)
    assert control["cpa"]["value"] == pytest.approx(750 / 7)
    # Paired by day: the t interval of the log-ratios of 1.5, 0.857, 1.143 over 1, 0.7, 0.8.
    ratio = np.log([1_050 / 700 / (300 / 300), 600 / 700 / (210 / 300), 800 / 700 / (240 / 300)])
    reach = stats.t.ppf(0.975, 2) * ratio.std(ddof=1) / math.sqrt(3)
    paired = found["lifts"]["roi"]["paired"]
    assert paired["lift"] == pytest.approx(math.expm1(ratio.mean()))
    assert paired["low"] == pytest.approx(math.expm1(ratio.mean() - reach))
    assert paired["high"] == pytest.approx(math.expm1(ratio.mean() + reach))
    welch = stats.ttest_ind([1_050 / 700, 600 / 700, 800 / 700], [1, 0.7, 0.8], equal_var=False)
    assert found["lifts"]["roi"]["welch"]["p"] == pytest.approx(welch.pvalue)
    # Platforms add up to the arm.
    parts = [found["platforms"][name]["arms"]["policy"]["roi"]["value"] for name in ("search", "social")]
    assert parts[1] == pytest.approx(350 / 2_100)
    assert sum(parts) == pytest.approx(policy["roi"]["value"])
    assert found["platforms"]["social"]["lifts"]["roi"]["verdict"] == "insufficient data"
    assert found["by_cycle"][1]["control"]["revenue"] == 210
    # Eq. 10 of every cycle, beside revenue: it is in no lift, and decides nothing.
    day = {name: found["by_cycle"][1]["policy"][name] for name in AMOUNTS}
    reward = 0.5 * day["revenue"] / day["planned"] + 0.3 * day["clicks"] / day["impressions"]
    reward += 0.2 * day["conversions"] / day["clicks"]
    told = found["dynamic_reward"]["policy"]
    assert told["by_cycle"][1] == pytest.approx(reward)
    assert told["mean"] == pytest.approx(np.mean(told["by_cycle"]))
    assert len(told["by_cycle"]) == len(found["dynamic_reward"]["control"]["by_cycle"]) == 3
    assert set(found["lifts"]) == set(found["platforms"]["search"]["lifts"]) == set(JUDGED)
    other = status(store, "first", hour_after(3), weights=Reward(roi=1.0, ctr=0.0, cvr=0.0))["dynamic_reward"]["policy"]
    assert other["by_cycle"] == pytest.approx([1_050 / 700, 600 / 700, 800 / 700])
    json.dumps(found, allow_nan=False)


def test_an_arms_interval_covers_its_ratio() -> None:
    """The delta method over cycles: 95 % of intervals hold the true ratio, where cycles differ in size."""
    rng, runs, days = np.random.default_rng(0), 2_000, 30
    bottom = rng.uniform(50, 150, (runs, days))
    top = 0.4 * bottom * (1 + 0.3 * rng.standard_normal((runs, days)))
    held = [(one["low"] <= 0.4 <= one["high"]) for one in (own(t, b, 0.05) for t, b in zip(top, bottom, strict=True))]
    # Binomial deviation 0.5 %.
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
    # Over cycles of one size it is the t interval of a mean.
    some = np.array([1.0, 2.0, 4.0])
    reach = stats.t.ppf(0.975, 2) * some.std(ddof=1) / math.sqrt(3)
    assert own(some, np.ones(3), 0.05)["high"] == pytest.approx(some.mean() + reach)
    assert own(np.array([1.0]), np.array([2.0]), 0.05) == {"value": 0.5, "low": None, "high": None}
    assert own(np.array([1.0, 1.0]), np.zeros(2), 0.05)["value"] is None


def test_a_leak_blocks_the_verdict_and_is_said_first(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    deliver(store, paired_days(*lifted(0.2, 10)))
    assign(store, policy=6_500, control=3_500)
    found = status(store, "first", hour_after(10))
    assert found["sample_ratio"]["verdict"] == "imbalance"
    assert found["verdict"]["word"] == "blocked"
    assert found["verdict"]["line"].startswith("Blocked: 10,000 users are split 65.0% : 35.0% where 70.0% : 30.0%")
    assert "begin a new experiment with a new salt" in found["verdict"]["line"]
    # The same delivery with the users where they belong is a clear case.
    with store.write() as connection:
        connection.execute(tables.assignments.delete())
    assign(store, policy=7_000, control=3_000)
    assert status(store, "first", hour_after(10))["verdict"]["word"] == "policy better"


def test_an_unknown_arm_among_the_users_blocks(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    assign(store, policy=700, control=300, ghost=2)
    assert status(store, "first", hour_after(0))["verdict"]["word"] == "blocked"


@pytest.mark.parametrize(
    ("lift", "days", "word", "decided"),
    [
        (0.0, 8, "running", "always-valid"),
        (0.15, 8, "policy better", "always-valid"),
        (-0.15, 8, "control better", "always-valid"),
        (0.0, 14, "no difference found by the planned end", "paired"),
        (0.018, 14, "policy better", "paired"),
        (-0.018, 14, "control better", "paired"),
        (0.0, 2, "insufficient data", None),
    ],
)
def test_the_word(tmp_path: Path, lift: float, days: int, word: str, decided: str | None) -> None:
    store = make_store(tmp_path)
    deliver(store, paired_days(*lifted(lift, days)))
    assign(store, policy=71, control=29)
    found = status(store, "first", hour_after(days), Guardrails(roi_drop=0.9))
    assert (found["verdict"]["word"], found["verdict"]["decided_by"]) == (word, decided)


def test_the_paired_test_counts_only_at_the_planned_end_and_at_what_the_looks_left(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    deliver(store, paired_days(*lifted(0.018, 14)))
    one, other = lifted(0.018, 14)
    early = status(store, "first", hour_after(13))
    assert early["lifts"]["roi"]["paired"]["p"] < 0.05 < sequential(one, other).p
    assert early["verdict"]["word"] == "running"
    late = status(store, "first", hour_after(14))["verdict"]
    assert late["interval"]["level"] == closing(14)
    assert late["interval"]["level"] < 0.05
    assert "at the planned end, by the paired test" in late["line"]


def test_below_five_percent_is_not_enough_after_daily_looks(tmp_path: Path) -> None:
    noise = np.array(NOISE)
    lift = math.expm1(stats.t.isf(0.046 / 2, 13) * noise.std(ddof=1) / math.sqrt(14) - noise.mean())
    store = make_store(tmp_path)
    deliver(store, paired_days(*lifted(lift, 14)))
    found = status(store, "first", hour_after(14))
    assert found["lifts"]["roi"]["paired"]["p"] == pytest.approx(0.046)
    assert found["verdict"]["word"] == "no difference found by the planned end"
    # The interval that is told is the one that decides: it holds 0.
    assert found["lifts"]["roi"]["closing"]["low"] < 0 < found["lifts"]["roi"]["paired"]["low"]
    assert f"[{found['lifts']['roi']['closing']['low']:+.1%}, " in found["verdict"]["line"]


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    found = status(store, "first", hour_after(1))
    assert found["verdict"]["word"] == "insufficient data"
    assert found["sample_ratio"]["verdict"] == "not applicable"
    assert found["users"]["verdict"] == "not applicable"
    deliver(store, paired_days([1.0, 1.1], [1.0, 1.0]))
    assign(store, policy=7, control=3)
    found = status(store, "first", hour_after(2))
    assert "2 finished cycles with feedback; 3 are needed: 1 more" in found["verdict"]["line"]
    assert found["sample_ratio"]["reason"] == "10 users; 50 are needed: 40 more."
    assert all(rail["verdict"] == "insufficient data" for rail in found["guardrails"])
    json.dumps(found, allow_nan=False)


def test_one_user_is_told_in_the_singular(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    assign(store, policy=1, control=0)
    assert status(store, "first", hour_after(1))["sample_ratio"]["reason"] == "1 user; 50 are needed: 49 more."


def test_cycles_that_earn_nothing_are_put_together() -> None:
    top = np.array([[4.0, 0, 2, 2, 6, 0], [1.0, 1, 1, 1, 1, 1]])
    made = figures(top, np.ones((2, 6)))
    assert not isinstance(made, str)
    assert made[0] == 2
    assert np.array_equal(made[1], [[2, 2, 3], [1, 1, 1]])
    missing = figures(np.array([[4.0, 0, 0, 0, 6, 0], [1.0, 1, 1, 1, 1, 1]]), np.ones((2, 6)))
    # A gap of 3 needs periods of 4, and three of them: 12 cycles, 6 more.
    assert missing == "an arm has nothing to compare in 3 of 6 cycles on end; wait for about 6 more cycles"
    nothing = figures(np.array([[0.0] * 5, [1.0] * 5]), np.ones((2, 5)))
    assert nothing == "the policy arm's numerator is 0 in all 5 cycles; wait for the first above 0"


def test_a_cycle_waits_for_both_arms_and_no_longer_than_one_cycle(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    deliver(store, [*paired_days([1.0, 1.0], [1.0, 1.0]), event("policy", 2)])
    one = experiment(store, "first")
    assert read(store, one, START + 3.5 * DAY).finished == 2
    late = read(store, one, START + 4 * DAY)
    assert late.finished == 3
    assert late.of("revenue")[:, 2].tolist() == [500.0, 0.0]
    # Then a cycle with no feedback at all: left out, and counted.
    assert read(store, one, START + 5 * DAY).silent == 1
    assert read(store, one, START + 5 * DAY).slot_T == (0, 1, 2)


def test_campaigns_keep_their_own_clocks(tmp_path: Path) -> None:
    """Halves of a day fall into the day in which they end."""
    half = {"cycle_hours": 12.0, "starts": START, "cycle_budget": 100.0}
    store = make_store(tmp_path, campaigns={"brand": {}, "half": half})
    deliver(store, paired_days([1.0] * 4, [1.0] * 4))
    deliver(
        store,
        [event(arm, 0, campaign_id="half", cycle=c, revenue=7.0) for arm in ("policy", "control") for c in range(9)],
    )
    found = read(store, experiment(store, "first"), hour_after(4))
    assert found.of("planned")[0].tolist() == [840.0, 840.0, 840.0, 840.0]
    assert found.of("revenue")[0].tolist() == [714.0, 714.0, 714.0, 714.0]


@pytest.mark.parametrize("other_ended", [None, START - 6 * DAY])
def test_after_another_experiment_the_cycle_in_which_it_begins_does_not_count(tmp_path: Path, other_ended: Any) -> None:
    """Also where the other had ended: the cycle under way is still the static split's, or the shipped policy's."""
    store = make_store(tmp_path, started=START + timedelta(hours=6))
    with store.change() as connection:
        row = {"id": "zero", "salt": "s", "weights": {"policy": 0.7, "control": 0.3}, "days": 5, "level": 0.05}
        connection.execute(tables.experiments.insert(), row | {"started": START - 9 * DAY, "ended": other_ended})
    deliver(store, paired_days([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]))
    found = read(store, experiment(store, "first"), hour_after(3))
    assert found.of("revenue")[0].tolist() == [1_400.0, 2_100.0]
    assert newest(store) == "first"


def test_an_ended_experiment_counts_whole_cycles_before_its_end(tmp_path: Path) -> None:
    store = make_store(
        tmp_path, ended=START + 3.5 * DAY, reason="guardrail roi_drop: the policy's ROI is low", ended_by="guardrail"
    )
    deliver(store, paired_days(*lifted(0.0, 6)))
    found = status(store, "first", hour_after(6))
    assert found["cycles"]["finished"] == 3
    assert found["verdict"]["word"] == "ended by guardrail"
    line = "Ended after 3 of 14 cycles by guardrail roi_drop: the policy's ROI is low."
    assert found["verdict"]["line"] == line
    # Who ended it decides, not how the reason begins.
    reason = "guardrail thresholds are to be set anew"
    with store.change() as connection:
        connection.execute(tables.experiments.update().values(reason=reason, ended_by="anna"))
    found = status(store, "first", hour_after(6))
    assert (found["experiment"]["ended_by"], found["experiment"]["reason"]) == ("anna", reason)
    assert found["verdict"]["word"] == "ended"
    assert f"It has ended: {reason}." in found["verdict"]["line"]
