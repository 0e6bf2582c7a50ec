"""Planted worlds for `benchmarks.field` and for tests: spend histories of accounts whose truth is known.

A world is a history as an advertiser would export it, the expected revenue of any spend, and so the best split of any
budget. Parameters are drawn per seed around those of a middling account (four platforms, about 1,000 a day, 50
conversions a day, marginal ROI about 2): every seed is another account.

Kinds are those of `_field_kinds`.

Shapes: T days, C campaigns, P platforms; money is currency per day.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import nbinom

from benchmarks._field_kinds import KINDS, SIXTY, Kind
from benchmarks._field_responses import (
    NOISE,
    Array,
    CarryOver,
    Cells,
    Hill,
    Logarithm,
    Played,
    Power,
    Response,
    auction,
    best,
)

START = pd.Timestamp("2025-01-06")
PERSISTENCE = 0.8
"""Of noise and of spend's wandering, a day."""
VALUE_CV = 0.55
"""Coefficient of variation of a conversion's revenue."""
LATE = 0.3
"""Part of a late platform's history that it was there for."""
RECENT = 14
"""Days of `today`; of weekly rows four."""
NAMES = ("search", "social_feed", "short_video", "shopping", "native", "audio", "partner_sites", "marketplace")
DELAY = (0.45, 0.25, 0.15, 0.1, 0.05)
"""Part of the revenue that is booked so many days after its conversion, where it is delayed."""

LAG, LAG_SHAPES, LAG_APART = (3.0, 10.0), (1.0, 3.0), 0.25
"""Mean days from click to conversion of an account, from and to; shapes of their gamma law; deviation of ln of what
platforms have of it."""
LAG_DAYS = 120
"""Longest; the account ran as long before the first day."""


GREW = (2.0, 3.0)
"""By how much an account grows, or shrinks, over its history."""
STEPPED = (1.5, 2.0)
"""By how much a platform's price or conversion rate steps, up or down."""
AGO = (30, 90)
"""Days before the end of the history on which it does."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Factors on what the response says, about 1 each; (T, C, P), or (C, P) of the days after the history."""

    volume: Array
    """Of demand: impressions at that many times the spend."""
    price: Array
    sold: Array
    """Conversions per click."""
    followed: Array
    """By how much budgets rise, as demand does."""

    def at(self, day: int) -> Moves:
        return Moves(self.volume[day], self.price[day], self.sold[day], self.followed[day])


