"""The server's log, caught."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from serving.http import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The log of the test, as JSON lines."""
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level)
    stream = io.StringIO()
    logs.write_to(stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    logs.forget()
