"""A row that cannot be read takes nothing from the others, and a store that is away is not asked row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from feature_repo import apart as apart_module
from feature_repo.apart import apart
from feature_repo.torn import TORN, TornError

NAMES = [f"c{number:03d}" for number in range(500)]


class Store:
    """A value is the place of its name."""

    def __init__(self, damaged: Sequence[str] = (), torn: Sequence[str] = (), away: bool = False) -> None:
        self.damaged, self.torn, self.away, self.reads = set(damaged), set(torn), away, 0

    def read(self, names: Sequence[str]) -> tuple[np.ndarray, list[float]]:
        self.reads += 1
        if self.away:
            raise OSError("connection refused")
        damaged = [name for name in names if name in self.damaged]
        if damaged:
            raise ValueError(f"{damaged[0]} is no message\nmore of it")
        torn = [name for name in names if name in self.torn]
        if torn:
            raise TornError(torn)
        places = [NAMES.index(name) for name in names]
        return np.array(places, np.float32)[:, None], [1.0 + place for place in places]


def _rows(store: Store) -> tuple[dict[str, tuple[float, float]], dict[str, str]]:
    found, faults = apart(NAMES, store.read)
    return {name: (float(row[0]), second) for name, (row, second) in found.items()}, faults


def _all_but(*names: str) -> dict[str, tuple[float, float]]:
    return {name: (float(n), 1.0 + n) for n, name in enumerate(NAMES) if name not in names}


def test_rows_that_can_be_read_are_one_read() -> None:
    store = Store()
    assert _rows(store) == (_all_but(), {})
    assert store.reads == 1


def test_torn_rows_are_left_out_and_the_others_read_once_more() -> None:
    store = Store(torn=["c007", "c300"])
    assert _rows(store) == (_all_but("c007", "c300"), {"c007": TORN, "c300": TORN})
    assert store.reads == 2


@pytest.mark.parametrize("damaged", [["c250"], [NAMES[0]], [NAMES[-1]], ["c001", "c002", "c499"]])
def test_a_damaged_row_is_found_by_halves(damaged: list[str]) -> None:
    store = Store(damaged=damaged, torn=["c100"])
    faults = {name: f"{name} is no message" for name in damaged} | {"c100": TORN}
    assert _rows(store) == (_all_but(*damaged, "c100"), faults)
    assert store.reads <= 4 + len(damaged) * 2 * 10


def test_a_store_that_is_away_is_asked_three_times_and_says_why() -> None:
    store = Store(away=True)
    with pytest.raises(OSError, match="connection refused"):
        apart(NAMES, store.read)
    assert store.reads == 3
    one = Store(damaged=NAMES)
    with pytest.raises(ValueError, match="c005 is no message"):
        apart(["c005"], one.read)
    assert one.reads == 1


def test_with_too_many_it_is_the_store_that_is_ill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart_module, "MOST", 3)
    store = Store(damaged=NAMES[10:13], torn=NAMES[100:200])
    assert len(_rows(store)[1]) == 103
    with pytest.raises(ValueError, match="c013 is no message"):
        apart(NAMES, Store(damaged=NAMES[10:14]).read)


def test_nobody_is_asked_for() -> None:
    store = Store(away=True)
    assert apart([], store.read) == ({}, {})
    assert store.reads == 0
