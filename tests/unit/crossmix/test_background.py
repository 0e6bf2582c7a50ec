"""Rounds of work on a thread: they outlive errors, end when nothing is left, and stop when told."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest

from crossmix.background import FINISHED, ExpectedError, Loop, sentence


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_rounds_go_on_until_it_is_stopped() -> None:
    rounds: list[str] = []
    loop = Loop("counter", 0.005, lambda: rounds.append(threading.current_thread().name))
    assert not loop.is_alive()
    loop.start()
    until(lambda: len(rounds) > 2)
    loop.stop()
    loop.join(300)
    assert (loop.is_alive(), loop.stopping) == (False, True)
    assert set(rounds) == {"counter"}
    number = len(rounds)
    time.sleep(0.05)
    assert len(rounds) == number


def test_a_round_that_is_asked_for_begins_after_the_one_under_way() -> None:
    under_way, go_on = threading.Event(), threading.Event()
    rounds: list[int] = []

    def work() -> None:
        rounds.append(len(rounds))
        under_way.set()
        assert go_on.wait(300)

    loop = Loop("asked", 3_600, work, at_once=True)
    loop.start()
    assert under_way.wait(300)
    first, second = loop.ask(), loop.ask()
    assert not first.wait(0.02)
    go_on.set()
    assert first.wait(300)
    assert second.wait(300)
    assert rounds == [0, 1]
    assert loop.ask().wait(300)
    assert rounds == [0, 1, 2]
    loop.stop()
    loop.join(300)
    assert not loop.is_alive()


def test_rounds_never_overlap() -> None:
    """A round on a caller's thread waits for the one under way."""
    under_way, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def work() -> None:
        name = threading.current_thread().name
        order.append(f"{name} begins")
        if name == "slow":
            under_way.set()
            assert go_on.wait(300)
        order.append(f"{name} ends")

    loop = Loop("slow", 3_600, work, at_once=True)
    loop.start()
    assert under_way.wait(300)
    caller = threading.Thread(target=loop.once, name="caller")
    caller.start()
    caller.join(0.05)
    assert order == ["slow begins"]
    go_on.set()
    caller.join(300)
    loop.stop()
    assert order == ["slow begins", "slow ends", "caller begins", "caller ends"]


def test_a_long_pause_ends_at_once_when_stopped() -> None:
    rounds: list[int] = []
    later, at_once = (
        Loop("later", 3_600, lambda: rounds.append(1)),
        Loop("now", 3_600, lambda: rounds.append(2), at_once=True),
    )
    later.start()
    at_once.start()
    until(lambda: rounds == [2])
    began = time.monotonic()
    for loop in (later, at_once):
        loop.stop()
        loop.join(300)
    assert time.monotonic() - began < 300
    assert rounds == [2]


def test_between_rounds_it_waits_so_many_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []
    loop = Loop("patient", 12.5, lambda: None)

    def wait(timeout: float | None = None) -> bool:
        waits.append(timeout)
        if len(waits) == 3:
            loop.stop()
        return False

    monkeypatch.setattr(loop._wake, "wait", wait)
    loop.start()
    loop.join(300)
    assert waits == [12.5] * 3


def test_a_loop_that_never_began_is_joined_at_once() -> None:
    loop = Loop("idle", 1, lambda: None)
    loop.stop()
    loop.join()
    assert not loop.is_alive()


def test_it_ends_when_nothing_is_left_to_do() -> None:
    answers = iter([True, None, FINISHED, FINISHED])
    loop = Loop("three", 0.001, lambda: next(answers))
    loop.start()
    loop.join(300)
    assert not loop.is_alive()
    assert next(answers) is FINISHED, "three rounds were made: any other value than FINISHED means to go on"


def test_trouble_is_kept_until_a_round_goes_well(caplog: pytest.LogCaptureFixture) -> None:
    refused = (ConnectionError("refused\nby the other side"), ConnectionError("refused again"))
    failures: list[Exception | None] = [*refused, ExpectedError("gone"), None, None]

    def work() -> None:
        error = failures.pop(0)
        if error is not None:
            raise error

    loop = Loop("door", 1, work)
    before = time.time()
    assert loop.once() is False
    assert loop.trouble == "ConnectionError: refused"
    since = loop.since
    assert since is not None
    assert before <= since <= time.time()
    loop.once()
    assert (loop.trouble, loop.since) == ("ConnectionError: refused again", since)
    loop.once()
    assert (loop.trouble, loop.since, loop.failures) == ("gone", since, 3)
    loop.once()
    loop.once()
    assert (loop.trouble, loop.since, loop.failures) == (None, None, 3)
    # A line when it begins, when it becomes another kind, and when it ends.
    told = [(record.getMessage(), record.exc_info is not None) for record in caplog.records]
    assert told == [("door: ConnectionError: refused", True), ("door: gone", False), ("door: well again", False)]


def test_errors_that_are_expected_need_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        raise OSError("the disk is away")

    with caplog.at_level(logging.WARNING):
        loop = Loop("disk", 1, work, expected=(OSError,))
        loop.once()
    assert loop.trouble == "the disk is away"
    assert [record.exc_info for record in caplog.records] == [None]


def test_an_error_without_words_is_named_by_its_kind() -> None:
    assert sentence(ValueError()) == "ValueError"
    assert sentence(ValueError("  one\ntwo ")) == "one"
