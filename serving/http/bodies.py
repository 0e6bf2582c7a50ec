"""What a request's body says: JSON in UTF-8, and the attributes and data of a CloudEvent 1.0 in any of its modes."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
REQUIRED = ("id", "source", "specversion", "type")
"""What makes a CloudEvent."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)


class UnreadableError(ValueError):
    """A body, or a header, that cannot be read; one sentence without the remedy."""

    status = 400


def kind(headers: Mapping[str, str]) -> str:
    """The content type without its parameters, in lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def json_of(body: bytes, where: str = "body") -> Any:
    """JSON that is UTF-8, within its escapes too; raises `UnreadableError`."""
    try:
        content = json.loads(str(body, "utf-8-sig"))
        if _SURROGATE.search(body):
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError:
        raise UnreadableError(f"{where}: nested too deep") from None
    except UnicodeDecodeError as error:
        raise UnreadableError(f"{where}: not JSON (byte {error.start} is not UTF-8)") from None
    except UnicodeEncodeError:
        raise UnreadableError(f"{where}: not JSON (half of a surrogate pair is no UTF-8)") from None
    except ValueError as error:
        raise UnreadableError(f"{where}: not JSON ({str(error)[:120]})") from None
    return content


def binary_attributes(headers: Mapping[str, str]) -> dict[str, str]:
    """A CloudEvent's attributes in the headers of binary mode: unquoted, then percent-decoded (HTTP binding, 3.1.3.2).

    Args:
        headers: names in lower case; values as latin-1, which is how ASGI's bytes are read.

    Raises:
        UnreadableError: a value that is not UTF-8.
    """
    return {name[3:]: _attribute(name, value) for name, value in headers.items() if name.startswith("ce-")}


def _attribute(name: str, value: str) -> str:
    try:
        raw = value.strip().encode("latin-1")
        if len(raw) > 1 and raw[:1] == raw[-1:] == b'"':
            raw = _QUOTED_PAIR.sub(rb"\1", raw[1:-1])
        return unquote_to_bytes(raw).decode()
    except UnicodeError:
        raise UnreadableError(f"{name}: not UTF-8") from None


def with_data(event: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A structured CloudEvent with its `data`, also where they came as `data_base64`; raises `UnreadableError`."""
    if "data_base64" not in event:
        return dict(event)
    if "data" in event:
        raise UnreadableError(f"{where}: data and data_base64 are both there")
    try:
        data = base64.b64decode(event["data_base64"], validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise UnreadableError(f"{where}.data_base64: not base64") from None
    rest = {name: value for name, value in event.items() if name != "data_base64"}
    return {**rest, "data": json_of(data, f"{where}.data_base64")}
