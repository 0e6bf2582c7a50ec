"""Results kept one by one, so that a long benchmark that is cut off goes on from what it had finished."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crossmix.artifacts import RunRecord
from crossmix.config import digest
from crossmix.files import write_json


def add_resume(parser: argparse.ArgumentParser) -> None:
    """The option `--resume FILE`."""
    parser.add_argument("--resume", type=Path, help="file of finished parts, to go on from")


def of_run(trained: Path, **sizes: Any) -> dict[str, Any]:
    """What parts measured in a finished run depend on: its steps, each named by a digest of all that it follows from.

    Args:
        trained: folder of its train step.
        sizes: seeds and sizes of the benchmark, as plain data.
    """
    steps = RunRecord.load(trained.parents[2]).steps
    return {"steps": {name: steps[name] for name in sorted(steps) if name in MADE}} | sizes


MADE = ("ingest", "market", "train", "align", "meta")
"""Steps whose results benchmarks play with."""


class Resumed:
    """Parts of a result by name, each measured once; what is no plain data lies in folders beside the file.

    Args:
        file: where they are kept; `None`: nowhere.
        of: what they depend on beside their names, as plain data: seeds, sizes, digests of market and policy.

    Raises:
        ValueError: the file holds parts of something else.
    """

    def __init__(self, file: Path | None, of: Mapping[str, Any]) -> None:
        self.file, self.of = file, json.loads(json.dumps(of))
        self.parts: dict[str, Any] = {}
        self._folder: Path | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
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

    def folder(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder of that name: as kept, or made now, by writing into an empty one, and kept."""
        where = self.beside(name)
        if not where.exists():
            half = where.with_name(f"{where.name}.part")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            make(half)
            half.rename(where)
        return where

    def beside(self, name: str) -> Path:
        """Where something of that name is kept: a path in a folder that is there."""
        if self._folder is None:
            if self.file is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="crossmix-bench-")
                self._folder = Path(self._scratch.name)
            else:
                self._folder = self.file.with_name(f"{self.file.stem}.{digest(self.of)[:12]}")
                self._folder.mkdir(exist_ok=True)
        return self._folder / re.sub(r"[^\w.-]+", "-", name)
