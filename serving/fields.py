"""The values a request may hold: text, numbers, moments, and one sentence for what cannot be used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

LONGEST_ID = 200


LONGEST_REASON = 1_000


LARGEST_AMOUNT = 1e15


EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class CampaignError(ValueError):
    """A campaign or override that cannot be used; the message names field, value and remedy."""

    status = 422
    """What the server answers."""


def number(value: Any, name: str, low: float, high: float, what: str) -> float:
    """A finite number within [low, high]; true and false are none."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not good:
        raise CampaignError(f"{name}: {shown(value)}; give {what}")
    return float(value)


def text(value: Any, name: str) -> str:
    """A name of 1 to 200 printable characters."""
    if not (isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()):
        raise CampaignError(f"{name}: {shown(value)}; give 1 to {LONGEST_ID} printable characters")
    return value


def reason(value: Any) -> str:
    """Why a change is made: text of at most 1,000 characters, which the database can hold."""
    if (
        not isinstance(value, str)
        or len(value) > LONGEST_REASON
        or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)
    ):
        raise CampaignError(f"why: {shown(value)}; give text of at most {LONGEST_REASON:,} characters")
    return value


def moment(value: Any, name: str) -> datetime:
    """A time with its zone, in UTC, between 2000 and 2200."""
    found = value
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
    if not isinstance(found, datetime):
        raise CampaignError(f"{name}: {shown(value)}; give a time, as 2026-01-01T00:00:00Z")
    if found.tzinfo is None:
        raise CampaignError(f"{name}: {shown(str(value))} has no zone; add Z for UTC, or +01:00")
    if not EARLIEST <= found <= LATEST:
        raise CampaignError(f"{name}: {shown(str(value))}; give a time from {EARLIEST.year} to {LATEST.year}")
    return found.astimezone(UTC)


def shown(value: Any) -> str:
    """A value as an error shows it: short, whatever was sent."""
    if value is None:
        return "missing"
    if isinstance(value, str | bool | float):
        made = repr(value)
    elif isinstance(value, int):
        made = repr(value) if abs(value) < 10**30 else "a number too large"
    else:
        made = {"dict": "an object", "list": "an array"}.get(type(value).__name__, type(value).__name__)
    return made if len(made) <= 80 else made[:77] + "..."


def as_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
