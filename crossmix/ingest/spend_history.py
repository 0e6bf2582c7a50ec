"""Ingest of a spend history: totals per campaign, platform and day take the place of impressions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from crossmix.artifacts import IngestReport
from crossmix.config import Data, digest
from crossmix.ingest import bookings, budget_moved, plans, quarantined, stepped, unripe, untracked, whole_days
from crossmix.ingest import history_tables as history
from crossmix.ingest.clean import Clean, Spent, clean, clean_optional, grouped_platforms, plan_rules
from crossmix.ingest.dataset import days_of, plans_from_spend, write_creatives
from crossmix.ingest.engine import cleaning_settings
from crossmix.ingest.timeline import Timeline, first_cycles
from crossmix.market.fit import promotions
from crossmix.schema import BOOKED, DERIVED, OUTCOMES, PLANS, QUARANTINE, DataError, Meta
from crossmix.sources import Raw
from crossmix.sources.history import accounts
from crossmix.sources.tables import arrow_schema

KEY = ("campaign_id", "platform", "date")


def ingest_history(raw: Raw, data: Data, out: Path, *, told_alone: bool = False) -> Meta:
    """`ingest_raw` for daily totals: `outcomes` takes the place of impressions and sequences (`sources.history`)."""
    outcomes, frame, empty = _cleaned(raw)
    sound, unknown = frame, bookings.untold(frame)
    frame, blanks = bookings.filled(frame, unknown)
    shares = quarantined.weighed(outcomes.lost, _sound(frame), outcomes.rejected, data)
    frame, left_out = whole_days.whole(frame)
    money = float(frame["spend"].sum())
    frame, parts = bookings.apart(frame, unknown)
    measured, unmeasured = untracked.known(frame, data, blanks)
    results = len(blanks.difference(frame.index.difference(measured.index)))
    lost = accounts.gone(frame, measured, outcomes.rejected, data)
    frame = measured
    last = frame["date"].max()
    parts = bookings.until(parts, last)
    days = history.days_per_row(frame["date"])
    timing, fragment = _timeline(frame["date"], days, data)
    first, hours, cycles = timing.start.date(), timing.hours, timing.cycles
    frame = frame[frame["date"] >= first]
    silent = bookings.names(parts)
    named = {name: group for name, group in data.platform_groups.items() if name not in silent}
    window = max(1, round(data.today_days * 24 / hours))
    since = first + timedelta(days=(cycles - min(window, cycles)) * hours // 24)
    training = first + timedelta(hours=hours * timing.first_cycle["validation"])
    spent = _spent(sound[sound["platform"].isin(frame["platform"].unique()) & (sound["date"] <= last)], training, since)
    platforms, group, grouping = grouped_platforms(spent, replace(data, platform_groups=named))
    together = history.together(frame, group, since)
    history.check_other(together, len(set(group)), data)
    own = sorted(frame["campaign_id"].unique())
    account = accounts.groups(own, data)
    summed, partial = accounts.added(frame, lost, account)
    table, left = history.totals(summed, group, first, hours // 24, timing.first_cycle, data.holdout_days)
    history.check_market(table, platforms, parts)
    campaigns = sorted(set(table["campaign_id"]))

    known = plans.entered(raw.plans, silent)
    planned = clean_optional(known, PLANS, "plans", KEY, lambda t: plan_rules(t, set(group), own))
    rejected = [*outcomes.rejected, *(planned.rejected if planned else ())]
    pq.write_table(pa.Table.from_pylist(rejected, schema=arrow_schema(QUARANTINE)), out / "quarantine.parquet")
    unplanned = 0
    if planned is not None or not told_alone:
        amounts, unplanned = _plans(planned, frame)
    if not told_alone:
        amounts["campaign_id"] = amounts["campaign_id"].map(account)
        _write(out, plans.grouped(history.daily_plans(amounts, days), group), table)

    held = history.held(parts, money, since, min(window, cycles))
    stopped = history.stopped(table, platforms, cycles, window)
    ended = history.ended(table, cycles, window)
    alone = accounts.alone(table, [one.campaign for one in ended], data)
    found = bookings.corrections(frame, left)
    blank = {"rows": empty, "results": results, "plans": unplanned}
    late = [*((*whole_days.behind(frame), *unripe.told(frame)) if days == 1 else ()), *stepped.told(frame, days)]
    late += budget_moved.told(frame, window) if hours == 24 else []
    unmeasured += [*partial, *accounts.mixed(frame, account, since)]
    told = [*left_out, *unmeasured, *late, *(one.sentence for one in together), *history.told(found, frame, blank)]
    told += _promotions(table, first, hours, cycles, window)
    told += [one.sentence for one in held] + [one.sentence for one in stopped] + [one.sentence for one in ended]
    provenance = dict(raw.provenance)
    notes = [*history.notes(cycles, hours, data.holdout_days, table), *told]
    if fragment:
        notes.append(f"The first {fragment} days are left out: cycles are whole, and end with the last day.")
    if planned is None:
        provenance |= plans_from_spend()
        notes.append("The history has no column `planned`: a day's plan is what it spent, and there are no limits.")
    notes += grouping
    notes += [] if alone is None else [alone.sentence]
    counts = dict(sorted(Counter(row["code"] for row in rejected).items()))
    filled = {"rows_without_numbers": empty, "blank_results": results, "unknown_plans": unplanned}
    meta = Meta(
        source=data.source,
        generated=raw.generated,
        currency=raw.currency,
        platforms=tuple(platforms),
        campaigns=tuple(campaigns),
        start=timing.start.isoformat(),
        cycle_hours=hours,
        cycles=cycles,
        first_cycle=timing.first_cycle,
        modalities=(),
        provenance=provenance,
        weekday_pattern=hours == 24,
        digest=digest({"raw": raw.digest, "data": cleaning_settings(data)}),
        notes=(*raw.notes, *notes),
        rows={
            "read": outcomes.rows + outcomes.duplicates + empty,
            "ingested": outcomes.rows - len(outcomes.rejected),
            "duplicates": outcomes.duplicates,
            "quarantined": counts,
            "quarantined_spend": shares,
            "imputed": {"conversions_beyond_clicks": found.beyond} | {name: n for name, n in filled.items() if n},
        },
        aggregate=True,
        today_cycles=window,
        held=held,
        stopped=stopped,
        ended=ended,
        grouped=together,
        joined=accounts.joined(account),
        alone=alone,
    )
    meta.save(out)
    lines = [*quarantined.lines(counts, shares), *told]
    IngestReport.of(history.report(table, meta) | {"told": lines}).save(out)
    return meta


def _cleaned(raw: Raw) -> tuple[Clean, pd.DataFrame, int]:
    """What was found of rows that break a rule; the sound ones; and how many rows have no number at all.

    Names are categories, as every sum from here on is by them.
    """
    if raw.sound is not None:
        return Clean(table=None, rows=len(raw.sound), duplicates=0, rejected=[]), raw.sound, raw.blank
    entries, empty = bookings.entries(raw.outcomes)
    outcomes = clean(entries, BOOKED, "outcomes", KEY, bookings.rules, money="spend")
    frame = outcomes.table.to_pandas()
    frame["date"] = days_of(frame["date"])
    for name in ("campaign_id", "platform"):
        frame[name] = pd.Categorical(frame[name])
    return outcomes, frame, empty


def _spent(rows: pd.DataFrame, training: date, since: date) -> dict[str, Spent]:
    """Spend by platform before a day on which training ends, since today's window begins, and in all."""
    early, late = rows["date"] < training, rows["date"] >= since
    parts = pd.DataFrame(
        {"training": rows["spend"].where(early, 0.0), "recent": rows["spend"].where(late, 0.0), "whole": rows["spend"]}
    )
    sums = parts.groupby(rows["platform"], observed=True).sum()
    return {str(name): Spent(*map(float, row)) for name, row in zip(sums.index, sums.to_numpy(), strict=True)}


