"""Which of the feedback a market is refitted on: its own campaigns, cycles not taken in yet, cells that can be so.

Shapes: T cycles, C campaigns, P platforms; M campaigns of the market.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmix.feedback import AMOUNTS, Feedback, pooled
from crossmix.market.plausible import Suspect

Mask = NDArray[np.bool_]


class Cell(NamedTuple):
    """A cycle of a campaign's platform in an arm."""

    campaign: str
    arm: str
    platform: str
    cycle: int


class Believed(NamedTuple):
    """What is learned from, and what nobody has decided on."""

    feedback: Feedback
    """All arms together; cells that are not believed are unknown."""
    open: tuple[Suspect, ...]
    """Suspects of which a cell is neither confirmed nor discarded."""


def placed(feedback: Feedback, campaigns: tuple[str, ...]) -> Feedback:
    """The same with a column for each of the market's campaigns, in its order; what was never read is unknown."""
    own = {name: c for c, name in enumerate(feedback.campaigns)}
    at_M = np.array([own.get(name, -1) for name in campaigns], np.int64)
    has_M = at_M >= 0

    def column(name: str, table: Any) -> Any:
        if not own:
            taken = np.zeros((table.shape[0], len(campaigns), *table.shape[2:]), table.dtype)
        else:
            taken = table[:, np.maximum(at_M, 0)].copy()
        taken[:, ~has_M] = -1 if name == "cycle_TC" else np.nan if name in AMOUNTS else 0
        return taken

    tables = {one.name: getattr(feedback, one.name) for one in fields(feedback)}
    columns = {name: column(name, table) for name, table in tables.items() if name not in ("campaigns", "platforms")}
    return replace(feedback, campaigns=campaigns, **columns)


def only_clicks(feedback: Feedback, taken_TC: Mask) -> Feedback:
    """The same, of some cycles nothing but the clicks: what they told is known already, conversions of them are due."""
    hidden: dict[str, Any] = {
        name: np.where(taken_TC[..., None], np.nan, getattr(feedback, name)) for name in AMOUNTS if name != "clicks_TCP"
    }
    return replace(feedback, **hidden)


def believe(
    arms: Mapping[str, Feedback], suspects: Iterable[Suspect], decided: Mapping[Cell, bool] | None = None
) -> Believed:
    """All arms together, without the cells that are not believed.

    Args:
        arms: of the same campaigns, platforms and cycles.
        suspects: of these arms.
        decided: what a person decided of a cell: whether it is believed. A discarded one is unknown, suspect or not.
    """
    decided = {} if decided is None else decided
    unknown = {arm: np.zeros(one.spend_TCP.shape, bool) for arm, one in arms.items()}
    undecided = []
    for one in suspects:
        cells = [Cell(one.campaign, one.arm, one.platform, cycle) for cycle in range(one.first, one.cycle + 1)]
        left = [cell for cell in cells if cell not in decided]
        for cell in left:
            _mark(unknown, arms, cell)
        if left:
            undecided.append(one)
    for cell, kept in decided.items():
        if not kept:
            _mark(unknown, arms, cell)
    return Believed(pooled([one.without(unknown[arm]) for arm, one in arms.items()]), tuple(undecided))


def _mark(unknown: Mapping[str, Mask], arms: Mapping[str, Feedback], cell: Cell) -> None:
    feedback = arms.get(cell.arm)
    if feedback is None or cell.campaign not in feedback.campaigns or cell.platform not in feedback.platforms:
        return
    c, p = feedback.campaigns.index(cell.campaign), feedback.platforms.index(cell.platform)
    unknown[cell.arm][feedback.cycle_TC[:, c] == cell.cycle, c, p] = True
