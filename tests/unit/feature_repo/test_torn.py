"""Rows that a push has half written: read again once they are whole, looked at cheaply while they stay torn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from crossmix.schema import DataError
from feature_repo import torn
from feature_repo.torn import Rows, settled

NAMES = [f"c{number}" for number in range(1_000)]


class Store:
    """Two views' times by campaign; a value is the time of the first view."""

    def __init__(self, late: Sequence[str], mended_after: int | None) -> None:
        self.first = dict.fromkeys(NAMES, 2.0)
        self.second = self.first | dict.fromkeys(late, 1.0)
        self.mended_after, self.values_read, self.times_read = mended_after, 0, 0

    def read(self, names: Sequence[str]) -> Rows:
        self.values_read += len(names)
        first, second = ([view[name] for name in names] for view in (self.first, self.second))
        return np.array(second, np.float32)[:, None], first, second

    def times(self, names: Sequence[str]) -> list[list[float]]:
        self.times_read += 1
        if self.times_read == self.mended_after:
            self.second = dict(self.first)
        return [[view[name] for name in names] for view in (self.first, self.second)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torn, "PAUSE", 0.0)


def test_whole_rows_are_read_once() -> None:
    store = Store([], None)
    values, seconds = settled(NAMES, store.read, store.times)
    assert (values == 2.0).all()
    assert seconds == [2.0] * len(NAMES)
    assert (store.values_read, store.times_read) == (len(NAMES), 0)


def test_a_push_under_way_is_waited_for_and_only_its_rows_are_read_again() -> None:
    store = Store(NAMES[:600], mended_after=3)
    values, seconds = settled(NAMES, store.read, store.times)
    assert (values == 2.0).all()
    assert seconds == [2.0] * len(NAMES)
    assert (store.values_read, store.times_read) == (len(NAMES) + 600, 3)


def test_a_push_that_was_cut_off_is_told_after_one_reading_of_values() -> None:
    """A server that was killed between the views of 1,200 rows took minutes to start: it read a thousand campaigns'
    values twenty times."""
    store = Store(NAMES[400:], mended_after=None)
    with pytest.raises(DataError, match=r"^statistics of c400 and 599 more: .*; push the last row again$"):
        settled(NAMES, store.read, store.times)
    assert (store.values_read, store.times_read) == (len(NAMES), torn.READS - 1)


def test_rows_that_become_whole_one_by_one_are_read_each_by_its_own_time() -> None:
    store = Store(NAMES[:2], mended_after=None)
    times = store.times

    def one_more(names: Sequence[str]) -> list[list[float]]:
        store.second[NAMES[1 - min(store.times_read, 1)]] = 2.0
        return times(names)

    values, seconds = settled(NAMES[:3], store.read, one_more)
    assert (values[:, 0].tolist(), seconds) == ([2.0] * 3, [2.0] * 3)
    assert (store.values_read, store.times_read) == (3 + 2, 2)


def test_a_row_that_the_next_push_tears_between_time_and_values_is_waited_for_again() -> None:
    store = Store(NAMES[:1], mended_after=1)
    read, reads = store.read, [0]

    def overtaken(names: Sequence[str]) -> Rows:
        reads[0] += 1
        if reads[0] == 2:  # the next push has begun
            store.first[NAMES[0]], store.mended_after = 3.0, 3
        return read(names)

    values, seconds = settled(NAMES[:2], overtaken, store.times)
    assert (values[:, 0].tolist(), seconds) == ([3.0, 2.0], [3.0, 2.0])
    assert (reads[0], store.times_read) == (3, 3)


def test_nobody_asked_for() -> None:
    store = Store([], None)
    assert settled([], store.read, store.times)[1] == []
