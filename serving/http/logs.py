"""The process's log: one JSON object on a line, whoever wrote it.

Our modules and libraries write records of `logging`; structlog makes lines of them. A request's line goes past
`logging` (`request`): a record took 30 us, five times the rest of what `serving.http.observe` does. Tokens, bodies and
users' ids get into no line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog

Line = MutableMapping[str, Any]
QUIET = ("httpx", "httpcore", "mlflow", "alembic", "kserve.trace", "urllib3", "feast")
"""Libraries that are heard from warnings on."""


def write_to(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Write the process's log as JSON lines, to stderr if no stream is named; without this requests leave no line."""
    global _requests
    handler = logging.StreamHandler(stream or sys.stderr)
    renderer = structlog.processors.JSONRenderer(serializer=_json)
    formatter = structlog.stdlib.ProcessorFormatter
    handler.setFormatter(
        formatter(foreign_pre_chain=[_of_record], processors=[formatter.remove_processors_meta, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        library = logging.getLogger(name)
        library.setLevel(max(level, logging.WARNING))
        library.handlers.clear()  # MLflow brings one of its own, whose lines would not be JSON
        library.propagate = True
    _requests = structlog.wrap_logger(
        _Stream(handler),
        processors=[_of_request],
        wrapper_class=structlog.make_filtering_bound_logger(level),
    ).bind()


def forget() -> None:
    """Let requests leave no line again."""
    global _requests
    _requests = None


def request(**fields: Any) -> None:
    """A line about a request, where lines are written."""
    if _requests is not None:
        _requests.info("request", **fields)


class _Stream:
    """A handler's stream as structlog writes to it: whole lines, between the handler's own."""

    def __init__(self, handler: logging.StreamHandler[TextIO]) -> None:
        self._handler = handler

    def info(self, line: str) -> None:
        handler = self._handler
        handler.acquire()
        try:
            handler.stream.write(line)
            handler.stream.flush()
        except (OSError, ValueError):  # the stream is gone; that must not fail a request
            pass
        finally:
            handler.release()


_requests: Any = None


def _of_request(_: Any, level: str, line: Line) -> str:
    """The line, rendered too: a call less, and this one is made for every answer."""
    fields = {"at": datetime.now(UTC), "level": level, "message": line.pop("event"), **line}
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE).decode()


def _of_record(_: Any, __: str, line: Line) -> Line:
    """A record's own fields, in place of what structlog makes of it."""
    record: logging.LogRecord = line["_record"]
    fields = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": line["event"],
    }
    if record.exc_info:
        fields["error"] = logging.Formatter().formatException(record.exc_info)
    return {**fields, "_record": record, "_from_structlog": False}


def _json(line: Line, **_: Any) -> str:
    try:
        return orjson.dumps(line).decode()
    except TypeError:  # a text with lone surrogates
        return json.dumps(line, default=str)
