"""What the ingest step tells of a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import model_validator

from crossmix.artifacts.file import Artifact, Number, Part


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows(Part):
    """Row counts of the raw log."""

    read: int
    """Rows of the raw log."""
    ingested: int
    """Rows left after duplicates and quarantine."""
    duplicates: int
    """Rows dropped as exact duplicates."""
    quarantined: dict[str, int]
    """Rows set aside, by the code of the rule that they broke."""
    quarantined_spend: dict[str, float] | None = None
    """Their share of all spend, by the same code; of tables without spend, and of older reports, nothing."""
    imputed: dict[str, int]
    """Values filled in, by column."""
    users: int | None = None
    """Distinct users; absent for a spend history."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates(Part):
    """Counts, money and their ratios; a ratio without a denominator is null."""

    impressions: Number
    clicks: Number
    conversions: Number
    spend: Number
    """Currency."""
    revenue: Number
    """Currency."""
    ctr: float | None
    """Clicks over impressions."""
    cvr: float | None
    """Conversions over clicks."""
    conversions_per_impression: float | None
    cpa: float | None
    """Spend over conversions, currency."""
    roas: float | None
    """Revenue over spend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformRates(Rates):
    """`Rates` of one platform."""

    platform: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DaySpend(Part):
    """Spend of a day, or of a cycle where cycles are shorter."""

    date: str
    """ISO 8601; with hours where a cycle is shorter than a day."""
    spend: dict[str, Number]
    """Platform to currency."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split(Part):
    """One period of the log."""

    impressions: Number
    conversions: Number
    holdout_impressions: Number
    """Impressions of users (in a spend history: of cycles) held out of every fit."""
    users: int | None
    """Distinct users; null for a spend history."""
    from_: str
    """ISO 8601 time of the first row."""
    to: str
    """ISO 8601 time of the last row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestReport(Artifact):
    """The data report."""

    FILE: ClassVar[str] = "report.json"

    rows: Rows
    rates: Rates
    """Over the whole log."""
    by_platform: tuple[PlatformRates, ...]
    by_day: tuple[DaySpend, ...]
    splits: dict[str, Split]
    """By name: train, validation, test."""
    provenance: dict[str, str]
    """Column to where its values come from (`crossmix.schema.Provenance`)."""
    notes: tuple[str, ...] = ()
    """Sentences: what is approximated or missing, and how."""
    told: tuple[str, ...] = ()
    """Lines for the terminal: what was set aside, held or corrected, with its share of the money."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, content: Any) -> Any:
        """Reports of earlier versions have the platforms' spend beside the date."""
        if not isinstance(content, dict) or not isinstance(content.get("by_day"), list):
            return content
        days = [
            day
            if not isinstance(day, dict) or "spend" in day
            else {"date": day.get("date"), "spend": {name: value for name, value in day.items() if name != "date"}}
            for day in content["by_day"]
        ]
        return content | {"by_day": days}
