"""What an experiment brought, cut in every way that is shown: by arm, currency, campaign, platform, cycle and phase.

Amounts are added within a currency and never across: over several of them an arm has counts and no money, and its lifts
are pooled (`serving.experiment.compare.series`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossmix.config import Reward
from crossmix.ledger.outcomes import Outcomes
from crossmix.ledger.phases import Mark, bounds
from crossmix.metrics import AMOUNTS, ARMS
from serving.experiment.compare import FIGURES, MONEY, compare, of_outcomes, own, word_of

CAMPAIGNS = 50
"""On a page."""
PHASES = 12
"""Most phases that changes of single campaigns may make; above, only changes for all campaigns do."""
NONE = {"value": None, "low": None, "high": None}


def arms(outcomes: Outcomes, platform: str | None = None) -> dict[str, dict[str, Any]]:
    """Totals and figures of each arm; over several currencies money, and what is made of it, is `None`."""
    level, mixed = outcomes.experiment.level, len(outcomes.currencies) > 1
    rows: dict[str, dict[str, Any]] = {}
    for a, arm in enumerate(ARMS):
        rows[arm] = {
            name: None if mixed and name in MONEY else float(outcomes.of(name, platform)[a].sum()) for name in AMOUNTS
        }
        for name, parts in FIGURES.items():
            if mixed and MONEY & set(parts):
                rows[arm][name] = dict(NONE)
            else:
                top_T, bottom_T = (outcomes.of(part, platform)[a] for part in parts)
                rows[arm][name] = own(top_T, bottom_T, level)
    return rows


def lifts(outcomes: Outcomes, platform: str | None = None) -> dict[str, Any]:
    """Policy over control by each figure."""
    return {name: compare(of_outcomes(outcomes, name, platform), outcomes.experiment.level) for name in FIGURES}


def by_cycle(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Amounts of both arms in each cycle."""
    mixed = len(outcomes.currencies) > 1
    amounts = {name: None if mixed and name in MONEY else outcomes.of(name) for name in AMOUNTS}
    return [
        {"cycle": slot + 1}
        | {
            arm: {name: None if part is None else float(part[a, t]) for name, part in amounts.items()}
            for a, arm in enumerate(ARMS)
        }
        for t, slot in enumerate(outcomes.slot_T)
    ]


def platforms(outcomes: Outcomes) -> dict[str, Any]:
    """Arms and lifts of each platform."""
    return {name: {"arms": arms(outcomes, name), "lifts": lifts(outcomes, name)} for name in outcomes.platforms}


def dynamic_reward(outcomes: Outcomes, weights: Reward) -> dict[str, Any]:
    """Eq. 10 of each arm: of every cycle, and their mean."""
    reward_AT = outcomes.dynamic_reward(weights)
    return {
        arm: {"mean": float(reward_AT[a].mean()) if reward_AT.size else None, "by_cycle": reward_AT[a].tolist()}
        for a, arm in enumerate(ARMS)
    }


