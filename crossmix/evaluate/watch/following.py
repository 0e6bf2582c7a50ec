"""The feedback of a served advertiser, followed cycle by cycle: what is kept between two looks, and what a look shows.

Shapes: T cycles, C campaigns of the bundle, P platforms, Q quantities, F = 1 advertiser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from crossmix.evaluate.watch.expectation import Expectation
from crossmix.evaluate.watch.statistic import Looked, Sums, Track, look, sums
from crossmix.feedback import AMOUNTS, Array, Feedback, Whole
from crossmix.market.level_evidence import QUANTITIES
from crossmix.market.levels import State, start, walk

RECENT = 28
"""Cycles whose z is kept to show."""
_DRIFT = ("drift_QHCP", "drift2_QHCP", "cross_QHCP")
AT_ONCE = 4
"""Cycles whose residuals are in memory: four tables of every campaign's cells."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is believed after the cycles that were taken in."""

    state: State
    track: Track
    z_NPQ: Array
    """Of the newest of them, oldest first."""

    @classmethod
    def begin(cls, expectation: Expectation) -> Kept:
        """Of a market of which nothing has been seen."""
        platforms, quantities = expectation.quiet_IPQ.shape[1:]
        track = Track.begin(expectation.thresholds, 1, platforms)
        return cls(start(expectation.usual, expectation.law), track, np.zeros((0, platforms, quantities)))

    def as_bytes(self) -> bytes:
        """As safetensors, without the zeros of quantities that do not drift; `from_bytes` reads it."""
        tables = {name: np.ascontiguousarray(table.numpy()) for name, table in self.state._asdict().items()}
        drifts_Q = np.any([tables[name].view(np.int64).any((1, 2, 3)) for name in _DRIFT], 0)
        tables = {f"state_{name}": table[drifts_Q] if name in _DRIFT else table for name, table in tables.items()}
        tables |= {"drifts_Q": drifts_Q} | {f"track_{name}": table for name, table in self.track._asdict().items()}
        return _saved({"z": self.z_NPQ, **tables})

    @classmethod
    def from_bytes(cls, data: bytes) -> Kept:
        """Raises `ValueError`, or `KeyError` where a table is missing."""
        tables = _loaded(data)
        for name in _DRIFT:
            whole = np.zeros_like(tables["state_level_QHCP"])
            whole[tables["drifts_Q"]] = tables[f"state_{name}"]
            tables[f"state_{name}"] = whole
        state = State(*(torch.from_numpy(tables[f"state_{name}"]) for name in State._fields))
        return cls(state, Track(*(tables[f"track_{name}"] for name in Track._fields)), tables["z"])


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What the cycles of a look show."""

    cycle_T: Whole
    """Number of each, in the campaign that has had most."""
    z_TCPQ: NDArray[np.float32]
    """Of each campaign's own cells."""
    sums: Sums
    looked: Looked

    def __len__(self) -> int:
        return len(self.cycle_T)

    def last(self, cycles: int) -> Shown:
        """The last so many, or all."""
        return self.between(max(len(self) - cycles, 0), len(self))

    def between(self, first: int, stop: int) -> Shown:
        return Shown.of({name: table[_span(name, first, stop)] for name, table in self.tables().items()})

    def at(self, row: int) -> Shown:
        """One cycle alone."""
        return self.between(row, row + 1)

    def then(self, later: Shown) -> Shown:
        """With the cycles after it."""
        return Shown.joined([self, later])

    @classmethod
    def joined(cls, parts: Sequence[Shown]) -> Shown:
        """The cycles of all, one or more, in this order."""
        tables = [part.tables() for part in parts]
        return cls.of({name: np.concatenate([one[name] for one in tables], _axis(name)) for name in tables[0]})

    def tables(self) -> dict[str, NDArray[Any]]:
        """Each by its name; time is the first axis, of looked_z_WTFPQ the second."""
        return {
            "cycle_T": self.cycle_T,
            "z_TCPQ": self.z_TCPQ,
            **{f"sums_{name}": table for name, table in self.sums._asdict().items()},
            **{f"looked_{name}": table for name, table in self.looked._asdict().items()},
        }

    def as_bytes(self) -> bytes:
        """As safetensors; `from_bytes` reads it."""
        return _saved(self.tables())

    @classmethod
    def from_bytes(cls, data: bytes) -> Shown:
        """Raises `ValueError`, or `KeyError` where a table is missing."""
        return cls.of(_loaded(data))

    @classmethod
    def of(cls, tables: Mapping[str, NDArray[Any]]) -> Shown:
        """From `tables`; raises `KeyError` where one is missing."""
        return cls(
            tables["cycle_T"],
            tables["z_TCPQ"],
            Sums(*(tables[f"sums_{name}"] for name in Sums._fields)),
            Looked(*(tables[f"looked_{name}"] for name in Looked._fields)),
        )


def _axis(name: str) -> int:
    return 1 if name.startswith("looked_z_W") else 0


def _span(name: str, first: int, stop: int) -> tuple[slice, ...]:
    return (slice(None),) * _axis(name) + (slice(first, stop),)


def _saved(tables: Mapping[str, NDArray[Any]]) -> bytes:
    """Arrays of one axis or more as safetensors, which takes each for one that lies in memory as it is read."""
    return save({name: np.ascontiguousarray(table) for name, table in tables.items()})


def _loaded(data: bytes) -> dict[str, NDArray[Any]]:
    """Arrays of safetensors; raises `ValueError`."""
    try:
        return load(data)
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def follow(expectation: Expectation, kept: Kept, feedback: Feedback) -> tuple[Kept, Shown]:
    """Take in finished cycles of the bundle's campaigns (`spread`), oldest first."""
    state, parts = kept.state, []
    z_TCPQ = np.empty((len(feedback), *expectation.usual.cvr.shape, len(QUANTITIES)), np.float32)
    for first in range(0, max(len(feedback), 1), AT_ONCE):
        some = feedback.between(first, first + AT_ONCE)
        with _one_thread():
            followed = walk(expectation.usual, expectation.law, some, state)
        state = followed.state
        z_TCPQ[first : first + AT_ONCE] = followed.residuals.z_TCPQ
        parts.append(sums(followed.residuals))
        # Before the next are made.
        del followed
    told = Sums(*(np.concatenate(tables) for tables in zip(*parts, strict=True)))
    looked, track = look(told, expectation.thresholds, kept.track)
    z_NPQ = np.concatenate([kept.z_NPQ, looked.z_WTFPQ[0, :, 0]])[-RECENT:]
    return Kept(state, track, z_NPQ), Shown(feedback.cycle_TC.max(1, initial=-1), z_TCPQ, told, looked)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The tables of a cycle are small: a second thread would mostly wait, at the processor's full cost."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def spread(feedback: Feedback, campaigns: tuple[str, ...]) -> Feedback:
    """The same with these campaigns, in this order; of those that it does not have it had no cycle."""
    if feedback.campaigns == campaigns:
        return feedback
    column = [campaigns.index(name) for name in feedback.campaigns]
    empty: dict[str, float] = dict.fromkeys((*AMOUNTS, "told_TCP", "most_TCP"), np.nan) | {"cycle_TC": -1}
    tables: dict[str, Any] = {}
    for one in fields(feedback):
        if one.name in ("campaigns", "platforms"):
            continue
        table = getattr(feedback, one.name)
        wide = np.full((len(table), len(campaigns), *table.shape[2:]), empty.get(one.name, 0), table.dtype)
        wide[:, column] = table
        tables[one.name] = wide
    return Feedback(campaigns=campaigns, platforms=feedback.platforms, **tables)
