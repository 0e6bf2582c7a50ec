"""Does money move a platform's sales, or do its sales move the money?

Where people look for a shop by its name, or come back to it, more of them cost more clicks and buy more: spend and
sales rise together, and neither is the other's cause. What all platforms have in common the elasticities know
(`elasticities.py`); a platform's own demand no comparison of platforms tells from its money. Two explanations of the
elasticity E that a platform's data show, with standard error s:

    money moves sales     E is N(m, v), of the fit's three slopes in sum (`SLOPE`), and no more than 1: the next money
                          never brings more than the first
    spend follows sales   E is N(1, FOLLOWS^2): both are about in proportion to demand, whatever money does

The odds of the second are those before any data (`USUAL`; `NAMED` where the name says so) times the ratio of the two
densities (Bayes). Where spend follows, money's own elasticity is what demand leaves of the shown one, anything from
none to all of it.

Money that was moved on purpose tells it: a budget that was held, moved, and held again (`on_purpose`). Demand does not
hold still. What results did over those cycles alone is then what money does, under either explanation.

Shapes: T cycles, C campaigns, P platforms, N draws.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import norm

from crossmix.evaluate.decision.elasticities import UNKNOWN
from crossmix.market.fit.spend_history import SLOPE

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MEAN = sum(one.mean for one in SLOPE.values())
VARIANCE = sum(one.mean_sd**2 + one.platform**2 + one.campaign**2 + one.own**2 for one in SLOPE.values())
"""Of an elasticity, before its data."""
FOLLOWS = 0.25
"""Deviation around 1 of the elasticity shown where spend follows demand: budgets follow a part of it, or late."""
USUAL = 0.03
"""Probability that a platform's spend follows its own demand, before its data."""
NAMED = 0.3
"""The same where a name says brand search or retargeting."""
BACK = frozenset(
    [
        "retargeting",
        "remarketing",
        "retarget",
        "rtg",
        "rmkt",
        "remarketingu",
        "retargetingu",
        "ремаркетинг",
        "ретаргетинг",
        "リターゲティング",
        "リマーケティング",
        "再营销",
        "重定向",
        "리타겟팅",
        "리마케팅",
    ]
)
"""Words of a platform's or a campaign's name for people who were there before."""
OWN = frozenset(
    [
        "brand",
        "branded",
        "brandsearch",
        "brandname",
        "marke",
        "markenname",
        "markensuche",
        "eigenmarke",
        "marca",
        "marchio",
        "marque",
        "merk",
        "merknaam",
        "varumärke",
        "varemærke",
        "merkevare",
        "brändi",
        "marka",
        "značka",
        "бренд",
        "брендовая",
        "брендовый",
        "ブランド",
        "指名",
        "品牌",
        "브랜드",
    ]
)
"""The same for people who look for the shop itself."""
OTHERWISE = frozenset(["non", "no", "not", "generic", "awareness", "ohne", "sans", "sin", "sem", "senza", "не"])
"""Words beside them that say it is not so: non-brand search, brand awareness."""
SHOWN = frozenset(
    [
        "meta",
        "facebook",
        "instagram",
        "fb",
        "ig",
        "tiktok",
        "snapchat",
        "snap",
        "pinterest",
        "linkedin",
        "twitter",
        "reddit",
        "youtube",
        "social",
        "video",
        "display",
        "tv",
        "ctv",
        "radio",
        "audio",
        "podcast",
        "spotify",
        "native",
        "outdoor",
        "ooh",
        "print",
        "influencer",
    ]
)
"""Words of a platform's name where nobody looks for anything: there a brand's campaign makes it known."""
STILL = 0.05
"""|change of ln spend| from cycle to cycle while a budget is held, at most; and of all of it from least to most, twice
that: what creeps is no held budget."""
HELD = 4
"""Cycles that a budget is held for, at least."""
STEP = 0.15
"""|change of ln spend| by which a held budget is moved on purpose, at least."""