def money(outcomes: Outcomes, lift: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Revenue beyond what control's ROI would have earned with the policy's planned budget, of one currency.

    That base is summed over cycles; the lift of ROI and its interval are applied to it, so that the money never says
    something else than the lift.
    """
    if lift is None:
        return None
    revenue_AT, planned_AT = outcomes.of("revenue"), outcomes.of("planned")
    roi_T = np.divide(revenue_AT[1], planned_AT[1], out=np.zeros(planned_AT.shape[1]), where=planned_AT[1] > 0)
    base = float((roi_T * planned_AT[0]).sum())
    ends = {name: None if lift[name] is None else base * lift[name] for name in ("low", "high")}
    return {"extra": base * lift["lift"], **ends, "base": base}


def by_currency(outcomes: Outcomes, decided: Mapping[str, Any] | None) -> dict[str, Any]:
    """Everything of each currency by itself.

    Args:
        decided: the interval that decides, where there is one currency; each of several has its own.
    """
    rows = {}
    for number, name in enumerate(outcomes.currencies):
        part = outcomes if len(outcomes.currencies) == 1 else outcomes.only(currency=name)
        its = lifts(part)
        lift = decided if decided is not None and len(outcomes.currencies) == 1 else its["roi"].get("always_valid")
        rows[name] = {
            "campaigns": sum(one.currency == name for one in outcomes.members),
            "weight": _weight(outcomes, number),
            "arms": arms(part),
            "lifts": its,
            "word": _word(its["roi"].get("always_valid")),
            "money": money(part, lift),
            "by_cycle": by_cycle(part),
        }
    return rows


def _word(lift: dict[str, Any] | None) -> str:
    """What the always-valid interval of a currency's or campaign's own ROI says."""
    return "insufficient data" if lift is None else word_of(lift).replace("running", "no difference yet")


def _weight(outcomes: Outcomes, currency: int) -> float:
    """Its part of the campaign cycles: how much it weighs in the pooled lift."""
    every = float(outcomes.campaigns_CT.sum())
    return float(outcomes.campaigns_CT[currency].sum()) / every if every > 0 else 0.0


def by_campaign(outcomes: Outcomes, page: int, limit: float = 0.0) -> dict[str, Any]:
    """Campaigns in order of name, `CAMPAIGNS` to a page, each with its ROI and lift.

    Args:
        limit: lift of ROI, relative: a campaign whose own always-valid interval lies wholly below is marked (`harm`),
            which ends nothing.
    """
    pages = max(math.ceil(len(outcomes.members) / CAMPAIGNS), 1)
    page = min(max(page, 1), pages)
    rows = []
    for one in outcomes.members[(page - 1) * CAMPAIGNS : page * CAMPAIGNS]:
        part = outcomes.only(campaign=one.campaign_id)
        roi = compare(of_outcomes(part, "roi"), outcomes.experiment.level)
        lift = roi.get("always_valid")
        planned, revenue, spend = (part.of(name).sum(1) for name in ("planned", "revenue", "spend"))
        rows.append(
            {
                "campaign_id": one.campaign_id,
                "currency": one.currency,
                "cycles": len(part.slot_T),
                "cycle_hours": one.calendar.cycle_hours,
                "arms": {
                    arm: {
                        "planned": float(planned[a]),
                        "spend": float(spend[a]),
                        "revenue": float(revenue[a]),
                        "roi": float(revenue[a] / planned[a]) if planned[a] > 0 else None,
                    }
                    for a, arm in enumerate(ARMS)
                },
                "lift": lift,
                "word": _word(lift),
                "harm": lift is not None and lift["high"] is not None and lift["high"] < limit,
                "reason": roi.get("reason"),
                "money": money(part, lift),
            }
        )
    return {"page": page, "pages": pages, "campaigns": len(outcomes.members), "rows": rows}


def by_phase(outcomes: Outcomes, changes: Sequence[Mark]) -> list[dict[str, Any]]:
    """Lift of ROI within each phase, tested by itself, and since its beginning."""
    spans = bounds(list(changes), outcomes.finished)
    if len(spans) > PHASES:
        spans = bounds([one for one in changes if one.campaign is None], outcomes.finished)[-PHASES:]
    if len(spans) < 2:
        return []
    level, rows = outcomes.experiment.level, []
    for first, stop in spans:
        within, since = (of_outcomes(outcomes.between(first, end), "roi") for end in (stop, outcomes.finished))
        rows.append(
            {
                "from_cycle": first + 1,
                "to_cycle": stop,
                "begun_by": [one.as_dict() for one in changes if one.begins == first],
                "roi": compare(within, level),
                "roi_since": compare(since, level),
            }
        )
    return rows


def late(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Cycles whose revenue has changed since they were first counted, of each currency and arm."""
    rows = []
    for t, slot in enumerate(outcomes.slot_T):
        until = int(outcomes.late.look_T[t]) + 1
        revenue_CAU = outcomes.late.revenue_CATU[:, :, t]
        then_CA, now_CA = revenue_CAU[:, :, :until].sum(2), revenue_CAU.sum(2)
        for c, currency in enumerate(outcomes.currencies):
            if not np.allclose(then_CA[c], now_CA[c], rtol=1e-9, atol=0):
                rows.append(
                    {
                        "cycle": slot + 1,
                        "currency": currency,
                        "then": dict(zip(ARMS, then_CA[c].tolist(), strict=True)),
                        "now": dict(zip(ARMS, now_CA[c].tolist(), strict=True)),
                    }
                )
    return rows
