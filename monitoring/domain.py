"""Can a classifier tell what came back from what the market draws? It informs; nothing is alarmed on.

A row is a cycle, campaign and platform; beside each row of the log stand the market's draws of the same one, and the
test is `crossmix.evaluate.fidelity.two_sample.paired`. An area under the curve near 1/2 says that the market still
describes what comes back. Raw columns drift by themselves and would be told apart by that alone: both tables are of the
same cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crossmix.evaluate.fidelity.two_sample import TwoSample, paired
from monitoring.columns import TableError

if TYPE_CHECKING:
    import pandas as pd

CELL = ("cycle", "campaign_id", "platform")
"""Columns that name a row."""
DRAW = "draw"
"""Column of the market's table that numbers its draws."""


def told_apart(log: pd.DataFrame, draws: pd.DataFrame, features: Sequence[str]) -> dict[str, TwoSample]:
    """How well the log's rows are told from the market's: over all, "total", and by platform.

    Only rows that the log and every draw have are compared.

    Args:
        log: a row per cell (`CELL`), with the features as numbers; NaN where undefined.
        draws: the same per draw (`DRAW`), at least one.
        features: columns that both tables have.

    Raises:
        TableError: a column is missing, a cell is there twice, or no cell is common to all.
    """
    if not features:
        raise TableError("features: none are named; name a column that both tables have")
    for told, table, key in (("log", log, CELL), ("draws", draws, (*CELL, DRAW))):
        missing = [name for name in (*key, *features) if name not in table.columns]
        if missing:
            raise TableError(f"{told}: has no column {missing[0]!r}; columns are {', '.join(map(str, table.columns))}")
        twice = table.duplicated(list(key))
        if twice.any():
            first = table.loc[twice, list(key)].iloc[0].to_dict()
            raise TableError(f"{told}: has more than one row of {first}; leave one")
    sides = [log, *(part for _, part in draws.groupby(DRAW, sort=True))]
    indexed = [side.set_index(list(CELL))[list(features)].astype(float) for side in sides]
    common = indexed[0].index
    for side in indexed[1:]:
        common = common.intersection(side.index)
    if len(sides) < 2 or not len(common):
        raise TableError("draws: have no cycle, campaign and platform that the log has in every draw; draw its cycles")
    names = [sorted(common.unique(level)) for level in CELL]
    at = tuple(
        np.searchsorted(np.array(order), common.get_level_values(level).to_numpy())
        for level, order in zip(CELL, names, strict=True)
    )
    shape = tuple(map(len, names))
    keep_TCP = np.zeros(shape, bool)
    keep_TCP[at] = True
    sides_DTCPF = np.full((len(sides), *shape, len(features)), np.nan)
    for number, side in enumerate(indexed):
        sides_DTCPF[(number, *at)] = side.loc[common].to_numpy()
    return paired(sides_DTCPF[0], sides_DTCPF[1:], keep_TCP, [str(name) for name in names[2]])
