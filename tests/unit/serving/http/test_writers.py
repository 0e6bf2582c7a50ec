"""The writers' queue: its bound, its patience, and that it forgets who has gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from serving.http import writers as module
from serving.http.writers import BusyError, Writers


def waiting() -> float | None:
    return REGISTRY.get_sample_value("crossmix_waiting_requests", {"what": "letters"})


def test_one_more_than_may_wait_is_refused_before_anything_is_done() -> None:
    async def ask() -> None:
        writers, let_go = Writers("letters", most=3, threads=1), threading.Event()
        tasks = [asyncio.create_task(writers.run(lambda: let_go.wait(60))) for _ in range(3)]
        await asyncio.sleep(0)
        assert waiting() == 3
        with pytest.raises(BusyError, match="letters: 3 requests wait already; send it again in a second"):
            writers.check()
        with pytest.raises(BusyError):
            await writers.run(lambda: 1)
        let_go.set()
        assert await asyncio.gather(*tasks) == [True] * 3
        assert waiting() == 0
        writers.check()
        assert await writers.run(lambda: 5) == 5

    asyncio.run(ask())


def test_who_waited_too_long_is_refused_without_being_worked_on() -> None:
    async def ask() -> None:
        done: list[int] = []
        writers = Writers("letters", most=3, seconds=-1)
        with pytest.raises(BusyError, match="letters: the database is slow, it waited -1 s; send it again"):
            await writers.run(lambda: done.append(1))
        assert done == []

    asyncio.run(ask())


class Prompt(ThreadPoolExecutor):
    """Its first task has begun once it is taken in, however busy the machine is."""

    began: threading.Event | None = None

    def submit(self, task: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        if self.began is not None:
            return super().submit(task, *args, **more)
        began = self.began = threading.Event()

        def begun() -> Any:
            began.set()
            return task(*args, **more)

        future = super().submit(begun)
        assert began.wait(60)
        return future


def test_who_waits_for_a_thread_is_sent_away_while_the_thread_is_still_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    # By this clock no time passes until a thread has a task: the event loop alone sends away who waits for one.
    monkeypatch.setattr(module, "ThreadPoolExecutor", Prompt)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 0.0))

    async def ask() -> None:
        done: list[int] = []
        writers, let_go = Writers("letters", most=3, threads=1, seconds=0.05), threading.Event()
        busy = asyncio.create_task(writers.run(lambda: let_go.wait(60)))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=r"letters: the database is slow, it waited 0.05 s; send it again"):
            await writers.run(lambda: done.append(1))
        assert not busy.done()
        assert waiting() == 1
        let_go.set()
        assert await busy is True, "what has begun is not given up"
        assert (done, waiting()) == ([], 0)

    asyncio.run(ask())


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    async def ask() -> None:
        done: list[int] = []
        writers, let_go = Writers("letters", most=3, threads=1), threading.Event()
        busy = asyncio.create_task(writers.run(lambda: let_go.wait(60)))
        gone = asyncio.create_task(writers.run(lambda: done.append(1)))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert waiting() == 1
        let_go.set()
        assert await busy is True
        assert await writers.run(lambda: 5) == 5
        assert done == []

    asyncio.run(ask())


def test_what_fails_makes_room_again() -> None:
    async def ask() -> None:
        def fail() -> Any:
            raise ValueError("mine")

        writers = Writers("letters", most=1)
        for _ in range(3):
            with pytest.raises(ValueError, match="mine"):
                await writers.run(fail)
        assert waiting() == 0

    asyncio.run(ask())
