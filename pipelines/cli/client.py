"""`crossmix campaign` and `crossmix override`: what a person asks of a running server, over its routes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from crossmix.cycles import zone

LOCAL = "http://127.0.0.1:8080"
SERVER_VARIABLE = "CROSSMIX_SERVER"


class AskError(ValueError):
    """A request that the server refused or that never reached it; one sentence."""


def check_one(server: str | None, database: str | None) -> None:
    """Raise `ConfigError` where both are named; a server that only the variable names gives way to a database."""
    from crossmix.config import ConfigError

    if database is not None and server is not None and server != os.environ.get(SERVER_VARIABLE):
        raise ConfigError("--server, --database: name one of the two")


def ask(
    server: str,
    token: str | None,
    method: str,
    path: Sequence[str],
    *,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> Any:
    """The server's answer to a request.

    Args:
        server: its address, as http://127.0.0.1:8080.
        token: bearer token; `None`: the variable CROSSMIX_TOKEN, or none.
        path: its parts, unquoted.
        body: sent as JSON; `None`: nothing is sent.
        seconds: an answer is waited for; `None`: the client's own.

    Raises:
        AskError: the server is away, or refuses; its own sentence.
    """
    from serving.http.client import SECONDS, AwayError, Client, RefusedError

    client = Client(server, token or os.environ.get("CROSSMIX_TOKEN"), SECONDS if seconds is None else seconds)
    try:
        return client.ask(method, path, body=body, query=query)
    except AwayError as error:
        raise AskError(f"--server {server}: {error}; start one with crossmix serve, or name another") from None
    except RefusedError as error:
        hint = "; pass --token or set CROSSMIX_TOKEN" if error.status == 401 else ""
        raise AskError(f"{error.sentence or f'--server {server}: {error}'}{hint}") from None


def campaigns(server: str, token: str | None) -> list[dict[str, Any]]:
    """Every campaign; raises `AskError`."""
    listed: list[dict[str, Any]] = ask(server, token, "GET", ["campaigns"])["campaigns"]
    return listed


def fields(
    *,
    share: Sequence[str],
    limit: Sequence[str],
    step: Sequence[str],
    freeze: Sequence[str],
    **plain: Any,
) -> dict[str, Any]:
    """A request's body from a command's options; what was not given is not in it.

    Args:
        share: PLATFORM:SHARE.
        limit: PLATFORM:MIN:MAX.
        step: PLATFORM:STEP.
        freeze: platforms.
        plain: fields as they go.

    Raises:
        AskError: an option that does not read so.
    """
    body = {name: value for name, value in plain.items() if value is not None}
    if share:
        body["share"] = shares(share)
    limits: dict[str, dict[str, Any]] = {}
    for text in limit:
        platform, low, high = _parts(text, "--limit", 2, "PLATFORM:MIN:MAX, as search:0.1:0.4")
        limits.setdefault(platform, {}).update({"min": low, "max": high})
    for text in step:
        platform, size = _parts(text, "--step", 1, "PLATFORM:STEP, as search:0.1")
        limits.setdefault(platform, {})["step"] = size
    for platform in freeze:
        limits.setdefault(platform, {})["freeze"] = True
    return body | ({"limits": limits} if limits else {})


def shares(texts: Sequence[str]) -> dict[str, float]:
    """A split from PLATFORM:SHARE; raises `AskError`."""
    return dict(_parts(text, "--share", 1, "PLATFORM:SHARE, as search:0.4") for text in texts)


def table(campaigns: Sequence[Mapping[str, Any]]) -> str:
    """Campaigns as people read them."""
    if not campaigns:
        return "no campaign yet; create one with crossmix campaign create, or import a file"
    head = ("campaign", "budget a cycle", "cycle", "starts", "state", "static split")
    rows = [head]
    for one in campaigns:
        override = one["override"]
        state = "paused" if one["paused"] else "running" if 0 <= one["cycle"] < one["cycles"] else "outside its window"
        if override:
            state += f", override {override['kind']} by {override['actor']}"
        split = ", ".join(f"{name} {part:.3g}" for name, part in one["share"].items() if part)
        cycle = f"{one['cycle']} of {one['cycles']}"
        budget = f"{one['cycle_budget']:,.2f} {one['currency']}"
        rows.append((one["campaign_id"], budget, cycle, _local(one["starts"], one.get("timezone")), state, split))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _local(moment: str, timezone: str | None) -> str:
    """A moment in the campaign's own zone, which is named."""
    name = timezone or "UTC"
    return f"{datetime.fromisoformat(moment).astimezone(zone(name)):%Y-%m-%d %H:%M} {name}"


def _parts(text: str, option: str, numbers: int, form: str) -> tuple[Any, ...]:
    platform, *rest = text.rsplit(":", numbers)
    try:
        values = tuple(float(part) for part in rest)
    except ValueError:
        values = ()
    if not platform or len(values) != numbers or any(value - value != 0 for value in values):
        raise AskError(f"{option} {text}: give {form}")
    return (platform, *values)
