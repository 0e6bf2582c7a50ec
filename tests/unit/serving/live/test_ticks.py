"""A driven clock's rounds: one for each time it tells, also of a loop that comes as a tick is under way."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from crossmix.background import Loop
from crossmix.clock import MemoryClock
from serving.live.ticks import Ticks

BEGINS = datetime(2026, 1, 5, 9, tzinfo=UTC)


class Hurried(Ticks):
    """Another thread's tick comes just as a loop has been taken in, and is not due yet."""

    other: threading.Thread | None = None

    def __setattr__(self, name: str, value: object) -> None:
        if name == "_ticked" and value is None and "_ticked" in self.__dict__ and self.other is None:
            self.other = threading.Thread(target=self.tick)
            self.other.start()
            self.other.join(0.2)  # it would be through by then, if it did not wait
        super().__setattr__(name, value)


def test_a_loop_that_comes_as_a_tick_is_under_way_has_one_round() -> None:
    clock, rounds = MemoryClock(BEGINS), []
    ticks = Hurried(clock)
    ticks.tick()
    ticks.add(Loop("pusher", 1, lambda: rounds.append(clock.now)))
    assert ticks.other is not None
    ticks.other.join(60)
    ticks._follow()
    assert rounds == [BEGINS]
    clock.advance(timedelta(days=1))
    ticks._follow()
    ticks._follow()
    assert rounds == [BEGINS, BEGINS + timedelta(days=1)]
