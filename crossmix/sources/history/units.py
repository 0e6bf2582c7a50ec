"""Figures that are of another unit than their platform's or campaign's others, for a time or in single rows.

A cell is a campaign on a platform. Each finder returns the first doubt as a sentence, or `None` (`plausible.KINDS`).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

FAR = 300.0
"""Prices that change by more are a doubt of their own (`plausible`, kind `price`)."""
JUMP = 20.0
"""Prices and values of a cell that change by so much and stay are of another unit: campaigns differ by less."""
USUAL = 3.0
"""Robust deviations of the logarithm within which a cell's figures vary anyway."""
LASTS = 5
"""Rows in sequence that make a change one that stays."""
LEAST_ROWS = 14
"""Rows of a cell that tell what is usual for it."""
DEVIATIONS, LEAST_SPREAD = 6.0, 0.3
"""A row is beyond the law of its cell so many robust deviations of the logarithm above its median; the least
deviation taken, as prices of a single kind vary by less than they will."""
TAIL, TAIL_ROWS, CHANCE = 0.1, 5, 1e-3
"""The highest part of a platform's rows, and how many at least, that tell how far its rows lie above their cells'
medians: as an exponential law of the logarithm, whose rows that far are expected to be fewer than `CHANCE`. Of a normal
law that is at 6 deviations; orders whose values vary much have a longer tail, and a large one is none of a mistake."""
LEADS = 0.1
"""Part of a platform's sum that leads what is fitted to it."""
MATTERS = 0.02
"""Part of all that a doubt must be about."""
FEW = 0.01
"""Part of a platform's rows that are few; at least three."""
CONSTANT = 0.95
"""A value per conversion that is the same in so many of the rows is set, not measured."""
FAR_FROM_ONE = 5.0
"""A value per conversion of 1 is none where the other platforms' is so much more."""
LEAST_CONVERSIONS = 30
APART, TOGETHER = 15.0, 1_000.0
"""A platform in another unit is off in two ways at once, each by so much, and by so much together: what it costs (or
what a conversion is worth), and what a unit of its money earns. Dear platforms earn less, but not that much less."""
FOREIGN, ONE_FACTOR = 12.0, 6.0
"""A platform in another currency is off in all amounts at once, by so much at least, and by factors that differ by no
more than this: currencies nearer to each other cannot be told from dear platforms."""
LOST, GAINED = 1e-3, 100.0
"""Where all platforms earn less than so much of what they cost, or more, spend or revenue is in another unit."""

Array = npt.NDArray[np.float64]


def lasting(frame: pd.DataFrame) -> str | None:
    """A cell's prices, clicks or values that change by `JUMP` or more for `LASTS` rows or more."""
    keys = _keys(frame)
    rows = frame.sort_values([*keys, "day"], kind="stable")
    spend, shown, clicked = (rows[name] for name in ("spend", "impressions", "clicks"))
    paid = rows[(spend > 0) & (shown > 0) & (clicked > 0)]
    cell = _cells(paid, keys)
    cpm = _off(1000 * paid["spend"] / paid["impressions"], cell)
    cpc = _off(paid["spend"] / paid["clicks"], cell)
    ctr = _off(paid["clicks"] / paid["impressions"], cell)
    earned = rows[(rows["conversions"] > 0) & (rows["revenue"] > 0)]
    own = _cells(earned, keys)
    value = _off(earned["revenue"] / earned["conversions"], own)
    spent = _both(cpm, cpc)
    spent = np.where(np.abs(spent) < math.log(FAR), spent, 0.0)
    doubts = (
        (paid, cell, spent, "spend", "a thousand impressions and a click cost"),
        (paid, cell, _both(ctr, -cpc), "clicks", "clicks per impression and per unit of money are"),
        (earned, own, value, "revenue", "a conversion is worth"),
    )
    for table, of, off, name, what in doubts:
        run = _run(off, of)
        if run is None:
            continue
        part = table.iloc[run]
        size = math.exp(abs(float(np.median(off[run]))))
        more = "as much" if off[run.start] > 0 else "less"
        remedy = {
            "spend": "it may be in cents or another currency: bring spend to one unit",
            "clicks": "they may be misread or counted otherwise: bring clicks to one kind",
            "revenue": "it may be in another unit, or other things were counted as conversions: bring both to one kind",
        }[name]
        return (
            f"{name}: of {_named(part, keys)}, from {part['date'].iloc[0]} to {part['date'].iloc[-1]}, {what} "
            f"{size:,.0f} times {more} {'as' if more == 'as much' else 'than'} on other days, in {len(part)} rows; "
            f"{remedy}"
        )
    return None


