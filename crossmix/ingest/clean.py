"""Cleaning: exact duplicates dropped, rows that break a rule quarantined, gaps imputed, platforms grouped."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

from crossmix.config import Data
from crossmix.ingest.engine import materialise
from crossmix.ingest.quarantined import Lost
from crossmix.ingest.timeline import Timeline, stamp
from crossmix.schema import Column, DataError
from crossmix.sources import Table
from crossmix.sources.late import ibis
from crossmix.sources.rules import CODE, PROBLEM, Rule, check_parsed, conform, contract, mark, rejections
from crossmix.sources.tables import fetch, rounded

OTHER = "other"
"""Group of the platforms that are not kept."""


UNKNOWN = "unknown"
"""What a missing region or category becomes."""


Extra = Callable[[Table], list[Rule]]
"""Rules beyond the contract's own, for a conformed table."""

Beside = Callable[[Table], Table]
"""A conformed table with further columns."""


@dataclass(frozen=True, slots=True)
class Clean:
    """A raw table after the rules."""

    table: Table
    """The sound rows; the adapter's and the rules' own columns are gone, those from `beside` are there."""
    rows: int
    duplicates: int
    """Exact copies that were dropped."""
    rejected: list[dict[str, str]]
    """Quarantine rows."""
    lost: tuple[Lost, ...] = ()
    """Their money by reason and platform, where the table tells it."""


def clean(
    table: Table,
    columns: tuple[Column, ...],
    name: str,
    key: tuple[str, ...],
    extra: Extra | None = None,
    beside: Beside | None = None,
    money: str | None = None,
) -> Clean:
    """Drop exact duplicates and split off the rows that break a rule.

    The source is read once: its conformed rows are kept with their marks, and everything later reads those.

    Args:
        key: the columns that identify a row; rows that differ under one key are all quarantined: none can be trusted.
        extra: a function of the conformed table, giving the rules beyond the contract's own.
        beside: a function of the conformed table, adding columns that follow from a row alone and are worth keeping.
        money: the column of a row's spend, where the table has `platform` too: what is set aside is weighed by it.

    Raises:
        DataError: no row at all, no valid row, a missing column, a wrong type.
    """
    whole = conform(table, columns, name)
    rules = [*contract(whole, columns), *(extra(whole) if extra else ())]
    marked = materialise(mark(beside(whole) if beside else whole, rules))
    counts = _counts(marked)
    total = sum(counts.values())
    if not total:
        raise DataError(f"{name}: the table is empty (a header without rows?); pass a log with rows")
    once, conflicts = _once(marked, key)
    rules += conflicts
    if once is not marked:
        marked, counts = once, _counts(once)
    check_parsed({code: n for code, n in counts.items() if code}, total, marked, name)
    shown = marked.select(*[column.name for column in columns], PROBLEM, CODE)
    rejected = list(rejections(shown, rules, name)) if counts.keys() - {None} else []
    if None not in counts:
        code, count = Counter(row["code"] for row in rejected).most_common(1)[0]
        example = next(row["reason"] for row in rejected if row["code"] == code)
        raise DataError(
            f"{name}: none of {total} rows is valid; {count} are rejected as {code} ({example}); correct that field"
        )
    return Clean(
        table=marked.filter(marked[CODE].isnull()).drop(CODE, PROBLEM),
        rows=sum(counts.values()),
        duplicates=total - sum(counts.values()),
        rejected=rejected,
        lost=_lost(marked, money) if money and rejected else (),
    )


def _counts(marked: Table) -> dict[str | None, int]:
    """Rows by quarantine code; `None`: sound."""
    return {row["code"]: row["n"] for row in fetch(marked.group_by(code=marked[CODE]).agg(n=marked.count()))}


def _lost(marked: Table, money: str) -> tuple[Lost, ...]:
    """The money of the rows that break a rule."""
    bad = marked.filter(marked[CODE].notnull())
    # What is not finite tells nothing; a sum with it would not either.
    told = (bad[money].notnull() & ~bad[money].isnan() & ~bad[money].isinf()).fill_null(False)
    bad = bad.mutate(_money=ibis.ifelse(told, bad[money].abs(), 0.0), _untold=ibis.ifelse(told, 0, 1))
    sums = bad.group_by("platform", code=bad[CODE]).agg(
        rows=bad.count(), spend=bad["_money"].sum(), untold=bad["_untold"].sum()
    )
    found = [
        Lost(row["code"], row["platform"], row["rows"], rounded(row["spend"]), row["untold"]) for row in fetch(sums)
    ]
    return tuple(sorted(found, key=lambda one: (one.code, one.platform or "")))


