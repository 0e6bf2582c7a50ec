"""Kinds of bundles without bundles: what a registry has, and what answers, as a test likes it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossmix.bundle import BundleError
from crossmix.clock import Clock, wall
from crossmix.registry.mlflow_door import RegistryError
from serving.allocation.question import instances
from serving.kinds.answering import Answering, Predictions
from serving.kinds.known import Known

HANGS = 300.0
"""Seconds after which what is waited for will not come any more, however busy the machine is."""


class Echo(Answering):
    """Answers with what was asked; once `block` is called, not before `free`."""

    def __init__(self, name: str = "echo") -> None:
        self.name, self.closed, self.warmed = name, False, False
        self.asked, self._free = threading.Event(), threading.Event()
        self._free.set()

    def block(self) -> None:
        self._free.clear()

    def free(self) -> None:
        self._free.set()

    def questions(self, payload: Any) -> Sequence[Any]:
        return instances(payload, '{"word": ...}', 4)

    def answer(self, questions: Sequence[Any]) -> Predictions:
        assert not self.closed
        self.asked.set()
        assert self._free.wait(HANGS)
        return [{"said": one, "by": self.name} for one in questions]

    def warm(self) -> None:
        self.warmed = True

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True)
class Loaded:
    """A bundle, as far as anybody asks."""

    digest: str


@dataclass(frozen=True)
class Version:
    number: int
    digest: str


@dataclass
class FakeRegistry:
    """Versions by number; the champion may be none, and the whole away."""

    champion: int | None = None
    digests: dict[int, str] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)
    away: bool = False
    fetched: list[int] = field(default_factory=list)
    asked: int = 0
    open: threading.Event = field(default_factory=threading.Event)
    """Until it is set nobody is answered, where `hangs`, and nothing comes, where `fetches_hang`."""
    hangs: bool = False
    fetches_hang: bool = False

    def get(self, name: str) -> Version:
        self.asked += 1
        if self.hangs:
            assert self.open.wait(HANGS)
        if self.away:
            raise ConnectionError("connection refused")
        if self.champion is None:
            raise RegistryError("crossmix-echo: no version or alias 'champion'; registered versions: none yet")
        return Version(self.champion, self.digests[self.champion])

    def fetch(self, version: int, target: Path) -> Loaded:
        self.fetched.append(version)
        if self.fetches_hang:
            assert self.open.wait(HANGS)
        if version in self.broken:
            raise BundleError("manifest.json: changed since it was saved; fetch the bundle again")
        target.mkdir(parents=True, exist_ok=True)
        (target / "manifest.json").write_text(self.digests[version])
        return Loaded(self.digests[version])


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoKind(Known):
    """A kind whose bundles are a line of text, which `Echo` answers with."""

    def opened(self, folder: Path) -> Loaded:
        return Loaded((folder / "manifest.json").read_text())

    def answers(self, loaded: Any, features: Path | None, clock: Clock = wall) -> Answering:
        return Echo(loaded.digest)


class Slow(Echo):
    """Takes as long to start as a test likes, or until it is closed."""

    def __init__(self, name: str, ready: threading.Event) -> None:
        super().__init__(name)
        self.ready, self.warming = ready, threading.Event()

    def warm(self) -> None:
        self.warming.set()
        assert self.ready.wait(HANGS)
        if self.closed:
            raise BundleError("model creators: ended before it was ready")
        super().warm()

    def close(self) -> None:
        super().close()
        self.ready.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowKind(EchoKind):
    """The same, answered by `Slow`; `made` are those that were begun."""

    ready: threading.Event
    made: list[Slow]

    def answers(self, loaded: Any, features: Path | None, clock: Clock = wall) -> Answering:
        self.made.append(Slow(loaded.digest, self.ready))
        return self.made[-1]


def slow_kind(kind: str = "creators") -> SlowKind:
    """A kind whose bundles start once `ready` is set."""
    return SlowKind(kind=kind, registered="", load="", answering="", task=kind, ready=threading.Event(), made=[])


def until(true: Callable[[], bool]) -> None:
    """Wait for what other threads do; bounds a hang."""
    deadline = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


ECHO = EchoKind(kind="creators", registered="creators_model", load="", answering="", task="creators")