def few_rows(frame: pd.DataFrame) -> str | None:
    """A few rows, far beyond the law of their cell, that hold a tenth of a platform's sum: one order, one mistake."""
    for name, per in (("revenue", "conversions"), ("conversions", "clicks"), ("clicks", "impressions")):
        found = _few(frame, name, per) or (_few(frame, "spend", "impressions") if name == "clicks" else None)
        if found is not None:
            return found
    return None


def _few(frame: pd.DataFrame, name: str, per: str) -> str | None:
    keys = _keys(frame)
    # Rows with more clicks than impressions are set aside, and told, when rows are cleaned.
    kept = ~(frame["clicks"] > frame["impressions"])
    rows = frame[kept & (frame[name] > 0) & ((frame[per] > 0) | (name == "revenue"))]
    if rows.empty:
        return None
    cell = pd.Series(_cells(rows, keys), rows.index)
    # Revenue without a conversion is of one, at least.
    each = rows[per].where(rows[per] > 0, 1.0)
    log = np.log(rows[name] / each)
    middle = log.groupby(cell).transform("median")
    if not (log - middle > DEVIATIONS * LEAST_SPREAD).any():
        return None
    spread = 1.4826 * (log - middle).abs().groupby(cell).transform("median")
    odd = log - middle > DEVIATIONS * spread.clip(lower=LEAST_SPREAD)
    odd &= log.groupby(cell).transform("size") >= LEAST_ROWS
    if odd.any():
        furthest = (log - middle)[~odd].groupby(rows["platform"], observed=True).agg(_tail)
        odd &= log - middle > rows["platform"].astype(object).map(furthest).fillna(0.0)
    excess = (rows[name] - each * np.exp(middle))[odd]
    whole = rows.groupby("platform", observed=True)[name].sum()
    beyond = excess.groupby(rows["platform"], observed=True).sum()
    count = excess.groupby(rows["platform"], observed=True).size()
    most = np.maximum(3, FEW * rows.groupby("platform", observed=True).size().reindex(count.index))
    leads = (beyond > LEADS * whole.reindex(beyond.index)) & (beyond > MATTERS * whole.sum()) & (count <= most)
    if not leads.any():
        return None
    platform = (beyond[leads] / whole.reindex(beyond[leads].index)).idxmax()
    largest = rows.loc[excess[rows["platform"] == platform].idxmax()]
    part = rows.loc[excess.index[(rows.loc[excess.index, "platform"] == platform)], name].sum() / whole[platform]
    held = "this row holds" if count[platform] == 1 else f"{count[platform]} such rows hold"
    usual = math.exp(float(middle[largest.name]))
    return (
        f"{name}: {_named(rows.loc[[largest.name]], keys)} has {largest[name]:,.6g} on {largest['date']}, "
        f"{largest[name] / max(largest[per], 1):,.4g} per {per[:-1]} where {usual:,.4g} is usual, and {held} "
        f"{part:.0%} of the platform's {name}, which would lead all that is told of it; correct it, or put what is "
        "usual in its place"
    )


def _tail(above: pd.Series) -> float:
    """How far above the median a platform's rows may lie, by its highest ones; 0 where they are too few to tell."""
    edge = float(above.quantile(1 - TAIL))
    excess = above[above > edge] - edge
    if len(excess) < TAIL_ROWS:
        return 0.0
    return edge + float(excess.mean()) * math.log(len(excess) / CHANCE)


def whole_platforms(frame: pd.DataFrame) -> str | None:
    """A platform whose spend, by prices and earnings, is in another unit than the others'; or all of them."""
    sums = _earning(frame)
    if 0 < sums["revenue"].sum() < LOST * sums["spend"].sum():
        return (
            f"spend: all platforms together earn {sums['revenue'].sum():,.6g} with {sums['spend'].sum():,.6g}, less "
            "than a thousandth; spend may be in micros (divide by 1,000,000) or cents, or revenue in another unit: "
            "bring both to one unit"
        )
    if len(sums) and (sums["revenue"] > GAINED * sums["spend"]).all():
        return (
            f"revenue: all platforms together earn {sums['revenue'].sum():,.6g} with {sums['spend'].sum():,.6g}, more "
            f"than {GAINED:g} times as much; revenue may be in cents or micros, or spend in thousands: bring both to "
            "one unit"
        )
    if foreign := _foreign(sums):
        return foreign
    for name, cpm, rest, earns, others in _beside(sums, 1_000 * sums["spend"] / sums["impressions"]):
        if _both_off(cpm / rest, others / earns):
            more, than = ("as much", "as") if cpm > rest else ("less", "than")
            return (
                f"spend: {name} pays {cpm:,.4g} for a thousand impressions, and the others pay {rest:,.4g}, and a "
                f"unit of its money earns {earns:,.3g} where theirs earns {others:,.3g}: it costs "
                f"{max(cpm / rest, rest / cpm):,.0f} times {more} {than} they do; it may be in cents, thousands or "
                "another currency: bring spend to one unit"
            )
    return None


