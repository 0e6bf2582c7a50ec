"""Briefs for a catalogue, drawn: what gates judge on and the walk learns on.

A brief has all channels (six at most), two or three phases, tiers at followers that 96, 70 and 0 % of all creators lie
below, head >= mid >= tail, a band of the launch, a cap of one channel, a floor of the tail; its budget is log-uniform
in mean prices of the catalogue (`creators.briefs`). One that no plan can meet is passed over.

Shapes: C cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from crossmix.config.creators import Briefs, Creators
from crossmix.creators import brief as briefs
from crossmix.creators.brief import Brief, InfeasibleError
from crossmix.creators.catalogue import Catalogue, Floats
from crossmix.creators.feasible import refuse
from crossmix.creators.large import large, whole
from crossmix.creators.problem import Problem, pose
from crossmix.creators.relax import RelaxationError, Relaxed, relax
from crossmix.creators.settings import Solver
from crossmix.schema import DataError

PHASES = ("teaser", "launch", "sustain")
TIERS = {"head": 0.96, "mid": 0.7, "tail": 0.0}
"""Tier to the quantile of followers from which on it begins."""
CHANNELS = 6
TRAINING = 100_000
"""Added to the seed of briefs that the walk learns on: none of them is judged on."""
NODES = 100
"""Of the tree behind a judged brief's bound (`large`), after which it ends: a count, not a time, so that a share of the
bound does not depend on the machine's load. Most trees end at their root."""
GUARD_SECONDS = 900.0
"""Wall seconds after which that search is given up all the same, should it hang."""
TRIES = 10
"""Seeds per brief, at most."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A brief that some plan can meet, as a problem."""

    problem: Problem
    bound: float
    """No plan's expected effect lies above."""
    audience_factor_C: Floats
    """The audience that a plan is judged by over the planner's."""


def brief_of(catalogue: Catalogue, settings: Briefs, seed: int) -> Brief:
    """The brief of a seed, whether or not a plan can meet it."""
    rng = np.random.default_rng([settings.seed, seed, 1])
    phases = PHASES[: int(rng.integers(2, 4))]
    low = float(rng.uniform(0.2, 0.4))
    channels = catalogue.channels
    if len(channels) > CHANNELS:
        channels = tuple(sorted(map(str, rng.choice(channels, CHANNELS, replace=False))))
    capped = channels[int(rng.integers(len(channels)))]
    most, floor = round(float(rng.uniform(0.35, 0.6)), 2), round(float(rng.uniform(0.05, 0.15)), 2)
    mean = float(catalogue.price_N.mean())
    budget = mean * float(np.exp(rng.uniform(np.log(settings.least_budget), np.log(settings.most_budget))))
    order = tiers_of(catalogue)
    rules: list[dict[str, object]] = [
        {"kind": "share", "phase": "launch", "least": round(low, 2), "most": round(low + 0.3, 2)},
        {"kind": "share", "tier": "tail", "least": floor},
    ]
    if len(order) > 1:
        rules.insert(0, {"kind": "order", "of": "tier", "names": list(order)})
    if len(channels) > 2:
        rules.append({"kind": "share", "channel": capped, "most": most})
    return briefs.of(
        {
            "name": f"brief {seed}",
            "budget": float(np.rint(budget)),
            "currency": catalogue.currency or "units",
            "channels": list(channels),
            "phases": list(phases),
            "tiers": order,
            "rules": rules,
        }
    )


def tiers_of(catalogue: Catalogue) -> dict[str, float]:
    """Least followers of each tier; tiers that would be the same are one."""
    least = {name: float(np.rint(np.quantile(catalogue.followers_N, part))) for name, part in TIERS.items()}
    least["tail"] = 0.0
    kept: dict[str, float] = {}
    for name, value in least.items():
        if not kept or value < min(kept.values()):
            kept[name] = value
    return kept


def draw(
    catalogue: Catalogue, mean_N: Floats, settings: Creators, *, training: bool = False
) -> tuple[tuple[Drawn, ...], int]:
    """The briefs of a config, and how many were passed over because no plan can meet them.

    Args:
        mean_N: expected effect of every creator.
        training: those that the walk learns on.

    Raises:
        DataError: hardly any brief can be met with this catalogue.
    """
    count = settings.briefs.training if training else settings.briefs.count
    found: list[Drawn] = []
    tried = 0
    bar = tqdm(total=count, desc="briefs and their bounds", unit="brief", mininterval=2.0)
    for seed in _seeds(count, training):
        tried += 1
        one = _met(catalogue, mean_N, settings, seed, tight=not training)
        if one is not None:
            found.append(one)
            bar.update()
        if len(found) == count:
            bar.close()
            return tuple(found), tried - count
    raise DataError(
        f"catalogue: only {len(found)} of {tried} briefs drawn for it can be met by any plan; add creators, or raise "
        "creators.briefs.least_budget"
    )


def _seeds(count: int, training: bool) -> Iterator[int]:
    first = TRAINING if training else 0
    yield from range(first, first + TRIES * count)


def _met(catalogue: Catalogue, mean_N: Floats, settings: Creators, seed: int, *, tight: bool) -> Drawn | None:
    problem = pose(catalogue, mean_N, brief_of(catalogue, settings.briefs, seed), settings.effects)
    try:
        refuse(problem)
        relaxed = relax(problem, settings.solver.rounds)
    except (InfeasibleError, RelaxationError):
        return None
    bound = _tightened(problem, relaxed, settings.solver) if tight else relaxed.bound
    rng = np.random.default_rng([settings.briefs.seed, seed, 2])
    channels, phases, tiers = problem.matrix.shape
    factor = np.exp(rng.normal(0, settings.briefs.audience_error, (channels, 1, tiers)))
    return Drawn(problem, bound, np.broadcast_to(factor, (channels, phases, tiers)).reshape(-1))


def _tightened(problem: Problem, relaxed: Relaxed, solver: Solver) -> float:
    whole_N = whole(problem, relaxed, *solver.large)
    if not whole_N.any():
        return relaxed.bound
    found = large(problem, relaxed, whole_N, seconds=GUARD_SECONDS, gap=solver.gap, nodes=NODES)
    return relaxed.bound if found is None else min(relaxed.bound, found.bound)