def by_name(campaign: str, platform: str) -> bool:
    """Whether names say that people come by themselves: brand search, or retargeting."""
    words = [set(re.split(r"[\W\d_]+", name.lower())) for name in (campaign, platform)]
    said = [one for one in words if OTHERWISE.isdisjoint(one)]
    if any(not BACK.isdisjoint(one) for one in said):
        return True
    return SHOWN.isdisjoint(words[1]) and any(not OWN.isdisjoint(one) for one in said)


def probability(value_P: Array, error_P: Array, named_P: Iterable[bool]) -> Array:
    """That spend follows the platform's own demand, given the elasticity that its data show, (P,)."""
    before_P = np.where(np.fromiter(named_P, bool), NAMED, USUAL)
    noise_P = np.minimum(error_P, UNKNOWN) ** 2
    follows_P = _log_density(value_P, 1.0, FOLLOWS**2 + noise_P)
    moves_P = _log_density(value_P, MEAN, VARIANCE + noise_P)
    # How much of E as it would then be lies below 1, after its data over before them.
    after_P = MEAN + VARIANCE / (VARIANCE + noise_P) * (value_P - MEAN)
    deviation_P = np.sqrt(VARIANCE * noise_P / (VARIANCE + noise_P))
    moves_P = moves_P + norm.logcdf((1 - after_P) / deviation_P) - norm.logcdf((1 - MEAN) / VARIANCE**0.5)
    return np.asarray(expit(np.log(before_P / (1 - before_P)) + follows_P - moves_P))


def _log_density(value_P: Array, mean: float, variance_P: Array) -> Array:
    return np.asarray(-0.5 * ((value_P - mean) ** 2 / variance_P + np.log(variance_P)))


def left_over(shown_NP: Array, moved_P: Array, moved_error_P: Array, rng: np.random.Generator) -> Array:
    """Money's own elasticity where spend follows demand, (N, P).

    Args:
        shown_NP: the elasticity by all that was spent.
        moved_P: by the money that was moved on purpose, with its standard error; `UNKNOWN`: none was.
    """
    any_NP = rng.random(shown_NP.shape) * shown_NP
    # A flat prior from 0 to what is shown is about a normal of that mean and variance.
    prior_NP = np.maximum(np.abs(shown_NP) / np.sqrt(12), 1e-3)
    weight_NP = prior_NP**2 / (prior_NP**2 + moved_error_P**2)
    middle_NP = 0.5 * shown_NP + weight_NP * (moved_P - 0.5 * shown_NP)
    told_NP = middle_NP + np.sqrt(1 - weight_NP) * prior_NP * rng.standard_normal(shown_NP.shape)
    return np.asarray(np.where(moved_error_P < UNKNOWN, told_NP, any_NP))


def on_purpose(spend_TCP: Array) -> Mask:
    """Cycles in which a budget was held that was moved in a step to another that was held, (T, C, P)."""
    found = np.zeros(spend_TCP.shape, bool)
    for c, p in np.ndindex(*spend_TCP.shape[1:]):
        found[:, c, p] = _stepped(spend_TCP[:, c, p])
    return found


def _stepped(spend_T: Array) -> Mask:
    found = np.zeros(len(spend_T), bool)
    log_T = np.log(np.maximum(spend_T, 1e-9))
    breaks = np.flatnonzero(np.abs(np.diff(log_T)) > STILL) + 1
    edges = np.concatenate([[0], breaks, [len(spend_T)]])
    spans = [slice(a, b) for a, b in pairwise(edges)]
    held = [_held(log_T[span]) and bool((spend_T[span] > 0).all()) for span in spans]
    for i in range(len(spans) - 1):
        moved = abs(log_T[spans[i]].mean() - log_T[spans[i + 1]].mean())
        if held[i] and held[i + 1] and moved >= STEP:
            found[spans[i]] = found[spans[i + 1]] = True
    return found


def _held(log_T: Array) -> bool:
    return len(log_T) >= HELD and float(np.ptp(log_T)) <= 2 * STILL