def _foreign(sums: pd.DataFrame) -> str | None:
    """A platform all of whose amounts are so many times the others', as an account in another currency has them.

    Args:
        sums: by platform, as `_earning`.
    """
    prices = pd.DataFrame(
        {
            "shown": 1_000 * sums["spend"] / sums["impressions"],
            "clicked": sums["spend"] / sums["clicks"].where(sums["clicks"] > 0),
            "worth": sums["revenue"] / sums["conversions"],
        }
    ).dropna()
    log = np.log(prices)
    order = log.mean(axis=1).sort_values().index
    splits = [(log.loc[order[:at]], log.loc[order[at:]]) for at in range(1, len(order))]
    off = [high.mean() - low.mean() for low, high in splits]
    far = [
        at
        for at, (low, high) in enumerate(splits)
        if off[at].min() >= math.log(FOREIGN)
        and off[at].max() - off[at].min() <= math.log(ONE_FACTOR)
        and (high.min() > low.max()).all()
    ]
    if not far:
        return None
    at = max(far, key=lambda at: float(off[at].mean()))
    few, rest = sorted(splits[at], key=len)
    own, others = np.exp(few.mean()), np.exp(rest.mean())
    return (
        f"spend: of {', '.join(map(repr, map(str, few.index)))} a thousand impressions cost {own['shown']:,.4g} (of "
        f"the others {others['shown']:,.4g}), "
        f"a click {own['clicked']:,.4g} ({others['clicked']:,.4g}) and a conversion is "
        f"worth {own['worth']:,.4g} ({others['worth']:,.4g}): all about {math.exp(float(off[at].median())):,.0f} times "
        f"{'as much' if own['worth'] > others['worth'] else 'less'}; spend and revenue may be in another currency: "
        "convert all platforms to one"
    )


def _revenue_units(frame: pd.DataFrame) -> str | None:
    """A platform whose revenue, by a conversion's value and by what its money earns, is in another unit."""
    sums = _earning(frame)
    for name, value, rest, earns, others in _beside(sums, sums["revenue"] / sums["conversions"]):
        if _both_off(value / rest, earns / others):
            return (
                f"revenue: a conversion of {name!r} is worth {value:,.4g}, and the others' {rest:,.4g}, and a unit of "
                f"its money earns {earns:,.3g} where theirs earns {others:,.3g}; it may be in another unit (cents, "
                "micros), or have the revenue of other platforms too: bring revenue to one unit, and book each "
                "platform's own"
            )
    return None


def unvalued(frame: pd.DataFrame) -> str | None:
    """A platform that is paid and converts, and has a revenue of 0 in every row, where the others' conversions earn."""
    sums = frame.groupby("platform", observed=True)[["spend", "conversions", "revenue"]].sum()
    told = frame["revenue"].notna().groupby(frame["platform"], observed=True).any()
    earned = sums[(sums["revenue"] > 0) & (sums["conversions"] > 0)].sum()
    none = told & (sums["revenue"] == 0) & (sums["conversions"] >= LEAST_CONVERSIONS)
    none &= sums["spend"] > MATTERS * sums["spend"].sum()
    if earned["conversions"] < LEAST_CONVERSIONS or not none.any():
        return None
    name = sums.loc[none, "spend"].idxmax()
    return (
        f"revenue: {name!r} has {sums.loc[name, 'conversions']:,.0f} conversions and a revenue of 0 in every "
        f"row, and a conversion of the others earns {earned['revenue'] / earned['conversions']:,.4g} on average; "
        "a value that was never set says that its money earns nothing: export its conversions' value, "
        "or leave its revenue blank, by which it is held at what it spends"
    )


def _earning(frame: pd.DataFrame) -> pd.DataFrame:
    """Sums by platform of those that tell a delivery, conversions and revenue."""
    sums = frame.groupby("platform", observed=True)[["spend", "impressions", "clicks", "conversions", "revenue"]].sum()
    told = (sums["conversions"] >= LEAST_CONVERSIONS) & (sums[["spend", "impressions", "revenue"]] > 0).all(axis=1)
    return sums[told]


def _beside(sums: pd.DataFrame, figure: pd.Series) -> list[tuple[str, float, float, float, float]]:
    """Each platform's figure, the others' median, and what a unit of its and their money earns; highest first."""
    earns = sums["revenue"] / sums["spend"]
    return [
        (str(name), figure[name], figure.drop(name).median(), earns[name], earns.drop(name).median())
        for name in (figure.sort_values(ascending=False).index if len(sums) > 1 else ())
    ]