@dataclass(frozen=True, slots=True)
class World:
    """A history and the truth behind it."""

    kind: str
    seed: int
    campaigns: tuple[str, ...]
    platforms: tuple[str, ...]
    frame: pd.DataFrame
    """date (YYYY-MM-DD), platform, campaign (absent where there is one), spend, impressions, clicks, conversions,
    revenue: a row a day, or a week from its Monday."""
    days_per_row: int
    response: Response
    value_P: Array
    """Mean revenue of a conversion, currency."""
    demand_T: Array
    """Factor on the day's volume, mean 1."""
    now: Moves
    """(C, P)."""
    tried_CP: NDArray[np.bool_]
    """Which campaign ever ran where."""
    today_CP: Array
    """Mean spend of the last `RECENT` days (of weekly rows: of the last four)."""
    settings: tuple[str, ...] = ()
    """Config changes with which the history is read."""

    @property
    def named(self) -> pd.DataFrame:
        """`frame` with the campaign of each row, one of `campaigns`."""
        alone = len(self.campaigns) == 1
        return self.frame.assign(campaign=self.campaigns[0]) if alone else self.frame

    def revenue_CP(self, spend_CP: Array) -> Array:
        """Expected revenue of a day right after the history at that spend, (..., C, P).

        What trends or steps (`Moves`) is as on the last day; demand that wanders is as over the whole history, noise at
        its mean. Where money carries over, of the steady state.
        """
        now = self.now
        spend_CP = np.asarray(spend_CP, float) / (now.price * now.volume)
        return self._steady_CP(spend_CP) * now.volume * now.sold

    def _steady_CP(self, spend_CP: Array) -> Array:
        demand = np.unique(self.demand_T)
        if len(demand) == 1:
            return np.asarray(self.response.mean(spend_CP) * self.value_P)
        # Twenty quantiles stand for the days.
        middle = np.quantile(self.demand_T, (np.arange(20) + 0.5) / 20)
        middle /= middle.mean()
        total = sum(part * self.response.mean(spend_CP / part) for part in middle)
        return np.asarray(total / len(middle) * self.value_P)

    def revenue(self, spend_CP: Array) -> float:
        """Expected revenue of a day, all campaigns and platforms."""
        return float(self.revenue_CP(spend_CP).sum())

    def marginal_CP(self, spend_CP: Array) -> Array:
        """Revenue of the next unit of money, (C, P)."""
        step = np.maximum(1e-3 * spend_CP, 1e-6)
        return np.asarray((self.revenue_CP(spend_CP + step) - self.revenue_CP(spend_CP - step)) / (2 * step))

    def known_CP(self) -> NDArray[np.bool_]:
        """Of which cells the history can tell something: tried ones, and those whose campaign and platform a chain of
        tried ones links, so that what the campaign converts and what the platform costs are both seen."""
        linked = self.tried_CP.astype(int)
        for _ in range(sum(self.tried_CP.shape)):
            linked = np.minimum(linked @ linked.T @ linked, 1)
        return linked.astype(bool)

    def best(self, budget_C: Array | None = None, probe: float = 1.0, *, tried: bool = False) -> Array:
        """The split of every campaign's budget that earns most, (C, P).

        Args:
            budget_C: currency per day; `None`: today's.
            probe: largest part of a campaign's budget on each cell of which the history can tell nothing (`known_CP`).
            tried: only on cells that ran, whatever others tell of the rest.
        """
        budget_C = self.today_CP.sum(1) if budget_C is None else budget_C
        most_CP = budget_C[:, None] * np.where(self.known_CP(), 1.0, probe)
        if tried:
            most_CP = np.where(self.tried_CP, most_CP, 0.0)

        def value(c: int) -> Callable[[Array], Array]:
            def of(spend_GP: Array) -> Array:
                spend_GCP = np.broadcast_to(spend_GP[:, None], (len(spend_GP), *self.today_CP.shape))
                return self.revenue_CP(spend_GCP)[:, c]

            return of

        return np.stack([best(value(c), float(budget_C[c]), most_CP[c]) for c in range(len(budget_C))])

    def regret(self, spend_CP: Array, probe: float = 1.0) -> float:
        """What a split loses of the best revenue of the same budgets, a part of it."""
        budget_C = np.asarray(spend_CP).sum(1)
        return 1 - self.revenue(spend_CP) / self.revenue(self.best(budget_C, probe))


