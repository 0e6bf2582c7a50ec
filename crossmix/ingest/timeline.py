"""The log cut into cycles, and cycles into training, validation and test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from crossmix.config import Data
from crossmix.schema import SPLITS, DataError
from crossmix.sources import Table
from crossmix.sources.late import ibis
from crossmix.sources.tables import fetch

MOST_CYCLES = 100_000
"""A log of more cycles has a broken clock."""


FRAGMENT = 0.1
"""A rest of the log shorter than this share of a cycle belongs to the cycle before it: alone it would tell nothing."""


WEEKDAY_HOURS = 14 * 24
"""A weekday pattern needs two of each weekday."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The log cut into cycles."""

    start: datetime
    hours: int
    cycles: int
    first_cycle: dict[str, int]


def timeline(table: Table, data: Data, natural_hours: int) -> Timeline:
    """Cut the log into cycles: whole days from midnight (UTC), shorter cycles from the full hour.

    Raises:
        DataError: too few cycles for three splits, or so many that a clock must be wrong.
    """
    hours = data.cycle_hours or natural_hours
    edges = fetch(table.agg(first=table["timestamp"].min(), last=table["timestamp"].max()))[0]
    first, last = (edges[name].replace(tzinfo=UTC) for name in ("first", "last"))
    start = first.replace(minute=0, second=0, microsecond=0)
    if hours % 24 == 0:
        start = start.replace(hour=0)
    cycles = math.floor((last - start) / timedelta(hours=hours) - FRAGMENT) + 1
    if cycles < len(SPLITS):
        raise DataError(
            f"timestamp: the log runs from {first} to {last}, {cycles} cycle(s) of {hours} h; train, validation and "
            "test need one each: lower data.cycle_hours or pass a longer log"
        )
    if cycles > MOST_CYCLES:
        raise DataError(
            f"timestamp: the log runs from {first} to {last}, {cycles} cycles of {hours} h; "
            "correct the clock of the outermost rows or raise data.cycle_hours"
        )
    return Timeline(start, hours, cycles, first_cycles(cycles, data))


def first_cycles(cycles: int, data: Data) -> dict[str, int]:
    """First cycle of each split; each has one at least."""
    validation = min(max(1, round(cycles * data.train_fraction)), cycles - 2)
    test = min(max(validation + 1, round(cycles * (data.train_fraction + data.validation_fraction))), cycles - 1)
    return {"train": 0, "validation": validation, "test": test}


def stamp(moment: datetime) -> Any:
    return ibis.timestamp(moment.replace(tzinfo=None))