def _both_off(one: float, other: float) -> bool:
    """Whether two factors are far from 1, in one direction."""
    logs = math.log(one), math.log(other)
    far = min(map(abs, logs)) > math.log(APART)
    return far and logs[0] * logs[1] > 0 and abs(sum(logs)) > math.log(TOGETHER)


def set_values(frame: pd.DataFrame) -> str | None:
    """A platform or campaign whose value per conversion is 1, or one constant far from what the others earn; a
    platform whose values are of another unit."""
    earned = frame[(frame["conversions"] > 0) & (frame["revenue"] > 0)]
    for keys in (["platform"], _keys(frame)):
        cell = _cells(earned, keys)
        sums = earned.groupby(cell)[["conversions", "revenue"]].sum()
        if len(sums) < 2:
            continue
        each = earned["revenue"] / earned["conversions"]
        usual = each.groupby(cell).median()
        # Within what cents leave of a value.
        near = (earned["revenue"] - earned["conversions"] * pd.Series(cell, each.index).map(usual)).abs() < 0.0051
        constant = near.groupby(cell).mean() >= CONSTANT
        for at in sums.index[constant & (sums["conversions"] >= LEAST_CONVERSIONS)]:
            rest = sums[~constant]
            if rest["conversions"].sum() < LEAST_CONVERSIONS:
                continue
            others = float(rest["revenue"].sum() / rest["conversions"].sum())
            factor = max(others / usual[at], usual[at] / others)
            if factor < (FAR_FROM_ONE if math.isclose(usual[at], 1.0, rel_tol=1e-3) else JUMP):
                continue
            rows = earned[cell == at]
            same = "its revenue equals its conversions" if math.isclose(usual[at], 1.0, rel_tol=1e-3) else "always so"
            return (
                f"revenue: a conversion of {_named(rows, keys)} is worth {usual[at]:,.4g}, {same}, and the others' "
                f"{others:,.4g} on average; it may be a value that was never set: export the conversions' own value"
            )
    return _revenue_units(frame)


def _keys(frame: pd.DataFrame) -> list[str]:
    return [name for name in ("platform", "campaign") if name in frame]


def _cells(rows: pd.DataFrame, keys: list[str]) -> npt.NDArray[np.int64]:
    if all(isinstance(rows[name].dtype, pd.CategoricalDtype) for name in keys):
        code = np.zeros(len(rows), np.int64)
        for name in keys:
            code = code * len(rows[name].cat.categories) + rows[name].cat.codes.to_numpy()
        return np.asarray(pd.factorize(code)[0], np.int64)
    return np.asarray(rows.groupby(keys, sort=False, observed=True).ngroup(), np.int64)


def _named(rows: pd.DataFrame, keys: list[str]) -> str:
    return " / ".join(repr(str(rows[name].iloc[0])) for name in keys if name == "platform" or rows[name].iloc[0])


def _off(amount: pd.Series, cell: npt.NDArray[np.int64]) -> Array:
    """ln of each row's amount over its cell's median; 0 where its cell is of few rows, or varies by as much anyway.

    0 in all rows where too few of them are off for a run.
    """
    log = np.log(amount)
    by = log.groupby(cell)
    off = log - by.transform("median")
    if (off.abs() >= math.log(JUMP)).sum() < LASTS:
        return np.zeros(len(off))
    usual = 1.4826 * off.abs().groupby(cell).transform("median")
    return np.where((by.transform("size") >= LEAST_ROWS) & (off.abs() > USUAL * usual), off, 0.0)


def _both(one: Array, other: Array) -> Array:
    """The one that is nearer to 0 where both are off in one direction, else 0."""
    return np.where(one * other > 0, np.where(np.abs(one) < np.abs(other), one, other), 0.0)


def _run(off: Array, cell: npt.NDArray[np.int64]) -> slice | None:
    """The longest run of `LASTS` or more rows of a cell that are off by `JUMP`, in one direction."""
    side = np.sign(off) * (np.abs(off) >= math.log(JUMP))
    if np.count_nonzero(side) < LASTS:
        return None
    edges = np.flatnonzero((np.diff(side) != 0) | (np.diff(cell) != 0)) + 1
    starts, ends = np.r_[0, edges], np.r_[edges, len(side)]
    length = np.where(side[starts] != 0, ends - starts, 0)
    longest = int(length.argmax())
    return slice(int(starts[longest]), int(ends[longest])) if length[longest] >= LASTS else None