def _once(marked: Table, key: tuple[str, ...]) -> tuple[Table, list[Rule]]:
    """Every distinct row once, those that differ under one key marked; and the rule that they break, where any could.

    Only rows whose key occurs again are compared as a whole: the rest of a log, nearly all of it, is told apart by its
    keys, and stays where it is.
    """
    repeated = marked.group_by(*key).agg(_copies=marked.count()).filter(ibis._["_copies"] > 1).select(*key).cache()
    if not repeated.count().execute():
        return marked, []
    # A key with a null is found in no join.
    known = reduce(operator.and_, [marked[name].notnull() for name in key])
    distinct = marked.semi_join(repeated, list(key)).union(marked.filter(~known)).distinct()
    counted = distinct.group_by(*key).agg(_versions=distinct.count())
    several = counted["_versions"] > 1
    rule = Rule(several, f"{key[0]}_conflict", key, "rows that differ share this key; keep the right one")
    twice = counted.filter(several).select(*key, _conflict=ibis.literal(rule.code))
    joined = distinct.left_join(twice, list(key))
    resolved = joined.select(
        **{name: distinct[name] for name in marked.columns} | {CODE: distinct[CODE].fill_null(twice["_conflict"])}
    ).cache()
    return marked.filter(known).anti_join(repeated, list(key)).union(resolved), [rule]


def impression_rules(t: Table) -> list[Rule]:
    """Rules between the columns of an impression."""
    early = t["conversion_timestamp"] < t["timestamp"]
    unearned = ~t["converted"] & (t["revenue"] > 0)
    # A second price is below the bid; the tolerance is for logs that round.
    above = t["price_paid"] > t["bid_price"] * (1 + 1e-6)
    clocks = ("timestamp", "conversion_timestamp")
    return [
        Rule(early, "clock_out_of_order", clocks, "a conversion cannot come before its impression; correct the clock"),
        Rule(unearned, "revenue_without_conversion", ("converted", "revenue"), "revenue needs a conversion"),
        Rule(above, "price_above_bid", ("bid_price", "price_paid"), "a second price is at most the bid"),
    ]


def plan_rules(t: Table, platforms: Iterable[str], campaigns: Iterable[str]) -> list[Rule]:
    """Rules of a plan row, given the log's platforms and campaigns."""
    shown = ", ".join(sorted(platforms)[:12])
    return [
        Rule(
            t["platform"].notin(sorted(platforms)),
            "unknown_platform",
            ("platform",),
            f"not in the log, which has {shown}",
        ),
        Rule(t["campaign_id"].notin(sorted(campaigns)), "unknown_campaign", ("campaign_id",), "not in the log"),
        Rule(t["min"] > t["max"], "min_above_max", ("min", "max"), "the floor is above the cap; lower one"),
    ]


def known_creatives(table: Table, creatives: Table | None) -> Table:
    """A creative that is not in the creatives table becomes null."""
    marked = _stray(table, creatives)
    kept = ibis.ifelse(marked["_stray"], ibis.null("string"), marked["creative_id"])
    return marked.mutate(creative_id=kept).drop("_stray")


def _stray(table: Table, creatives: Table | None) -> Table:
    """Add `_stray`: the row names a creative that is not in the creatives table."""
    if creatives is None:
        return table.mutate(_stray=table["creative_id"].notnull())
    # A join, as a list of ids would grow the query with the number of creatives.
    found = creatives.select(_creative=creatives["creative_id"])
    joined = table.left_join(found, table["creative_id"] == found["_creative"])
    return joined.mutate(_stray=joined["creative_id"].notnull() & joined["_creative"].isnull()).drop("_creative")


