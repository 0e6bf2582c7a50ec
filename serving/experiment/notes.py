"""What a reader must know to read an experiment's figures rightly, in sentences."""

from __future__ import annotations

import math
from typing import Any

from crossmix.ledger import campaigns
from crossmix.ledger.experiments import GUARDRAIL
from crossmix.ledger.outcomes import Outcomes
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS

LISTED = 20
"""Names in one sentence."""


def notes(store: Store, outcomes: Outcomes, standing: dict[str, Any], left_out: list[str]) -> list[str]:
    """What a reader must know.

    Args:
        standing: the status so far.
        left_out: currencies that have no part in the pooled lift.
    """
    one, roi = outcomes.experiment, standing["lifts"]["roi"]
    sentences: list[str] = []
    mine = {member.campaign_id for member in outcomes.members}
    overridden = sorted(mine & set(campaigns.overridden(store)))
    if overridden:
        more = f" and {len(overridden) - LISTED} more" if len(overridden) > LISTED else ""
        names = ", ".join(overridden[:LISTED])
        sentences.append(f"overridden now, so that both arms serve the same split there: {names}{more}")
    sentences += _of_currencies(outcomes, left_out)
    if outcomes.silent:
        sentences.append(f"{outcomes.silent} campaign cycles had no feedback from either arm and are left out")
    if outcomes.held:
        sentences.append(
            f"{outcomes.held} campaign cycles have a report that is not believed (crossmix guard list) and are left "
            "out of both arms"
        )
    long = [member for member in outcomes.members if member.calendar.nominal > outcomes.length * 1.01]
    if long:
        sentences.append(
            f"{len(long)} campaign{'s have' if len(long) > 1 else ' has'} cycles longer than the experiment's: each "
            "counts whole in the cycle in which it ends, once both arms have reported it"
        )
    period = roi.get("cycles_per_figure", 1)
    if period > 1:
        sentences.append(
            f"single cycles may earn nothing: {period} on end make a figure; where that number changes, the "
            "always-valid test begins anew"
        )
    sentences += _of_totals(standing)
    if one.ended_by == GUARDRAIL and all(rail["verdict"] != "broken" for rail in standing["guardrails"]):
        sentences.append(
            "a guardrail ended it on what was known then; with what has come in since, or with other thresholds, none "
            "would be broken"
        )
    if standing["late"]:
        cycles = ", ".join(str(number) for number in sorted({late["cycle"] for late in standing["late"]}))
        sentences.append(
            f"what came late has changed revenue since it was first counted, of cycle {cycles}; what is drawn as told "
            "after each cycle is what was known then"
        )
    harmed = [row["campaign_id"] for row in standing["by_campaign"]["rows"] if row["harm"]]
    if harmed:
        more = f" and {len(harmed) - LISTED} more" if len(harmed) > LISTED else ""
        sentences.append(
            f"campaigns listed here whose own interval lies wholly below the guardrail of ROI: "
            f"{', '.join(harmed[:LISTED])}{more}; no campaign's own ends the experiment: without harm each still looks "
            f"so with a chance of up to {one.level / 2:.2%}"
        )
    crossed = standing["users"].get("in_both_arms", 0)
    if crossed:
        people = "1 user has" if crossed == 1 else f"{crossed} users have"
        sentences.append(f"{people} feedback in both arms: look at how the feedback names its arm")
    if not math.isclose(one.weights["policy"], one.weights["control"]):
        sentences.append(
            "arms of different size differ a little by themselves, as the larger one buys deeper into the supply and "
            "leaves another part unspent; `crossmix experiment simulate` tells how much (control against control)"
        )
    if standing["phases"]:
        sentences.append(
            "something was changed while it ran (phases): the lift over all cycles is of a policy that was not the "
            "same throughout"
        )
    return [
        *sentences,
        "conversions count in the cycle of their impression; the newest cycles still lack late ones, in both arms "
        "alike",
        "only ROI decides; the other figures, the platforms, campaigns and phases are many tests at once, and some "
        "will look significant by luck",
    ]


def _of_currencies(outcomes: Outcomes, left_out: list[str]) -> list[str]:
    if len(outcomes.currencies) < 2:
        return []
    sentences = [
        f"campaigns in {', '.join(outcomes.currencies)}: amounts are never added across currencies; the lifts are "
        "means of each currency's, weighted by its campaigns; guardrails watch that mean and each currency alone, and "
        "share the one chance of a false stop"
    ]
    if left_out:
        sentences.append(
            f"cycles in {', '.join(left_out)} are too empty for figures beside the others': they have lifts of their "
            "own and no part in those over all currencies"
        )
    return sentences


def _of_totals(standing: dict[str, Any]) -> list[str]:
    """The mean of cycles' lifts and the ratio of the totals may point to different sides."""
    lift = standing["verdict"]["interval"]
    roi = [standing["arms"][arm]["roi"]["value"] for arm in ARMS]
    if lift is None or None in roi or (roi[0] - roi[1]) * lift["lift"] >= 0:
        return []
    return [
        "the totals' ROI points the other way than the lift: the lift weighs every cycle alike, the totals by money"
    ]
