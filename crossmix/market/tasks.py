"""Tasks for meta-learning, drawn from a log's strata (§2.3.2: time intervals, regions, platform characteristics).

A task is the fitted market with its parameters times multipliers of `crossmix.market.fit.strata`: all users are one
region's (or all regions'), and each group of platforms is as it was in one period of the log. Groups are terciles by
one characteristic: mean price, click rate or volume. Where all groups take the same period, the task is that period;
else it is one that the log did not show but, platforms drifting apart from each other, might have: so does the market
itself draw its drifts.

A task's market is a `Market` like any other: whatever learns or plays in the market does so in a task. Drifts,
budgets and limits are the fitted market's.

Training and held-out tasks share no period: a policy is asked to adapt to a time that it has not seen.

Shapes: C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from crossmix.config import ConfigError
from crossmix.market.conditions import STORED, scaled_market
from crossmix.market.fit.log import Array
from crossmix.market.fit.strata import QUANTITIES, Strata
from crossmix.market.model import Market

CHARACTERISTICS = ("price", "click rate", "volume")
TERCILES = ("low", "middle", "high")
DISTINCT = 0.01
"""Two tasks are one if all their log multipliers are the same in steps of so much."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the log: a period and a region, seen on some platforms; `None`: all."""

    period: str | None
    region: str | None
    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """The market of strata on disjoint platforms; platforms in none of them are as fitted."""

    name: str
    strata: tuple[Stratum, ...]
    market: Market


@dataclass(frozen=True, slots=True)
class Tasks:
    """Disjoint sets of tasks."""

    train: tuple[Task, ...]
    held_out: tuple[Task, ...]


def task(
    market: Market, *, period: str | None = None, region: str | None = None, platforms: Sequence[str] | None = None
) -> Task:
    """The task of one stratum.

    Args:
        market: a fitted market with strata.
        period, region: names as in `market.strata`; `None`: all of them.
        platforms: where the stratum holds; `None`: everywhere.

    Raises:
        ConfigError: a period, region or platform that the market does not have; a market without strata.
    """
    strata = _strata(market)
    for field, value, known in (("period", period, strata.periods), ("region", region, strata.regions)):
        if value is not None and value not in known:
            raise ConfigError(f"{field}: {value!r} is not in the market's log; use one of {', '.join(known) or 'none'}")
    names = market.platforms if platforms is None else tuple(platforms)
    unknown = [name for name in names if name not in market.platforms]
    if unknown:
        raise ConfigError(
            f"platforms: {unknown[0]!r} is not on this market; use one or more of {', '.join(market.platforms)}"
        )
    where = "all platforms" if platforms is None else ", ".join(names)
    return _task(market, strata, f"{_region(region)}; {where}: {period or 'all'}", (Stratum(period, region, names),))


def tasks(market: Market, *, train: int = 50, held_out: int = 20, seed: int = 0, fraction: float = 0.4) -> Tasks:
    """Distinct tasks drawn from the log's strata without replacement; the same for the same arguments.

    A draw that is no other market than one already drawn, or than the fitted one, is passed over; so is a region that
    differs in nothing.

    Args:
        market: a fitted market with strata.
        train, held_out: how many of each.
        seed: which periods are held out, and which tasks are drawn.
        fraction: share of the periods that are held out, at least one on each side.

    Raises:
        ConfigError: more tasks than the log has distinct ones, a fraction outside (0, 1), fewer than two periods, or a
            market without strata.
    """
    strata = _strata(market)
    if not 0 < fraction < 1:
        raise ConfigError(f"fraction: {fraction} of the periods cannot be held out; give a number between 0 and 1")
    count = len(strata.periods)
    if count < 2:
        raise ConfigError(f"strata: {count} period cannot be split into training and held-out; use a longer log")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(count)
    cut = min(max(round(fraction * count), 1), count - 1)
    taken = {_key(np.zeros((len(QUANTITIES), *market.value["ctr"].shape)))}
    return Tasks(
        train=_draw(market, strata, "train", train, np.sort(shuffled[cut:]), rng, taken),
        held_out=_draw(market, strata, "held_out", held_out, np.sort(shuffled[:cut]), rng, taken),
    )


def terciles(market: Market) -> dict[str, dict[str, tuple[str, ...]]]:
    """Characteristic -> low, middle, high -> platforms, by averages over campaigns; empty terciles are left out."""
    measure = {
        "price": market.prices(torch.arange(len(market.campaigns))).mean().mean(0),
        "click rate": market.value["ctr"].mean(0),
        "volume": market.value["requests"].mean(0),
    }
    table = {}
    for name in CHARACTERISTICS:
        parts = np.array_split(np.argsort(measure[name].numpy(), kind="stable"), len(TERCILES))
        table[name] = {
            tercile: tuple(market.platforms[p] for p in sorted(part.tolist()))
            for tercile, part in zip(TERCILES, parts, strict=True)
            if len(part)
        }
    return table


