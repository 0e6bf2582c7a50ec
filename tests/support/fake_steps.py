"""Core functions small enough to see through, for the tests of the step wrapper."""

from __future__ import annotations

import os
import time
from pathlib import Path

from crossmix.config import Config
from crossmix.schema import DataError
from tests.support.bundles import make


def write_seed(config: Config, out: Path) -> None:
    """A result that follows from the config."""
    (out / "value").write_text(str(config.data.demo.seed))


def double(config: Config, dataset: Path, out: Path) -> None:
    """A result that follows from an input."""
    (out / "value").write_text(str(2 * int((dataset / "value").read_text())))


def count(config: Config, market: Path, out: Path, work: Path) -> None:
    """One more each time it is started, and it fails the first time."""
    tally = work / "tally"
    tally.write_text(f"{tally.read_text()}x" if tally.exists() else "x")
    if tally.read_text() == "x":
        raise RuntimeError("power cut")
    (out / "value").write_text(tally.read_text())


def name_home(config: Config, evaluation: Path, home: Path, out: Path) -> None:
    """Where the run's folder is."""
    (out / "value").write_text(str(home))


def write_bundle(config: Config, out: Path) -> None:
    """A bundle that carries the config."""
    make(out / "bundle", config=config)


def refuse(config: Config, out: Path) -> None:
    """What a bad log does, after something was written."""
    (out / "half").write_text("half")
    raise DataError("price_paid: -1 in row 7; mend the log")


def meet(config: Config, out: Path, work: Path, cache: Path) -> None:
    """A result that is written while another process writes it too: each waits until both have begun."""
    place = cache / str(config.data.demo.seed)
    place.mkdir(exist_ok=True)
    (place / str(os.getpid())).touch()
    (work / "checkpoint").write_text(str(os.getpid()))
    deadline = time.monotonic() + 240
    while len(list(place.iterdir())) < 2:
        if time.monotonic() > deadline:
            raise RuntimeError("nobody came")
        time.sleep(0.001)
    assert (work / "checkpoint").read_text() == str(os.getpid())  # nobody else's
    (out / "value").write_text(str(config.data.demo.seed))


def linger(config: Config, out: Path, work: Path) -> None:
    """A checkpoint, then an endless step; started again, it goes on from there."""
    checkpoint = work / "checkpoint"
    if not checkpoint.exists():
        (out / "half").write_text("half")
        draft = out / "draft"
        draft.write_text("from the first")
        draft.rename(checkpoint)  # whoever sees it may kill this process
        while True:
            time.sleep(60)
    (out / "value").write_text(checkpoint.read_text())
