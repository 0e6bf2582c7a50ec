"""What the rows set aside hold of the log's money, told by reason; too much of it, or much of one platform's, stops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crossmix.config import Data
from crossmix.schema import DataError
from crossmix.sources.tables import rounded

SET_ASIDE = "set aside"
"""Begins the lines about the quarantine."""
NAMELESS = "(no platform)"
"""Where a row set aside does not say which platform's it is."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Rows of one platform that were set aside for one reason."""

    code: str
    platform: str | None
    rows: int
    spend: float
    """Of the rows that tell it, without its sign, currency."""
    untold: int
    """Rows that do not tell their spend."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The rows of one platform that are kept."""

    rows: int
    spend: float
    """Currency."""


def weighed(
    lost: Sequence[Lost], sound: Mapping[str, Sound], rejected: Iterable[Mapping[str, str]], data: Data
) -> dict[str, float]:
    """Share of all spend that was set aside, by reason; `{}` where nothing was.

    A row that does not tell its spend counts as a usual one of its platform. Of a log without any spend, rows count.

    Args:
        rejected: the quarantine's rows, for an example.

    Raises:
        DataError: more than `data.quarantine_spend` of the money was set aside, or more than `data.quarantine_platform`
            of one platform's, and `data.accept_quarantine` is not set.
    """
    rows, spend = sum(one.rows for one in sound.values()), sum(one.spend for one in sound.values())
    usual = {name: one.spend / max(one.rows, 1) for name, one in sound.items()}
    of_all = spend / max(rows, 1)

    def amount(one: Lost) -> float:
        if spend <= 0:
            return float(one.rows)
        return one.spend + one.untold * usual.get(one.platform or "", of_all)

    by_code: dict[str, float] = {}
    by_platform: dict[str, float] = {}
    for one in lost:
        by_code[one.code] = by_code.get(one.code, 0.0) + amount(one)
        name = one.platform or NAMELESS
        by_platform[name] = by_platform.get(name, 0.0) + amount(one)
    kept = {name: one.spend if spend > 0 else float(one.rows) for name, one in sound.items()}
    whole = sum(kept.values()) + sum(by_code.values())
    shares = {code: rounded(part / max(whole, 1e-300)) for code, part in sorted(by_code.items())}
    if data.accept_quarantine or not shares:
        return shares
    remedy = (
        f"{_told(lost, shares, rejected)}. Correct them, or go on without these rows: --accept-quarantine "
        "(data.accept_quarantine=true)"
    )
    if (total := sum(shares.values())) > data.quarantine_spend:
        raise DataError(f"data.quarantine_spend: {total:.1%} of the spend is in rows that cannot be used: {remedy}")
    for name, lost_there in sorted(by_platform.items()):
        own = lost_there / max(lost_there + kept.get(name, 0.0), 1e-300)
        if own > data.quarantine_platform and name != NAMELESS:
            raise DataError(
                f"data.quarantine_platform: {own:.1%} of the spend of {name!r} is in rows that cannot be used, so that "
                f"its split would be wrong: {remedy}"
            )
    return shares


def lines(quarantined: Mapping[str, int], shares: Mapping[str, float]) -> list[str]:
    """A line per reason: rows, and their share of the money where it is known."""
    return [
        f"{SET_ASIDE}: {count:,} row{'s' if count != 1 else ''} as {code}"
        + (f", {shares[code]:.2%} of the spend" if code in shares else "")
        for code, count in quarantined.items()
    ]


def _told(lost: Sequence[Lost], shares: Mapping[str, float], rejected: Iterable[Mapping[str, str]]) -> str:
    """Each reason with its rows, share and an example."""
    example: dict[str, str] = {}
    for row in rejected:
        example.setdefault(row["code"], row["reason"])
    parts = []
    for code in sorted(shares, key=lambda code: -shares[code]):
        count = sum(one.rows for one in lost if one.code == code)
        parts.append(f"{count:,} as {code} ({shares[code]:.1%}), such as: {example.get(code, code)}")
    return "; ".join(parts)
