"""Planted accounts in which one platform's spend follows its own demand, under a plain name.

The other platforms are those of the kind `plain` of `_field_worlds`. On the one that follows, money does little
(`CAUSE`), demand of its own moves sales, and its budget moves after them by a rule (`RULES`), in part (`FOLLOWS`) and
with some freedom (`JITTER`). Where demand acts is drawn too: on volume (impressions, clicks and sales, as of people who
look for a shop by its name), or on sales per click alone (as of a platform that collects what others brought about).

With `chased`, the budget follows its results all the same, and money is as effective there as elsewhere and no demand
of its own moves: what a doubt costs that is none.

Shapes: T days, P platforms; money is currency per day.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks._field_responses import NOISE, Array, Cells, Power
from benchmarks._field_worlds import NAMES, RECENT, START, VALUE_CV, Moves, World

DAYS = (120, 182, 364)
CAUSE = (0.06, 0.45)
"""Elasticity of what money does where spend follows demand, from and to."""
USUAL = (0.56, 0.79)
"""The same elsewhere."""
DEMAND, KEEP, WEEK = (0.15, 0.4), (0.8, 0.97), 0.25
"""Deviation of ln demand; its persistence a day; half the height of its week, where it has one."""
FOLLOWS = (0.5, 1.0)
"""Part of its demand, or of its sales, that spend follows, in logarithms."""
JITTER = (0.03, 0.3)
"""Deviation of ln spend beside that."""
RULES = ("same day", "yesterday", "seven days", "weekly")
"""What the budget of a day follows: the day's demand, as where clicks are paid for; yesterday's sales; those of the
seven days before; those of the week before, set on Mondays."""
BETTER = (1.0, 3.0)
"""Revenue per money there, over that of the others."""
PULL = 5.0
"""Sales that are added to both sides of a ratio of sales."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How the platform that follows does it."""

    platform: int
    rule: str
    cause: float
    part: float
    jitter: float
    on_volume: bool
    chased: bool


def own_demand(seed: int, *, chased: bool = False) -> tuple[World, Followed]:
    """The account of that seed; the same one each time."""
    kind = "chased" if chased else "own demand"
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    platforms = tuple(rng.permutation(NAMES)[: int(rng.integers(2, 6))].tolist())
    count, days = len(platforms), int(rng.choice(DAYS))
    how = Followed(
        platform=int(rng.integers(count)),
        rule=str(rng.choice(RULES)),
        cause=float(rng.uniform(*CAUSE)),
        part=float(rng.uniform(*FOLLOWS)),
        jitter=float(rng.uniform(*JITTER)),
        on_volume=bool(rng.random() < 0.5),
        chased=chased,
    )
    elasticity_P = rng.uniform(*USUAL, count)
    if not chased:
        elasticity_P[how.platform] = how.cause
    response = _response(rng, elasticity_P)
    demand_T = _demand(rng, days)
    if chased:
        demand_T = np.ones(days)
    # Of an average day's demand; a share of it money has.
    left = 1 - float(elasticity_P[how.platform]) if how.on_volume else 1.0
    sold_P = np.ones(count)
    sold_P[how.platform] = float((demand_T**left).mean())
    # Elsewhere the next money earns about the same; what follows demand looks better than that.
    mean_P = response.mean(response.spend)[0] * sold_P
    earned_P = 1.9 * np.exp(0.3 * rng.standard_normal(count)) / elasticity_P
    if not chased:
        earned_P[how.platform] = rng.uniform(*BETTER) * np.delete(earned_P, how.platform).mean()
    value_P = earned_P * response.spend[0] / mean_P
    table = _played(rng, response, how, demand_T, value_P)
    ones = np.ones((1, count))
    return World(
        kind=kind,
        seed=seed,
        campaigns=("",),
        platforms=platforms,
        frame=_frame(platforms, table),
        days_per_row=1,
        response=response,
        value_P=value_P,
        demand_T=np.ones(days),
        now=Moves(ones, ones, sold_P[None], ones),
        tried_CP=np.ones((1, count), bool),
        today_CP=table["spend"][-RECENT:].mean(0)[None],
    ), how


