"""What cannot be meant: each a refusal with its remedy, which `data.accept` lifts by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from crossmix.schema import DataError
from crossmix.sources.history import aliases, measures, names, rhythm, totals, units
from crossmix.sources.history.columns import NUMBERS, PLANNED
from crossmix.sources.history.numbers import values

FAR = units.FAR
"""Prices of a thousand impressions that differ by more from the other platforms' are of another unit."""
FRACTIONS = 0.5
NEARLY_ALL = 0.95
SAME_DAYS = 20
"""So many days with one revenue on all platforms tell a total."""


def check(
    columns: Mapping[str, Sequence[str]], accept: Sequence[str]
) -> tuple[dict[str, list[str]], pd.DataFrame, list[str]]:
    """Raise `DataError` for the first thing that cannot be meant and is not accepted.

    Args:
        columns: text, with plain numbers and dates.
        accept: `data.accept`, kinds of `KINDS`.

    Returns:
        The columns without rows of a total; those of its rows that have a day and a platform as values (`day` beside
        the columns, numbers or NaN), and sentences for the user.
    """
    for kind in accept:
        if kind not in {*KINDS, *EARLIER, *OF_INGEST}:
            known = ", ".join([*KINDS, *EARLIER, *OF_INGEST])
            raise DataError(f"data.accept: {kind!r} is no kind of doubt; use one of {known}")
    frame = _frame(columns)
    notes: list[str] = []
    total, searched = None, None
    while "total" not in accept and len(frame):
        total, searched = totals.found(frame), frame
        if total is None or not total.labelled:
            break
        notes.append(total.left_out())
        kept = (~total.rows(columns)).tolist()
        columns = {name: [v for v, keep in zip(values, kept, strict=True) if keep] for name, values in columns.items()}
        frame = frame[~total.rows(frame)]
    unpaid = _unpaid(frame, columns)
    if unpaid:
        sums = frame[frame["platform"].isin(unpaid)][["conversions", "revenue"]].sum()
        _check_paid(frame[~frame["platform"].isin(unpaid)], unpaid, sums)
        notes.append(
            f"Nothing was ever spent on {', '.join(map(repr, unpaid))}; a split is of money, and the rows are left out "
            f"(conversions {sums['conversions']:,.0f}, revenue {sums['revenue']:,.2f})."
        )
        kept = [name not in unpaid for name in columns["platform"]]
        columns = {name: [v for v, keep in zip(values, kept, strict=True) if keep] for name, values in columns.items()}
        frame = frame[~frame["platform"].isin(unpaid)]
    if len(frame):
        for kind, find in KINDS.items():
            told = kind == "total" and searched is frame
            problem = (total.sentence() if total else None) if told else find(frame)
            if problem is not None and kind in accept:
                notes.append(f"Accepted ({kind}): {problem.split(';')[0]}.")
            elif problem is not None:
                raise DataError(f"{problem}; if it is right as it is, say --accept {kind} (data.accept)")
    plain = frame.astype(dict.fromkeys(frame.select_dtypes("category"), object))
    return {name: list(values) for name, values in columns.items()}, plain, notes