def _draw(
    market: Market,
    strata: Strata,
    field: str,
    wanted: int,
    periods: np.ndarray,
    rng: np.random.Generator,
    taken: set[bytes],
) -> tuple[Task, ...]:
    """Distinct tasks of some periods; what is drawn is added to `taken`."""
    groups = terciles(market)
    regions: list[int | None] = [None, *strata.distinct_regions()]
    log = {(r, k): _log(strata, int(k), r) for r in regions for k in periods}
    size = len(next(iter(groups.values())))
    shape = (len(regions), len(CHARACTERISTICS), *[len(periods)] * size)
    drawn: list[Task] = []
    for number in rng.permutation(int(np.prod(shape))):
        if len(drawn) >= wanted:
            break
        r, characteristic, *picks = (int(i) for i in np.unravel_index(number, shape))
        region, members = regions[r], groups[CHARACTERISTICS[characteristic]]
        multiplier = np.zeros((len(QUANTITIES), *market.value["ctr"].shape))
        for names, k in zip(members.values(), picks, strict=True):
            here = np.isin(market.platforms, names)
            multiplier[..., here] = log[region, periods[k]][..., here]
        if _key(multiplier) in taken:
            continue
        taken.add(_key(multiplier))
        where = None if region is None else strata.regions[region]
        when = [strata.periods[periods[k]] for k in picks]
        parts = tuple(Stratum(k, where, names) for names, k in zip(members.values(), when, strict=True))
        label = ", ".join(f"{tercile} {k}" for tercile, k in zip(members, when, strict=True))
        drawn.append(_task(market, strata, f"{_region(where)}; {CHARACTERISTICS[characteristic]}: {label}", parts))
    if len(drawn) < wanted:
        raise ConfigError(
            f"{field}: {wanted} tasks are not to be had; the log has {len(drawn)} distinct ones in its "
            f"{len(periods)} periods for it"
        )
    return tuple(drawn)


def _task(market: Market, strata: Strata, name: str, parts: tuple[Stratum, ...]) -> Task:
    shape = tuple(market.value["ctr"].shape)
    factor: dict[str, torch.Tensor] = {quantity: torch.ones(shape) for quantity in QUANTITIES}
    error = {quantity: torch.zeros(shape) for quantity in QUANTITIES}
    for part in parts:
        table = strata.multipliers(
            None if part.period is None else strata.periods.index(part.period),
            None if part.region is None else strata.regions.index(part.region),
        )
        here = torch.tensor([platform in part.platforms for platform in market.platforms])
        for quantity in QUANTITIES:
            multiplier, deviation = (torch.tensor(array, dtype=torch.float32) for array in table[quantity])
            factor[quantity][:, here], error[quantity][:, here] = multiplier[:, here], deviation[:, here]
    moved = scaled_market(market, **{STORED.get(quantity, quantity): factor[quantity] for quantity in QUANTITIES})
    deviations = {
        quantity: torch.hypot(market.error[quantity] * factor[quantity], moved.value[quantity] * error[quantity])
        for quantity in QUANTITIES
        if quantity in market.error
    }
    return Task(
        name,
        parts,
        replace(
            moved,
            error=market.error | deviations,
            scenario={
                **market.scenario,
                "task": {
                    "name": name,
                    "strata": [{**asdict(part), "platforms": list(part.platforms)} for part in parts],
                },
            },
            # The multipliers are relative to the fitted market, not to this one.
            strata={},
        ),
    )


def _log(strata: Strata, period: int, region: int | None) -> Array:
    """Log multipliers of a stratum, (quantities, C, P)."""
    table = strata.multipliers(period, region)
    return np.stack([np.log(table[quantity][0]) for quantity in QUANTITIES])


def _key(log: Array) -> bytes:
    return np.round(log / DISTINCT).astype(np.int32).tobytes()


def _region(region: str | None) -> str:
    return region or "all regions"


def _strata(market: Market) -> Strata:
    if not market.strata:
        raise ConfigError("strata: this market has none (a task has no tasks of its own); take the fitted market")
    return Strata.of(market.strata)


__all__ = ["CHARACTERISTICS", "TERCILES", "Stratum", "Task", "Tasks", "task", "tasks", "terciles"]
