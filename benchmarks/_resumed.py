"""Results kept one by one, so that a long benchmark that is cut off goes on from what it had finished."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.allocation import finished
from crossmix import bundle as bundles
from crossmix.config import Config
from crossmix.files import write_json
from crossmix.market.model import Market, load


def begun(
    run: Path | None, source: str, data: str | None, file: Path | None, seed: int, at_once: int
) -> tuple[Config, Market, bundles.Bundle, Resumed]:
    """What a benchmark of flights begins with: a run's config, fitted market and bundle, and what was measured before.

    Args:
        run, source, data: as `benchmarks.allocation.finished` takes them.
        file: where every finished part is kept, and taken from; `None`: nowhere.
        seed: of the flights.
        at_once: flights of a part.
    """
    config, folder, _ = finished(run, source, data)
    fitted, bundle = load(folder), bundles.load(folder.parents[2] / "bundle")
    torch.set_num_threads(1)
    of = {"seed": seed, "at once": at_once, "market": fitted.digest, "bundle": bundle.digest}
    return config, fitted, bundle, Resumed(file, of)


class Resumed:
    """Parts of a result by name, each measured once.

    Args:
        file: where they are kept; `None`: nowhere.
        of: what they depend on beside their names, as plain data: seeds, sizes, digests of market and policy.

    Raises:
        ValueError: the file holds parts of something else.
    """

    def __init__(self, file: Path | None, of: Mapping[str, Any]) -> None:
        self.file, self.of = file, dict(of)
        self.parts: dict[str, Any] = {}
        self.seconds = 0.0
        """Processor time of all parts, those of earlier runs included."""
        if file is not None and file.exists():
            kept = json.loads(file.read_text())
            if kept["of"] != self.of:
                raise ValueError(f"--resume: {file} holds results of {kept['of']}, not {self.of}; name another file")
            self.parts, self.seconds = kept["parts"], kept["cpu seconds"]
        self.began = time.process_time()

    def part(self, name: str, measure: Callable[[], Any]) -> Any:
        """The part of that name: as kept, or measured now and kept."""
        if name not in self.parts:
            self.parts[name] = measure()
            now = time.process_time()
            self.seconds, self.began = self.seconds + now - self.began, now
            if self.file is not None:
                write_json(self.file, {"of": self.of, "cpu seconds": self.seconds, "parts": self.parts})
        return self.parts[name]
