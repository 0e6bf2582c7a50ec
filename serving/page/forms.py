"""Forms of the desk: what a browser sends as what the campaign's own functions take, and back into the fields.

A field that cannot be used keeps what was typed, and the sentence stands beside it; checks and sentences are those of
`serving.campaigns`. Of an edit only fields that differ from what the form showed are changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from crossmix.cycles import ZoneError, zone
from crossmix.ledger.campaigns import Campaign
from serving.fields import CampaignError

MOST_FIELDS = 1_000
BOUNDS = ("min", "max", "step")
PLAIN = ("campaign_id", "currency", "cycle_budget", "starts", "cycles", "cycle_hours", "timezone")


def parse(body: bytes) -> dict[str, str]:
    """The fields of a form; of one that is sent twice the last counts. Raises `CampaignError`."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise CampaignError(f"form: it cannot be read; send at most {MOST_FIELDS:,} fields in UTF-8") from None
    return dict(pairs)


def shown(campaign: Campaign | None, platforms: Sequence[str]) -> dict[str, str]:
    """The fields of a campaign's form as it stands; of a new one if `None`."""
    if campaign is None:
        return {"currency": "EUR", "cycle_hours": "24", "timezone": "UTC", "cycles": "14"}
    values = {name: _text(getattr(campaign, name)) for name in PLAIN}
    local = campaign.starts.astimezone(_zone(campaign.timezone)).replace(tzinfo=None)
    values["starts"] = local.isoformat("T", "minutes")
    for platform in platforms:
        values[f"share.{platform}"] = _text(campaign.share.get(platform, 0.0))
        for name in BOUNDS:
            bound = campaign.limits.get(platform, {}).get(name)
            values[f"limits.{platform}.{name}"] = "" if bound is None else _text(bound)
        if campaign.limits.get(platform, {}).get("freeze"):
            values[f"limits.{platform}.freeze"] = "on"
    return values


def raw(form: Mapping[str, str], platforms: Sequence[str]) -> dict[str, Any]:
    """A campaign as a person writes it; what is no number stays text, and is refused as such."""
    text = {name: form.get(name, "").strip() for name in PLAIN}
    zoned = text["timezone"] or None
    return {
        "campaign_id": form.get("campaign_id", ""),
        "currency": text["currency"],
        "cycle_budget": _number(text["cycle_budget"]),
        "share": share(form, platforms),
        "limits": {platform: bounds for platform in platforms if (bounds := _bounds(form, platform))},
        "starts": _moment(text["starts"], zoned),
        "cycles": _whole(text["cycles"]),
        "cycle_hours": _number(text["cycle_hours"]),
        "timezone": zoned,
    }


def share(form: Mapping[str, str], platforms: Sequence[str]) -> dict[str, Any]:
    """A split as a person writes it; a field that is left empty is 0."""
    return {platform: _number(form.get(f"share.{platform}", "").strip() or "0") for platform in platforms}


def changes(form: Mapping[str, str], before: Mapping[str, str], platforms: Sequence[str]) -> dict[str, Any]:
    """The fields of an edit: those that differ from what the form showed.

    Args:
        before: the form's fields as they were shown.
    """

    def moved(name: str) -> bool:
        return form.get(name, "").strip() != before.get(name, "").strip()

    now = raw(form, platforms)
    edit = {name: now[name] for name in PLAIN if name != "campaign_id" and moved(name)}
    if "timezone" in edit and "starts" not in edit and before.get("starts"):
        edit["starts"] = now["starts"]  # the same local time, in the new zone
    if any(moved(f"share.{platform}") for platform in platforms):
        edit["share"] = now["share"]
    limits: dict[str, dict[str, Any]] = {}
    for platform in platforms:
        for name in (*BOUNDS, "freeze"):
            if moved(f"limits.{platform}.{name}"):
                limits.setdefault(platform, {})[name] = now["limits"].get(platform, {}).get(name)
    return {**edit, "limits": limits} if limits else edit


def snapshot(values: Mapping[str, str]) -> str:
    """What a form shows, to be sent back with it."""
    return json.dumps(dict(values), ensure_ascii=False, separators=(",", ":"))


def restored(text: str) -> dict[str, str]:
    """What a form showed; raises `CampaignError`."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise CampaignError("form: it was cut on its way; open it again")
    return values


def field_of(sentence: str, names: Sequence[str]) -> str | None:
    """The form's field that a refusal is about; `None`: the whole."""
    where = sentence.partition(":")[0]
    return next((name for name in sorted(names, key=len, reverse=True) if where == name), None) or next(
        (name for name in ("share", "limits", *PLAIN, "reason") if where == name or where.startswith(f"{name}.")), None
    )


def _bounds(form: Mapping[str, str], platform: str) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    for name in BOUNDS:
        text = form.get(f"limits.{platform}.{name}", "").strip()
        if text:
            bounds[name] = _number(text)
    if form.get(f"limits.{platform}.freeze"):
        bounds["freeze"] = True
    return bounds


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _whole(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _zone(name: str | None) -> Any:
    try:
        return UTC if name is None else zone(name)
    except ZoneError:
        return UTC


def _moment(text: str, zoned: str | None) -> str:
    """A time; without a zone of its own it is the campaign's."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=_zone(zoned))).isoformat()