def _frame(columns: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The rows that have a day and a platform; names as categories in their order, which every sum by name needs."""
    frame = pd.DataFrame(index=range(len(columns["date"])))
    for name in (name for name in columns if name not in (*NUMBERS, PLANNED)):
        frame[name] = names.categories(columns[name]) if name != "date" else np.array(columns[name], dtype=object)
    for name in NUMBERS:
        frame[name] = values(columns[name])
    dates = dict.fromkeys(columns["date"])
    days = dict(zip(dates, pd.to_datetime(pd.Series([*dates]), format="%Y-%m-%d", errors="coerce"), strict=True))
    frame["day"] = pd.to_datetime(frame["date"].map(days))
    named = [bool(name.strip()) for name in frame["platform"].cat.categories]
    return frame[frame["day"].notna() & np.array(named, bool)[frame["platform"].cat.codes]]


def check_gap(columns: Mapping[str, Sequence[str]], accept: Sequence[str]) -> list[str]:
    """Raise `DataError` for a few rows far from all others in time, but where `accept` has `gap`; then a sentence."""
    problem = rhythm.gap(columns)
    if problem is not None and "gap" not in accept:
        raise DataError(f"{problem}; if it is right as it is, say --accept gap (data.accept)")
    return [] if problem is None else [f"Accepted (gap): {problem.split(';')[0]}."]


def _check_paid(paid: pd.DataFrame, unpaid: Sequence[str], sums: pd.Series) -> None:
    """Raise `DataError` where all conversions or all revenue are those of platforms without money."""
    for name in ("conversions", "revenue"):
        if len(paid) and sums[name] > 0 and not paid[name].fillna(0).any():
            raise DataError(
                f"{name}: all of it ({sums[name]:,.0f}) is booked on {', '.join(map(repr, unpaid))}, where nothing "
                f"was spent, and {', '.join(sorted(map(str, paid['platform'].unique()))[:4])} have none; give each "
                "platform that is paid its own results, as its export attributes them"
            )


def _unpaid(frame: pd.DataFrame, columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Platforms with results and neither money nor delivery nor a plan, as organic search in an export of GA4."""
    sums = frame.groupby("platform", observed=True)[list(NUMBERS)].sum()
    planned = {
        name for name, plan in zip(columns["platform"], columns.get(PLANNED, ()), strict=False) if plan not in {"", "0"}
    }
    none = (sums["spend"] == 0) & (sums["impressions"] == 0) & ((sums["conversions"] > 0) | (sums["revenue"] > 0))
    return [] if none.all() else [str(name) for name in sums.index[none] if name not in planned]


def _is_total(frame: pd.DataFrame) -> str | None:
    total = totals.found(frame)
    return total.sentence() if total else None


def _price(frame: pd.DataFrame) -> str | None:
    """A platform, or some of its rows, whose price of a thousand impressions is far from all others'."""
    sound = frame[(frame["spend"] > 0) & (frame["impressions"] > 0)]
    cpm = 1000 * sound["spend"] / sound["impressions"]
    usual = cpm.groupby(sound["platform"], observed=True).median()
    for name in usual.index:
        rest = usual.drop(name)
        if len(rest):
            factor = usual[name] / rest.median()
            if factor > FAR or factor < 1 / FAR:
                return _far(str(name), usual[name], f"the others pay {rest.median():,.2f}", factor)
    ratio = cpm / cpm.groupby(sound["platform"], observed=True).transform("median")
    odd = ratio[(ratio > FAR) | (ratio < 1 / FAR)]
    if len(odd) >= max(3, 0.002 * len(sound)):
        row = sound.loc[odd.index[0]]
        where = f"{row['platform']} on {row['date']}"
        return _far(where, cpm[odd.index[0]], f"it usually pays {usual[row['platform']]:,.2f}", float(odd.iloc[0]))
    whole = units.whole_platforms(frame)
    return whole if whole is not None and units.lasting(frame) is None else None


def _far(where: str, cpm: float, beside: str, factor: float) -> str:
    size = factor if factor > 1 else 1 / factor
    unit = "micros (divide by 1,000,000)" if size > 2e4 else "another unit (cents, thousands, a misread separator)"
    low = factor < 1
    return (
        f"spend: {where} pays {cpm:,.4g} for a thousand impressions, and {beside}: a factor of {size:,.0f}; "
        f"{'impressions or the others spend' if low else 'it'} may be in {unit}: bring spend to one unit"
    )


def _revenue(frame: pd.DataFrame) -> str | None:
    """All revenue booked on one platform, though others spend and convert."""
    sums = frame.groupby("platform", observed=True)[["spend", "conversions", "revenue"]].sum()
    whole = sums["revenue"].sum()
    if same := _the_same(frame):
        return same
    earning = sums.index[sums["revenue"] > 0]
    if whole <= 0 or len(earning) != 1:
        return units.unvalued(frame)
    rest = sums.drop(earning[0])
    if rest["spend"].sum() <= 0.05 * sums["spend"].sum() or not (rest["conversions"] > 0).any():
        return units.unvalued(frame)
    return (
        f"revenue: all of it ({whole:,.0f}) is booked on {earning[0]!r}, and {', '.join(map(str, rest.index))} have "
        "conversions without any; book each platform's own revenue, or give a value per conversion for all "
        "(data.value_per_conversion, without the column of revenue)"
    )


def _the_same(frame: pd.DataFrame) -> str | None:
    """Days on which every platform has the same revenue: the total of all, once for each."""
    paid = frame[frame["spend"] > 0]
    days = paid.groupby("day")["revenue"].agg(["min", "max", "size"])
    days = days[(days["size"] > 1) & (days["max"] > 0)]
    if (
        len(days) < SAME_DAYS
        or (days["min"] == days["max"]).mean() < NEARLY_ALL
        or days["max"].nunique() < len(days) / 2
    ):
        return None
    return (
        f"revenue: all rows of a day have the same ({days['max'].iloc[0]:,.2f} on {days.index[0].date()}), "
        f"on {(days['min'] == days['max']).mean():.0%} of {len(days)} days; it may be all platforms' total, once for "
        "each: book each platform's own revenue, or "
        "give a value per conversion for all (data.value_per_conversion, without the column of revenue)"
    )


def _conversions(frame: pd.DataFrame) -> str | None:
    """More conversions than clicks in most rows of a platform."""
    for name, rows in frame.groupby("platform", observed=True):
        busy = rows[(rows["clicks"] > 0) | (rows["conversions"] > 0)]
        more = busy["conversions"] > busy["clicks"]
        if not (rows["clicks"] > 0).any():
            continue  # it tells no clicks, and is held
        if len(busy) >= 10 and more.mean() > 0.5:
            row = busy[more].iloc[0]
            return (
                f"conversions: {name!r} has more conversions than clicks in {int(more.sum())} of {len(busy)} rows "
                f"({row['date']}: {row['conversions']:g} of {row['clicks']:g} clicks); the columns may be exchanged, "
                "or conversions counted that followed no click: name the right columns (--map), or count conversions "
                "after clicks"
            )
    return None


def _fractions(frame: pd.DataFrame) -> str | None:
    """Impressions or clicks with fractions and below 1,000: thousands points that a program took for decimals."""
    for name in ("impressions", "clicks"):
        values = frame[name][frame[name] > 0]
        broken = values[values % 1 != 0]
        thousandths = np.isclose(broken * 1000, (broken * 1000).round(), atol=1e-6)
        if len(values) >= 10 and len(broken) > FRACTIONS * len(values) and broken.max() < 1000 and thousandths.all():
            return (
                f"{name}: {broken.iloc[0]:g} is no whole number, nor are {len(broken)} of {len(values)}; a program "
                "may have read thousands separators as decimals: export again without thousands separators"
            )
    return None


KINDS: Mapping[str, Callable[[pd.DataFrame], str | None]] = MappingProxyType(
    {
        "total": _is_total,
        "twice": aliases.twice,
        "periods": rhythm.periods,
        "weekdays": rhythm.weekdays,
        "cumulative": measures.cumulative,
        "weekends": rhythm.weekends,
        "fractions": _fractions,
        "price": _price,
        "revenue": _revenue,
        "conversions": _conversions,
        "unit": lambda frame: units.lasting(frame) or measures.changed(frame),
        "one-row": units.few_rows,
        "value": lambda frame: units.set_values(frame) or measures.ratios(frame),
    }
)
"""Kinds of doubt, as `data.accept` names them."""
EARLIER = ("gap",)
"""Kinds that are found before days without a row are filled (`check_gap`)."""
OF_INGEST = ("tracking", "other")
"""Kinds that are found when rows are cleaned (`ingest.untracked`, `ingest.clean.platform_groups`)."""
