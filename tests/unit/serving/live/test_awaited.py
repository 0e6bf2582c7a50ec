"""What a start waits for is told on the console, again and again, and that it waits no more is told once."""

from __future__ import annotations

import logging
import threading

import pytest

from serving.live import awaited
from serving.live.awaited import Awaiting, telling

SECONDS = 300.0


def test_it_tells_until_there_is_nothing_left_to_wait_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(awaited, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(awaited, "TELL_SECONDS", 0.01)
    there, many, left = threading.Event(), threading.Event(), ["registry: it is asked"]

    def why() -> str | None:
        if sum("waiting: registry: it is asked" in one for one in caplog.messages) >= 3:
            many.set()
        return left[0] if left else None

    with caplog.at_level(logging.WARNING):
        loop = Awaiting(why, there.set)
        loop.start()
        assert many.wait(SECONDS)
        assert not there.is_set()
        left.clear()
        assert there.wait(SECONDS)
        loop.join(SECONDS)
        assert not loop.is_alive(), "it is over"


def test_a_quick_start_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), telling(lambda: "registry: it is asked"):
        pass
    assert caplog.messages == []
