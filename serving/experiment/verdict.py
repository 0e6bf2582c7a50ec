"""A running experiment, judged from the database: may it be judged, what is the lift, is it more than luck?

Contract: docs/design.md#serving.

Only ROI decides. Until the planned end the always-valid test does, at the experiment's level whenever one looks; at
the planned end the paired test too, at what the looks before have left of that level (`sequential.closing`). An
imbalance of users blocks everything, and is said first.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from crossmix.config import Guardrails, Reward
from crossmix.evaluate.stats.sequential import balance
from crossmix.ledger import campaigns, experiments
from crossmix.ledger.experiments import GUARDRAIL, Experiment, VerdictError
from crossmix.ledger.outcomes import Outcomes, read, users
from crossmix.ledger.store import Store
from crossmix.metrics import AMOUNTS, ARMS
from crossmix.pages import format as formats
from crossmix.terms import SHIPPED
from serving.experiment.compare import FIGURES, by_user, compare, of_arms, own
from serving.experiment.guardrails import rails

FEWEST_USERS = 50
"""Of both arms, below which the chi-square law of the sample ratio does not hold."""


def status(
    store: Store,
    experiment_id: str,
    now: datetime,
    guardrails: Guardrails | None = None,
    weights: Reward | None = None,
) -> dict[str, Any]:
    """How the experiment stands, as plain JSON.

    Args:
        now: UTC; only what has finished by then counts.
        guardrails: thresholds; their defaults if absent.
        weights: of eq. 10, which is told beside revenue and decides nothing; their defaults if absent.

    Raises:
        VerdictError: no such experiment.
        StoreAwayError: the database is away.
    """
    if now.tzinfo is None:
        raise VerdictError(f"now: {now.isoformat()} has no zone; give UTC")
    one = experiments.get(store, experiment_id)
    outcomes = read(store, one, now)
    ratio = _balance(one, experiments.assigned(store, one))
    lifts = {
        name: compare(
            *of_arms(outcomes, name), one.level, by_figure=name == "roi", closes=name == "roi" and outcomes.reached
        )
        for name in FIGURES
    }
    rows = [rail.as_dict() for rail in rails(outcomes, guardrails or Guardrails())]
    standing: dict[str, Any] = {
        "experiment": {
            "id": one.id,
            "weights": dict(one.weights),
            "started": one.started.isoformat(),
            "planned_cycles": one.days,
            "cycle_hours": outcomes.length.total_seconds() / 3600,
            "level": one.level,
            "ended": one.ended.isoformat() if one.ended else None,
            "reason": one.reason,
            "ended_by": one.ended_by,
            "state": one.state,
        },
        "now": now.astimezone(UTC).isoformat(),
        "verdict": _verdict(one, outcomes, ratio, lifts["roi"]),
        "cycles": {
            "finished": outcomes.finished,
            "with_feedback": len(outcomes.slot_T),
            "planned": one.days,
            "campaign_cycles_without_feedback": outcomes.silent,
        },
        "sample_ratio": ratio,
        "currency": " + ".join(sorted({clock.currency for clock in outcomes.clocks})) or None,
        "campaigns": [clock.campaign_id for clock in outcomes.clocks],
        "arms": {arm: _arm(outcomes, a, None) for a, arm in enumerate(ARMS)},
        "dynamic_reward": _dynamic_reward(outcomes, weights or Reward()),
        "lifts": lifts,
        "platforms": {
            platform: {
                "arms": {arm: _arm(outcomes, a, platform) for a, arm in enumerate(ARMS)},
                "lifts": {name: compare(*of_arms(outcomes, name, platform), one.level) for name in FIGURES},
            }
            for platform in outcomes.platforms
        },
        "users": by_user(users(store, outcomes), float(outcomes.of("impressions").sum()), one.level),
        "guardrails": rows,
        "by_cycle": _by_cycle(outcomes),
    }
    standing["notes"] = _notes(store, outcomes, standing)
    return standing


def render(standing: dict[str, Any]) -> str:
    """A status as a page of its own: HTML that fetches nothing."""
    from serving.experiment.page import page

    return page(standing)


def _verdict(one: Experiment, outcomes: Outcomes, ratio: dict[str, Any], roi: dict[str, Any]) -> dict[str, Any]:
    """The word and the line."""
    progress = f"{outcomes.finished} of {one.days} cycles"
    shipped = " It was shipped: the policy serves everybody." if one.outcome == SHIPPED else ""
    over = (f" It has ended: {one.reason}." if one.ended and one.reason else "") + shipped
    if ratio["verdict"] == "imbalance":
        sentence = f"Blocked: {ratio['reason']} Nothing below can be trusted.{over}"
        return {"word": "blocked", "line": sentence, "decided_by": "sample ratio"}
    if one.ended and one.ended_by == GUARDRAIL:
        sentence = f"Ended after {progress} by {one.reason}.{shipped}"
        return {"word": "ended by guardrail", "line": sentence, "decided_by": "guardrail"}
    if "paired" not in roi:
        sentence = f"Insufficient data after {progress}: {roi['reason']}.{over}"
        return {"word": "insufficient data", "line": sentence, "decided_by": None}
    always = roi["always_valid"]
    # Once found, found: p is that of the strongest evidence so far.
    if always["p"] <= one.level:
        first = next(each for each in roi["by_figure"] if each["p"] <= one.level)
        word = "policy better" if first["lift"] > 0 else "control better"
        when = first["figures"] * roi["cycles_per_figure"]
        sentence = (
            f"{_better(word)}: ROI {_lift(always)} after {progress}; the always-valid test has told since cycle {when}."
        )
        return {"word": word, "line": sentence + over, "decided_by": "always-valid"}
    if outcomes.reached:
        last = roi["closing"]
        decision = {"decided_by": "paired", "level": last["level"]}
        if last["p"] <= last["level"]:
            word = "policy better" if last["lift"] > 0 else "control better"
            sentence = f"{_better(word)}: ROI {_lift(last)} at the planned end, by the paired test.{over}"
            return {"word": word, "line": sentence} | decision
        sentence = f"No difference found by the planned end: ROI {_lift(last)}.{over}"
        return {"word": "no difference found by the planned end", "line": sentence} | decision
    if one.ended:
        sentence = f"Ended after {progress}, before a difference was found: ROI {_lift(always)}.{over}"
        return {"word": "ended", "line": sentence, "decided_by": "always-valid"}
    sentence = f"Running, {progress}: no difference found so far; ROI {_lift(always)}."
    return {"word": "running", "line": sentence, "decided_by": "always-valid"}


def _better(word: str) -> str:
    return "The policy is better" if word == "policy better" else "Control is better"


def _lift(one: dict[str, Any]) -> str:
    return formats.lift(one["lift"], one["low"], one["high"])


def _balance(one: Experiment, count: dict[str, int]) -> dict[str, Any]:
    ratio: dict[str, Any] = {"users": count, "wanted": dict(one.weights)}
    total = sum(count.values())
    if total == 0:
        reason = "the router has seen no user: every question named its arm, or the experiment has just begun."
        return ratio | {"p": None, "verdict": "not applicable", "reason": reason}
    if total < FEWEST_USERS:
        reason = f"{total} user{'s' * (total != 1)}; {FEWEST_USERS} are needed: {FEWEST_USERS - total} more."
        return ratio | {"p": None, "verdict": "insufficient data", "reason": reason}
    test = balance(count, {arm: one.weights.get(arm, 0.0) for arm in count})
    split = " : ".join(f"{count[arm] / total:.1%}" for arm in count)
    wanted = " : ".join(f"{one.weights.get(arm, 0.0):.1%}" for arm in count)
    reason = f"{total:,} users are split {split} where {wanted} was wanted (p = {test.p:.2g})."
    if test.blocks:
        reason += " Find where users are lost, mend it, and begin a new experiment with a new salt."
    return ratio | {"p": test.p, "verdict": "imbalance" if test.blocks else "balanced", "reason": reason}


def _arm(outcomes: Outcomes, arm: int, platform: str | None) -> dict[str, Any]:
    level = outcomes.experiment.level
    totals = {name: float(outcomes.of(name, platform)[arm].sum()) for name in AMOUNTS}
    ratios = {}
    for name in FIGURES:
        top_AT, bottom_AT = of_arms(outcomes, name, platform)
        ratios[name] = own(top_AT[arm], bottom_AT[arm], level)
    return totals | ratios


def _dynamic_reward(outcomes: Outcomes, weights: Reward) -> dict[str, Any]:
    """Eq. 10 of each arm: of every cycle, and their mean."""
    reward_AT = outcomes.dynamic_reward(weights)
    return {
        arm: {"mean": float(reward_AT[a].mean()) if reward_AT.size else None, "by_cycle": reward_AT[a].tolist()}
        for a, arm in enumerate(ARMS)
    }


def _by_cycle(outcomes: Outcomes) -> list[dict[str, Any]]:
    return [
        {"cycle": slot + 1}
        | {arm: {name: float(outcomes.of(name)[a, t]) for name in AMOUNTS} for a, arm in enumerate(ARMS)}
        for t, slot in enumerate(outcomes.slot_T)
    ]


def _notes(store: Store, outcomes: Outcomes, standing: dict[str, Any]) -> list[str]:
    """What a reader must know to read the figures rightly."""
    one, notes = outcomes.experiment, []
    mine = [clock.campaign_id for clock in outcomes.clocks]
    overridden = sorted(name for name in campaigns.overridden(store) if name in mine)
    if overridden:
        notes.append(f"overridden now, so that both arms serve the same split there: {', '.join(overridden)}")
    currencies = {clock.currency for clock in outcomes.clocks}
    if len(currencies) > 1:
        notes.append(
            f"campaigns in {', '.join(sorted(currencies))}: amounts are added as they are, so that ROI, ROAS and CPA "
            "mean nothing across them"
        )
    if outcomes.silent:
        notes.append(f"{outcomes.silent} campaign cycles had no feedback from either arm and are left out")
    period = standing["lifts"]["roi"].get("cycles_per_figure", 1)
    if period > 1:
        notes.append(
            f"single cycles may earn nothing: {period} on end make a figure; where that number changes, the "
            "always-valid test begins anew"
        )
    crossed = standing["users"].get("in_both_arms", 0)
    if crossed:
        people = "1 user has" if crossed == 1 else f"{crossed} users have"
        notes.append(f"{people} feedback in both arms: look at how the feedback names its arm")
    if not math.isclose(one.weights["policy"], one.weights["control"]):
        notes.append(
            "arms of different size differ a little by themselves, as the larger one buys deeper into the supply and "
            "leaves another part unspent; `crossmix experiment simulate` tells how much (control against control)"
        )
    notes += [
        "conversions count in the cycle of their impression; the newest cycles still lack late ones, in both arms "
        "alike",
        "only ROI decides; the other figures and the platforms are many tests at once, and some will look significant "
        "by luck",
    ]
    return notes