def world(kind: str, seed: int, changed: Kind | None = None) -> World:
    """The world of that kind (`KINDS`, `SIXTY`) and seed; the same one each time.

    Args:
        changed: what the kind is for this world; its numbers are drawn as those of `kind`.

    Raises:
        KeyError: an unknown kind.
    """
    bent = changed or (Kind(1.0, days=120, campaigns="many") if kind == SIXTY else KINDS[kind])
    if bent.together_of:
        return _together(kind, world(bent.together_of, seed))
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    platforms = _platforms(bent, rng)
    alone = _response(bent, rng, len(platforms))
    campaigns, size_C, sold_C = _campaigns(bent, rng, platforms)
    response = alone.of(size_C, sold_C)
    # Every platform earns about what the others do: marginal ROI lies around 2.
    near = 0.01 * alone.spend
    slope_P = ((alone.mean(alone.spend + near) - alone.mean(alone.spend - near)) / (2 * near))[0]
    value_P = 1.9 * np.exp(0.3 * rng.standard_normal(len(platforms))) / slope_P
    tried_CP = _tried(bent, rng, len(campaigns), len(platforms))
    demand_T = _demand(bent, rng)
    moves = _moves(bent, kind, seed, response.spend.shape)
    spend_TCP = _spend(bent, rng, response.spend, demand_T) * moves.followed
    noise = np.exp(_wander(rng, (2, *spend_TCP.shape), NOISE, axis=1) - 0.5 * NOISE**2)
    day_T = demand_T[:, None, None]

    def brought(spend_TCP: Array, rng: np.random.Generator) -> dict[str, Array]:
        played = response.play(spend_TCP / (day_T * moves.volume * moves.price), noise, rng)
        return _counted(played, day_T * moves.volume, moves.sold, rng)

    counts = brought(spend_TCP, rng)
    if bent.budgets is not None:
        # By numbers of their own, so that the account and the days before stay what they were.
        day, times = bent.budgets
        spend_TCP[day:] *= times
        moved = brought(spend_TCP, np.random.default_rng([zlib.crc32(kind.encode()), seed, 3]))
        for name, counted in counts.items():
            counted[day:] = moved[name][day:]
    if bent.lagged:
        counts["conversions"] = _lagged(kind, seed, counts["conversions"])
    revenue = _booked(bent, rng, counts["conversions"], value_P)
    table = {"spend": np.maximum(spend_TCP.round(2), 0.01), **counts, "revenue": revenue.round(2)}
    there_TCP = np.broadcast_to(tried_CP, spend_TCP.shape).copy()
    if bent.late:
        there_TCP[: round((1 - LATE) * bent.days), :, int(rng.integers(len(platforms)))] = False
    recent = 28 if bent.weekly else RECENT
    return World(
        kind=kind,
        seed=seed,
        campaigns=campaigns,
        platforms=platforms,
        frame=_frame(bent, campaigns, platforms, table, there_TCP),
        days_per_row=7 if bent.weekly else 1,
        response=response,
        value_P=value_P,
        demand_T=demand_T,
        now=moves.at(-1),
        tried_CP=tried_CP,
        today_CP=np.where(there_TCP, table["spend"], 0.0)[-recent:].mean(0),
    )


def _together(kind: str, made: World) -> World:
    """A world whose campaigns have a platform each, as the one account that they are: budgets move between them."""
    cell = made.tried_CP.argmax(0), np.arange(len(made.platforms))

    def row(cells: Array) -> Array:
        return np.asarray(cells[cell][None])

    response, now = made.response, made.now
    if not (isinstance(response, Power) and (made.tried_CP.sum(0) == 1).all()):
        raise ValueError(f"{made.kind}: only power laws of a campaign on each platform are read together here")
    at = response.at
    return replace(
        made,
        kind=kind,
        campaigns=("",),
        response=replace(response, at=Cells(*map(row, (at.spend, at.impressions, at.clicks, at.conversions)))),
        now=Moves(*map(row, (now.volume, now.price, now.sold, now.followed))),
        tried_CP=made.tried_CP[cell][None],
        today_CP=row(made.today_CP),
        settings=("data.campaigns=together",),
    )


def _platforms(bent: Kind, rng: np.random.Generator) -> tuple[str, ...]:
    size = {"holes": 2, "apart": 4, "many": 4}.get(bent.campaigns) or int(rng.integers(3, 6))
    return tuple(rng.permutation(NAMES)[:size].tolist())


def _response(bent: Kind, rng: np.random.Generator, platforms: int) -> Response:
    """The response of one campaign, of the size that is wanted."""

    def around(middle: float, deviation: float) -> Array:
        return np.asarray(middle * np.exp(deviation * rng.standard_normal(size=(platforms,))))

    spend_P = around(220, 0.6)
    impressions_P = spend_P / around(6, 0.5) * 1000
    clicks_P = impressions_P * around(0.014, 0.6)
    cells = Cells(spend_P[None], impressions_P[None], clicks_P[None], (spend_P / around(19, 0.35))[None])
    drawn = _of_family(bent, rng, cells)
    if bent.conversions is None:
        return drawn
    return drawn.of(np.array([bent.conversions / float(drawn.mean(drawn.spend).sum())]), np.ones(1))


