"""What a user sees of a local run: one line per step and a progress line, out of everything kfp and the steps print."""

from __future__ import annotations

import re
import sys
import time
from io import TextIOBase
from typing import TextIO

from components.steps import MARK

# tqdm: "train: ppo:  40%|####      | 12/30 [00:10<00:15, 1.2round/s]" or "rows: 12it [00:01, ...]"
PROGRESS = re.compile(r"\d+%\|.*\||\d+[a-zA-Z]+ \[\d+:\d+")
QUIET_SECONDS = 15.0
"""Seconds between progress lines where they cannot overwrite each other."""


class Console(TextIOBase):
    """Takes the place of stdout while kfp runs: all goes to the log, the marked lines and progress to the user."""

    def __init__(self, log: TextIO, screen: TextIO | None = None) -> None:
        self.log = log
        self.screen = screen or sys.stderr
        self.live = self.screen.isatty()
        self._line = ""
        self._width = 0
        self._shown = time.monotonic()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.log.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._show(line.strip())
        return len(text)

    def flush(self) -> None:
        self.log.flush()

    def say(self, line: str) -> None:
        """A line of its own, over a progress line if there is one."""
        self.screen.write(f"\r{line:<{self._width}}\n" if self._width else f"{line}\n")
        self.screen.flush()
        self._width = 0

    def _show(self, line: str) -> None:
        if line.startswith(MARK):
            self._shown = time.monotonic()
            self.say(line.removeprefix(MARK))
        elif PROGRESS.search(line):
            if self.live:
                self.screen.write(f"\r  {line:<{self._width}}")
                self.screen.flush()
                self._width = len(line) + 2
            elif time.monotonic() - self._shown >= QUIET_SECONDS:
                self._shown = time.monotonic()
                self.say(f"  {line}")
