"""What a start waits for is told on the console, again and again, and that it waits no more is told once."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from serving.live import awaited
from serving.live.awaited import Awaiting, telling

SECONDS = 300.0


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(awaited, "_log", SimpleNamespace(warning=lambda line, *parts: lines.append(line % parts)))
    return lines


def test_it_tells_until_there_is_nothing_left_to_wait_for(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    monkeypatch.setattr(awaited, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(awaited, "TELL_SECONDS", 0.01)
    there, many, left = threading.Event(), threading.Event(), ["registry: it is asked"]

    def why() -> str | None:
        if len(said) >= 3:
            many.set()
        return left[0] if left else None

    loop = Awaiting(why, there.set)
    loop.start()
    assert many.wait(SECONDS)
    assert not there.is_set()
    left.clear()
    assert there.wait(SECONDS)
    loop.join(SECONDS)
    assert not loop.is_alive(), "it is over"
    assert set(said) == {"waiting: registry: it is asked"}


def test_a_quick_start_tells_nothing(said: list[str]) -> None:
    with telling(lambda: "registry: it is asked"):
        pass
    assert said == []
