"""A file of rows that are still to be done; its room is taken beforehand, so that a full disk refuses no row."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)
ROOM = 262_144
"""Bytes: some hundred rows. What goes beyond needs the disk's own room."""


class Journal:
    """Rows by number, each on the disk before `add` returns; a line of JSON each, blank lines after the last.

    A line that a crash cut short was not added. Rows that are done leave a line that says so; once all are, the file is
    blank again.
    """

    def __init__(self, file: Path) -> None:
        self.file = Path(file)
        self.rows: dict[str, dict[str, Any]] = {}
        """Those that are not done, in their order."""
        self._end = 0
        self._read()

    def prepare(self) -> None:
        """Take the room, where it is not taken yet; raises `OSError`."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            size = os.fstat(handle).st_size
            if size < ROOM:
                _write(handle, b"\n" * (ROOM - size), size)
        finally:
            os.close(handle)

    def add(self, number: str, row: Mapping[str, Any]) -> None:
        """Keep a row; raises `OSError`, and then it is not on the disk."""
        self._append({"number": number, "row": row})
        self.rows[number] = dict(row)

    def done(self, number: str) -> None:
        """Forget a row; raises `OSError`, and then a restart finds it again."""
        if self.rows.pop(number, None) is None:
            return
        if self.rows:
            self._append({"done": number})
            return
        handle = os.open(self.file, os.O_RDWR)
        try:
            _write(handle, b"\n" * self._end, 0)
        finally:
            os.close(handle)
        self._end = 0

    def _append(self, line: Mapping[str, Any]) -> None:
        content = json.dumps(line).encode() + b"\n"
        handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _write(handle, content, self._end)
        finally:
            os.close(handle)
        self._end += len(content)

    def _read(self) -> None:
        try:
            content = self.file.read_bytes().rstrip(b"\n\x00")
        except FileNotFoundError:
            return
        except OSError as error:
            _log.error("%s: cannot be read (%s); what it holds is not served", self.file, error.strerror)
            return
        self._end = len(content) + 1 if content else 0
        for line in content.splitlines():
            try:
                one = json.loads(line)
                if "done" in one:
                    self.rows.pop(one["done"], None)
                else:
                    self.rows[one["number"]] = one["row"]
            except (ValueError, KeyError, TypeError):
                if line.strip():
                    _log.warning("%s: a line that was cut short is left out", self.file)


def _write(handle: int, content: bytes, offset: int) -> None:
    while content:
        written = os.pwrite(handle, content, offset)
        content, offset = content[written:], offset + written
    os.fsync(handle)