def impute(table: Table, creatives: Table | None, data: Data) -> tuple[Table, dict[str, int], list[str]]:
    """Fill what may be filled, apply the attribution window; with the count of each and a note for the report.

    Creatives are as they were: only who writes them down needs `known_creatives`, which is a join.
    """
    window = ibis.interval(seconds=round(data.attribution_days * 86_400))
    flags = table.mutate(
        _unplaced=table["region"].isnull(),
        _view=table["converted"] & ~table["clicked"],
        _late=(table["converted"] & (table["conversion_timestamp"] > table["timestamp"] + window)).fill_null(False),
    )
    names = {"region": "_unplaced", "creative_id": "_stray", "view_through": "_view", "late_conversions": "_late"}
    counted = _stray(flags, creatives)
    sums = {name: counted[flag].cast("int64").sum() for name, flag in names.items()}
    counts = fetch(counted.agg(**sums, total=counted.count()))[0]
    total = counts.pop("total")
    kept = flags["converted"] & ~flags["_view"] & ~flags["_late"]
    moment = flags["conversion_timestamp"]
    result = flags.mutate(
        region=flags["region"].fill_null(UNKNOWN),
        converted=kept,
        revenue=ibis.ifelse(kept, flags["revenue"], 0.0),
        conversion_timestamp=ibis.ifelse(kept, moment, ibis.null(moment.type())),
    ).drop("_unplaced", "_view", "_late")
    imputed = {name: int(count) for name, count in counts.items()}
    sentence = {
        "region": f"have no region; imputed as {UNKNOWN!r}",
        "creative_id": "name a creative that is not in the creatives table; their image and copy are masked",
        "view_through": "converted without a click; only conversions after a click count here",
        "late_conversions": f"converted after the attribution window ({data.attribution_days:g} days); not counted",
    }
    notes = [f"{n:,} of {total:,} impressions {sentence[name]}." for name, n in imputed.items() if 0 < n < total]
    return result, imputed, notes


@dataclass(frozen=True, slots=True)
class Spent:
    """A platform's money, currency."""

    training: float
    """In the training period."""
    recent: float
    """Of a spend history since today's window begins, of a log in the training period."""
    whole: float
    """Of a spend history in all, of a log in the training period."""


def platform_groups(table: Table, cycles: Timeline, data: Data) -> tuple[list[str], dict[str, str], list[str]]:
    """`grouped_platforms` of a log, by the spend of its training period."""
    end = cycles.start + timedelta(hours=cycles.hours * cycles.first_cycle["validation"])
    training = ibis.ifelse(table["timestamp"] < stamp(end), table["price_paid"], 0.0)
    sums = {row["platform"]: row["spend"] or 0.0 for row in fetch(table.group_by("platform").agg(spend=training.sum()))}
    return grouped_platforms({name: Spent(spend, spend, spend) for name, spend in sums.items()}, data)


def grouped_platforms(rows: Mapping[str, Spent], data: Data) -> tuple[list[str], dict[str, str], list[str]]:
    """Group platforms as `data.platform_groups` says, then keep those with most spend.

    The platforms with most recent spend are kept, then those with most in all: one that began late may be the largest.

    Returns:
        The groups by that spend, `other` last; which of them each raw platform goes by; notes for the report.

    Raises:
        DataError: the config groups a platform that is not in the log.
    """
    spent = {name: row.training for name, row in rows.items()}
    unknown = sorted(set(data.platform_groups) - set(spent))
    if unknown:
        raise DataError(
            f"data.platform_groups: {unknown[0]!r} is not a platform of the log, which has "
            f"{', '.join(sorted(spent)[:20])}; drop it or correct its name"
        )
    group = {name: data.platform_groups.get(name, name) for name in sorted(spent)}
    total: dict[str, float] = dict.fromkeys(group.values(), 0.0)
    for name, amount in spent.items():
        total[group[name]] += amount
    ranked = sorted(total, key=lambda name: (name == OTHER, -rounded(total[name]), name))
    notes = (
        [f"Platforms are grouped by the config: {members}."] if (members := group_members(data.platform_groups)) else []
    )
    if len(ranked) > data.keep_platforms:
        named = [name for name in ranked if name != OTHER]

        def order(name: str) -> tuple[float, float, int]:
            own = [row for raw, row in rows.items() if group[raw] == name]
            recent, whole = (
                rounded(sum(money)) for money in zip(*((one.recent, one.whole) for one in own), strict=True)
            )
            return -recent, -whole, named.index(name)

        first = sorted(named, key=order)
        rest = set(first[data.keep_platforms - 1 :])
        kept = [name for name in named if name not in rest]
        notes.append(f"{len(ranked) - len(kept)} platforms with the least spend are grouped as {OTHER!r}.")
        group = {name: OTHER if to in rest else to for name, to in group.items()}
        ranked = [*kept, OTHER]
    return ranked, group, notes


def group_members(groups: dict[str, str]) -> str:
    """Each group with the raw platforms in it, as a sentence shows them."""
    names = sorted(set(groups.values()))
    return "; ".join(f"{to} = {', '.join(sorted(raw for raw in groups if groups[raw] == to))}" for to in names)


def clean_optional(
    table: Table | None, columns: tuple[Column, ...], name: str, key: tuple[str, ...], extra: Extra | None = None
) -> Clean | None:
    return None if table is None else clean(table, columns, name, key, extra)
