"""What a history lacks and a setting says: what a conversion is worth, days on which nothing was spent."""

from __future__ import annotations

from itertools import pairwise

from crossmix.config import Data
from crossmix.schema import ALL_CAMPAIGNS, DataError
from crossmix.sources.history import columns as known
from crossmix.sources.history import dates, rhythm


def valued(history: dict[str, list[str]], data: Data, unread: str) -> tuple[dict[str, list[str]], bool, list[str]]:
    """Revenue from conversions where the history has none.

    Args:
        unread: the columns that one may have meant, as the beginning of a remedy.

    Raises:
        DataError: it has none and `data.value_per_conversion` is not given, or it has some and that is given.
    """
    earned = any(_number(value) for value in history.get("revenue", ()))
    value = data.value_per_conversion
    if earned:
        if value is not None:
            raise DataError(
                f"data.value_per_conversion: {value:g}, and the history has revenue; drop the setting, or the column "
                "of revenue"
            )
        return history, False, []
    converted = any(_number(text) for text in history["conversions"])
    if value is None:
        if converted or "revenue" not in history:
            raise DataError(
                f"revenue: the history has conversions and no revenue; {unread}"
                "say what a conversion is worth on average "
                "(--set data.value_per_conversion=VALUE: of a lead its chance to become a sale times what that earns)"
            )
        return history, False, []
    worth = [f"{float(text) * value:.12g}" if _number(text) is not None else "" for text in history["conversions"]]
    return (
        history | {"revenue": worth},
        True,
        [f"Revenue is conversions times {value:g} (data.value_per_conversion): every conversion counts the same."],
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def idle(history: dict[str, list[str]], notes: list[str]) -> dict[str, list[str]]:
    """Days without any row get rows of 0, for every platform and campaign (`data.idle_days`)."""
    entered = [any(cells) for cells in zip(*(history[name] for name in known.NUMBERS if name in history), strict=True)]
    told = {text for text, has in zip(history["date"], entered, strict=True) if has}
    days = sorted({day for text in told if (day := dates.of_iso(text))})
    # Of a calendar's days between them whose rows have no number the rows stay, with their plans.
    blank = {day.isoformat() for day in rhythm.missing_days(days)}.intersection(history["date"])
    for name in (name for name in known.NUMBERS if name in history and blank):
        amounts = zip(history["date"], history[name], strict=True)
        history = history | {name: ["0" if day in blank else text for day, text in amounts]}
    gaps = sorted((later - earlier).days for earlier, later in pairwise(days))
    if gaps and gaps[len(gaps) // 2] != 1:
        raise DataError(
            f"data.idle_days: rows are {gaps[len(gaps) // 2]} days apart; it is for histories by day: drop the setting"
        )
    missed = rhythm.missing_days(days)
    absent = [day for day in missed if day.isoformat() not in blank]
    if not missed:
        return history
    campaigns = history.get(known.CAMPAIGN) or [ALL_CAMPAIGNS] * len(history["date"])
    cells = list(dict.fromkeys(zip(history["platform"], campaigns, strict=True)))
    result = {name: list(values) for name, values in history.items()}
    for day in absent:
        for platform, campaign in cells:
            row = {"date": day.isoformat(), "platform": platform, known.CAMPAIGN: campaign}
            for name, values in result.items():
                values.append(row.get(name, "0"))
    notes.append(f"{len(missed):,} day(s) without any row count as days on which nothing was spent (data.idle_days).")
    return result
