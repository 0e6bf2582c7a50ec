"""The log: JSON lines with the same fields whoever wrote them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from serving.http import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = before[0], before[1]
    logs.forget()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_a_line_of_its_fields(stream: io.StringIO) -> None:
    logs.write_to(stream)
    began = datetime.now(UTC) - timedelta(milliseconds=1)
    logging.getLogger("serving.live").warning("%s is away:\n%d times", "the registry", 2)
    (line,) = lines(stream)
    assert list(line) == ["at", "level", "logger", "message"]
    assert (line["level"], line["logger"]) == ("warning", "serving.live")
    assert line["message"] == "the registry is away:\n2 times"
    assert began <= datetime.fromisoformat(line["at"]) <= datetime.now(UTC)


def test_an_error_brings_its_traceback(stream: io.StringIO) -> None:
    logs.write_to(stream)
    try:
        raise RuntimeError("no arm")
    except RuntimeError:
        logging.getLogger("serving").exception("request %s failed", "r1")
    (line,) = lines(stream)
    assert list(line) == ["at", "level", "logger", "message", "error"]
    assert (line["level"], line["message"]) == ("error", "request r1 failed")
    assert line["error"].startswith("Traceback (most recent call last):")
    assert line["error"].endswith("RuntimeError: no arm")


def test_a_request_is_a_line_of_its_fields(stream: io.StringIO) -> None:
    logs.request(route="/early")
    logs.write_to(stream)
    logs.request(method="GET", route="/campaigns", status=200, who=None)
    (line,) = lines(stream)
    assert list(line) == ["at", "level", "message", "method", "route", "status", "who"]
    assert (line["level"], line["message"], line["route"], line["who"]) == ("info", "request", "/campaigns", None)
    assert datetime.fromisoformat(line["at"]).utcoffset() == timedelta(0)


def test_a_level_above_info_leaves_requests_out(stream: io.StringIO) -> None:
    logs.write_to(stream, logging.WARNING)
    logs.request(route="/campaigns")
    logging.getLogger("serving").info("nothing")
    logging.getLogger("serving").warning("something")
    assert [line["message"] for line in lines(stream)] == ["something"]


def test_libraries_are_heard_from_warnings_on(stream: io.StringIO) -> None:
    logs.write_to(stream)
    logging.getLogger("mlflow").info("chatter")
    logging.getLogger("mlflow").warning("trouble")
    assert [line["message"] for line in lines(stream)] == ["trouble"]


def test_a_text_that_is_no_utf8_still_makes_a_line(stream: io.StringIO) -> None:
    logs.write_to(stream)
    logging.getLogger("serving").warning("user %s", "a\ud800")
    assert lines(stream)[0]["message"] == "user a\ud800"


def test_a_stream_that_is_gone_fails_no_request(stream: io.StringIO) -> None:
    logs.write_to(stream)
    stream.close()
    logs.request(route="/campaigns")
    assert stream.closed