def _of_family(bent: Kind, rng: np.random.Generator, cells: Cells) -> Response:
    platforms: int = cells.spend.shape[1]

    def between(low: float, high: float) -> Array:
        return rng.uniform(low, high, platforms)

    if bent.family == "hill":
        return Hill(cells, between(0.4, 1.0), between(1.1, 1.6))
    if bent.family == "logarithm":
        return Logarithm(cells, between(0.15, 0.8))
    if bent.family == "auction":
        return auction(rng, cells.spend[0])
    gamma_P, delta_P, eta_P = between(0.72, 0.88), between(0.78, 0.9), np.ones(platforms)
    if bent.fading:
        gamma_P, delta_P, eta_P = eta_P, eta_P, between(0.64, 0.72)
    if bent.spread:
        power_P = rng.permutation(np.linspace(0.36, 0.93, platforms))
        gamma_P = power_P ** between(0.4, 0.6)
        delta_P = power_P / gamma_P
    usual = Power(cells, gamma_P, delta_P, eta_P)
    if bent.family == "carry-over":
        return CarryOver(usual, int(rng.integers(platforms)), float(rng.uniform(0.5, 0.8)))
    return usual


def _campaigns(
    bent: Kind, rng: np.random.Generator, platforms: tuple[str, ...]
) -> tuple[tuple[str, ...], Array, Array]:
    """Names; how large each is of the reference; how well it converts, about 1."""
    if bent.campaigns == "one":
        return ("",), np.ones(1), np.ones(1)
    names = tuple(f"{name} - always on" for name in platforms)
    if bent.campaigns == "holes":
        names = ("brand", "prospecting")
    if bent.campaigns == "many":
        names = tuple(f"campaign {number:02d}" for number in range(60))
    size_C = np.exp(0.5 * rng.standard_normal(60)) / 10 if bent.campaigns == "many" else np.ones(len(names))
    return names, size_C, np.exp(0.2 * rng.standard_normal(len(names)))


def _tried(bent: Kind, rng: np.random.Generator, campaigns: int, platforms: int) -> NDArray[np.bool_]:
    tried = np.ones((campaigns, platforms), bool)
    if bent.campaigns == "holes":
        tried[1, int(rng.integers(platforms))] = False
    if bent.campaigns == "apart":
        tried = np.eye(campaigns, platforms, dtype=bool)
    return tried


def _demand(bent: Kind, rng: np.random.Generator) -> Array:
    if not bent.demand:
        return np.ones(bent.days)
    week = 1 + 0.15 * np.sin(2 * np.pi * np.arange(bent.days) / 7)
    demand_T = week * np.exp(_wander(rng, (bent.days,), bent.demand, axis=0, keep=0.9))
    return np.asarray(demand_T / demand_T.mean())


def _spend(bent: Kind, rng: np.random.Generator, reference_CP: Array, demand_T: Array) -> Array:
    """Spend that wanders around a level near the reference, and follows demand where that moves, (T, C, P)."""
    level_CP = reference_CP * np.exp(0.15 * rng.standard_normal(reference_CP.shape))
    wander = _wander(rng, (bent.days, *reference_CP.shape), bent.wander, axis=0)
    return level_CP * np.exp(wander) * demand_T[:, None, None]


def _wander(
    rng: np.random.Generator, shape: tuple[int, ...], deviation: float, axis: int, keep: float = PERSISTENCE
) -> Array:
    """A stationary AR(1) along an axis."""
    shock = np.moveaxis(rng.standard_normal(shape), axis, 0)
    series = np.empty_like(shock)
    series[0] = shock[0]
    for day in range(1, len(shock)):
        series[day] = keep * series[day - 1] + (1 - keep**2) ** 0.5 * shock[day]
    return np.asarray(deviation * np.moveaxis(series, 0, axis))


def _moves(bent: Kind, kind: str, seed: int, cells: tuple[int, ...]) -> Moves:
    """Of every day; drawn by themselves, so that a kind which does not move has the numbers that it always had."""
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed, 1])
    volume, price, sold, followed = np.ones((4, bent.days, *cells))
    if bent.moves == "steps":
        day, platform = bent.days - int(rng.integers(AGO[0], AGO[1] + 1)), int(rng.integers(cells[1]))
        moved = price if rng.random() < 0.5 else sold
        moved[day:, :, platform] = rng.uniform(*STEPPED) ** rng.choice([-1, 1])
    elif bent.moves:
        times, gone = rng.uniform(*GREW), np.arange(bent.days) / (bent.days - 1)
        trend_T = times**gone if rng.random() < 0.5 else 1 + (times - 1) * gone
        trend_T = (trend_T if bent.moves == "grows" else trend_T[::-1]) / times**0.5
        if rng.random() < 0.5:
            sold *= trend_T[:, None, None]
        else:
            volume *= trend_T[:, None, None]
            followed = volume if rng.random() < 0.5 else followed
    return Moves(volume, price, sold, followed)