def _promotions(table: pd.DataFrame, first: date, hours: int, cycles: int, window: int) -> list[str]:
    """Sentences of the cycles that the fit will leave out (`crossmix.market.fit.promotions`)."""
    names = ("spend", "conversions")
    sums = {
        name: table.pivot_table(name, "cycle", "platform", "sum", observed=True).reindex(range(cycles))
        for name in names
    }
    totals = {name: sums[name].fillna(0.0).to_numpy(float)[:, None] for name in names}
    weekday_T = (first.weekday() + np.arange(cycles)) % 7 if hours == 24 else None
    found = promotions.promotions(totals, np.ones(cycles, bool), weekday_T, window)
    return promotions.told(found, first, hours // 24)


def _sound(frame: pd.DataFrame) -> dict[str, quarantined.Sound]:
    """The kept rows by platform."""
    sums = frame.groupby("platform", observed=True)["spend"].agg(["size", "sum"])
    return {str(name): quarantined.Sound(int(row["size"]), float(row["sum"])) for name, row in sums.iterrows()}


def _plans(planned: Clean | None, frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Planned budgets of the history's rows, and how many rows had none; the spend where no row has one."""
    spend = frame.groupby(list(KEY), sort=True, observed=True)["spend"].sum().clip(lower=0.0).reset_index()
    if planned is None:
        return spend.rename(columns={"spend": "planned_budget"}), 0
    amounts = planned.table.to_pandas()
    amounts["date"] = days_of(amounts["date"])
    return plans.completed(amounts, spend)


def _write(out: Path, budget: pd.DataFrame, table: pd.DataFrame) -> None:
    """The dataset's tables of rows."""
    tables = (("plans", PLANS, budget), ("outcomes", (*OUTCOMES, *DERIVED), table))
    for name, columns, frame in tables:
        frame = frame.astype(dict.fromkeys(frame.select_dtypes("category"), object))
        whole = pa.Table.from_pandas(frame, schema=arrow_schema(columns), preserve_index=False)
        pq.write_table(whole, out / f"{name}.parquet")
    write_creatives(None, out)


def _timeline(dates: pd.Series, days: int, data: Data) -> tuple[Timeline, int]:
    """The history cut into cycles of whole rows that end with its last; and how many first days are no whole cycle.

    Args:
        days: of a row.

    Raises:
        DataError: cycles that cut a row, or too few of them.
    """
    hours = data.cycle_hours or 24 * days
    if hours % (24 * days):
        raise DataError(
            f"data.cycle_hours: {hours} h; a history of {days} day(s) a row needs a multiple of {24 * days} h, or none"
        )
    known = sorted(dates.unique())
    span = (known[-1] - known[0]).days + days
    cycles, fragment = divmod(span, hours // 24)
    first: date = known[0] + timedelta(days=fragment)
    history.check_length(cycles, hours // 24, [day for day in known if day >= first] or known)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return Timeline(start, hours, cycles, first_cycles(cycles, data)), fragment