def _response(rng: np.random.Generator, elasticity_P: Array) -> Power:
    def around(middle: float, deviation: float) -> Array:
        return np.asarray(middle * np.exp(deviation * rng.standard_normal(len(elasticity_P))))

    spend_P = around(220, 0.6)
    impressions_P = spend_P / around(6, 0.5) * 1000
    cells = Cells(spend_P[None], impressions_P[None], impressions_P[None] * 0.014, (spend_P / around(19, 0.35))[None])
    stage_P = np.sqrt(elasticity_P)
    return Power(cells, stage_P, stage_P, np.ones(len(stage_P)))


def _demand(rng: np.random.Generator, days: int) -> Array:
    deviation, keep = rng.uniform(*DEMAND), rng.uniform(*KEEP)
    height = WEEK * rng.random() * (rng.random() < 0.5)
    week_T = 1 + height * np.sin(2 * np.pi * np.arange(days) / 7)
    return np.asarray(week_T * np.exp(_wander(rng, days, deviation, keep) - 0.5 * deviation**2))


def _wander(rng: np.random.Generator, days: int, deviation: float, keep: float) -> Array:
    shock_T = rng.standard_normal(days)
    series_T = shock_T.copy()
    for day in range(1, days):
        series_T[day] = keep * series_T[day - 1] + (1 - keep**2) ** 0.5 * shock_T[day]
    return np.asarray(deviation * series_T)


def _played(
    rng: np.random.Generator, response: Power, how: Followed, demand_T: Array, value_P: Array
) -> dict[str, Array]:
    """Day by day, since a budget may follow what was sold before; (T, P) each."""
    days, count = len(demand_T), len(value_P)
    p = how.platform
    free_TP = np.stack([_wander(rng, days, 0.35, 0.8) for _ in range(count)], 1)
    free_TP[:, p] = _wander(rng, days, how.jitter, float(rng.choice([0.0, 0.0, 0.8])))
    noise_2TP = np.exp(
        np.stack([[_wander(rng, days, NOISE, 0.8) for _ in range(count)] for _ in range(2)]).transpose(0, 2, 1)
        - 0.5 * NOISE**2
    )
    level_P = response.spend[0] * np.exp(0.15 * rng.standard_normal(count))
    usual = float(response.mean(response.spend)[0, p])
    names = ("spend", "impressions", "clicks", "conversions", "revenue")
    table = {name: np.zeros((days, count)) for name in names}
    for day in range(days):
        free_TP[day, p] += how.part * _seen(how, demand_T, table["conversions"][:day, p], usual)
        spend_P = level_P * np.exp(free_TP[day])
        volume_P, sold_P = np.ones((2, count))
        (volume_P if how.on_volume else sold_P)[p] = demand_T[day]
        played = response.play((spend_P / volume_P)[None], noise_2TP[:, day, None], rng)
        impressions = np.maximum((played.impressions[0] * volume_P).round(), 1)
        clicks = np.minimum(rng.poisson(played.clicks[0] * volume_P), impressions)
        conversions = np.minimum(rng.poisson(played.conversions[0] * volume_P * sold_P), clicks)
        shape_P = conversions / VALUE_CV**2
        revenue = np.where(conversions > 0, rng.gamma(np.maximum(shape_P, 1e-9)) * VALUE_CV**2, 0.0) * value_P
        row = (np.maximum(spend_P.round(2), 0.01), impressions, clicks, conversions, revenue.round(2))
        for name, amount_P in zip(names, row, strict=True):
            table[name][day] = amount_P
    return table


def _seen(how: Followed, demand_T: Array, sold_T: Array, usual: float) -> float:
    """ln of what the rule looks at over what is usual, on the day after those sales."""
    day = len(sold_T)
    if how.rule == "same day" and not how.chased:
        return float(np.log(demand_T[day]))
    if how.rule in ("same day", "yesterday"):
        looked = sold_T[-1:]
    elif how.rule == "seven days":
        looked = sold_T[-7:]
    else:
        looked = sold_T[max(day - day % 7 - 7, 0) : day - day % 7]
    if not len(looked):
        return 0.0
    return float(np.log((looked.mean() + PULL) / (usual + PULL)))


def _frame(platforms: tuple[str, ...], table: dict[str, Array]) -> pd.DataFrame:
    days = len(table["spend"])
    columns = {name: one.ravel() for name, one in table.items()}
    columns |= {name: columns[name].astype(np.int64) for name in ("impressions", "clicks", "conversions")}
    date = (START + pd.to_timedelta(np.repeat(np.arange(days), len(platforms)), unit="D")).strftime("%Y-%m-%d")
    return pd.DataFrame({"date": date, "platform": np.tile(platforms, days), **columns})