def _counted(played: Played, demand_TCP: Array, sold_TCP: Array, rng: np.random.Generator) -> dict[str, Array]:
    if played.counted:
        return {name: getattr(played, name) for name in ("impressions", "clicks", "conversions")}
    impressions = np.maximum((played.impressions * demand_TCP).round(), 1)
    clicks = np.minimum(rng.poisson(played.clicks * demand_TCP), impressions)
    conversions = np.minimum(rng.poisson(played.conversions * demand_TCP * sold_TCP), clicks)
    return {"impressions": impressions, "clicks": clicks, "conversions": conversions}


def _lagged(kind: str, seed: int, conversions_TCP: Array) -> Array:
    """Conversions by the day that they come on, those of clicks before the first day among them; what comes after the
    last day is not there."""
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed, 2])
    before = rng.poisson(conversions_TCP[:28].mean(0), (LAG_DAYS, *conversions_TCP.shape[1:]))
    clicked = np.concatenate([before, conversions_TCP.astype(int)])
    shape = rng.choice(LAG_SHAPES)
    mean_P = rng.uniform(*LAG) * np.exp(LAG_APART * rng.standard_normal(conversions_TCP.shape[2]))
    # The law of whole days whose rate is gamma.
    part_PD = nbinom.pmf(np.arange(LAG_DAYS), shape, (shape / (shape + mean_P))[:, None])
    part_PD /= part_PD.sum(1, keepdims=True)
    came = np.zeros((len(clicked) + LAG_DAYS, *clicked.shape[1:]))
    for p, part_D in enumerate(part_PD):
        spread_TCD = rng.multinomial(clicked[..., p], part_D)
        for lag in range(LAG_DAYS):
            came[lag : lag + len(clicked), :, p] += spread_TCD[..., lag]
    return came[LAG_DAYS : len(clicked)]


def _booked(bent: Kind, rng: np.random.Generator, conversions_TCP: Array, value_P: Array) -> Array:
    """Revenue by the day that it is booked on; what comes after the last day is not there."""
    part = DELAY if bent.delayed else (1.0,)
    lagged = rng.multinomial(conversions_TCP.astype(int), part)
    shape = lagged / VALUE_CV**2
    drawn = np.where(lagged > 0, rng.gamma(np.maximum(shape, 1e-9)) * VALUE_CV**2, 0.0)
    booked = np.zeros(conversions_TCP.shape)
    for lag in range(len(part)):
        booked[lag:] += drawn[: len(drawn) - lag, ..., lag]
    return booked * value_P


def _frame(
    bent: Kind,
    campaigns: tuple[str, ...],
    platforms: tuple[str, ...],
    table: dict[str, Array],
    there_TCP: NDArray[np.bool_],
) -> pd.DataFrame:
    """The cells that were there, a row each."""
    day_N, c_N, p_N = there_TCP.nonzero()
    columns: dict[str, Any] = {
        "date": (START + pd.to_timedelta(day_N - day_N % (7 if bent.weekly else 1), unit="D")).strftime("%Y-%m-%d"),
        "platform": np.array(platforms)[p_N],
    }
    if bent.campaigns != "one":
        columns["campaign"] = np.array(campaigns)[c_N]
    whole = {name: table[name][there_TCP].astype(np.int64) for name in ("impressions", "clicks", "conversions")}
    frame = pd.DataFrame(
        columns | {"spend": table["spend"][there_TCP], **whole, "revenue": table["revenue"][there_TCP]}
    )
    if not bent.weekly:
        return frame
    keys = [name for name in ("date", "platform", "campaign") if name in frame]
    return frame.groupby(keys, sort=True, as_index=False).sum().round({"spend": 2, "revenue": 2})
