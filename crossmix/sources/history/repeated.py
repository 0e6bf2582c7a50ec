"""Rows that share date, platform and campaign: parts that are added up, or newer figures that replace older ones.

Rows that another column tells apart (an ad group, a device, an hour) are parts. Rows of two exports, which lie in two
blocks of a file or in two files, with the same spend to a few per cent are restated: the later one counts. Neighbouring
rows with spends of their own are parts. What is neither is asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pandas as pd

from crossmix.schema import DataError
from crossmix.sources.history import actions, dates
from crossmix.sources.history.columns import NUMBERS, PLANNED, plain

KEY = ("date", "platform", "campaign")
ADD, NEWEST = "add", "newest"
SAME = math.log(1.1)
"""Restated spends differ by less (their median): spend hardly changes after the day, conversions do."""
MOST_BLOCKS = 12
"""So many exports may be stacked in one file."""
_STAMP = re.compile(
    r"\b(updated|extracted|synced|exported|loaded|emitted|modified|downloaded|snapshot|ingested|fetched|exportiert|"
    r"aktualisiert)\b"
)
_HOUR = re.compile(r"\b(hour|hr|hours|stunde|heure|hora|ora|uur|time of day|час|godzina|saat|時間)\b")
_CLOCK = re.compile(r"[T ,](\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?\s*(?:([AaPp])\.?[Mm])?")
_OLD = re.compile(
    r"(?<![^\W_])(old|older|backup|bak|copy|previous|prev|archived?|outdated|alt|kopie|archiv|copie|ancien|copia|viejo)(?![^\W_])",
    re.IGNORECASE,
)
"""How a sheet is called that another has taken the place of."""
_ID = re.compile(
    r"\b(id|ids|number|nr)$|^(?:(?:ad|google ads|customer|client|advertiser) )?(?:account|konto|compte|cuenta|conta|"
    r"rekening|аккаунт|アカウント|계정|账户|帳戶)(?: (?:name|no|code|nummer))?$|^(?:customer|client|advertiser|kunde)$"
)
"""Columns whose numbers name something, as accounts."""
_NUMBER = re.compile(r"[-+()$€£¥%\s\d.,']*")


@dataclass(slots=True)
class Rows:
    """The rows of all sheets, as text."""

    columns: dict[str, list[str]]
    """The history's, with plain numbers and dates."""
    others: dict[str, list[str]]
    """Columns that are not read, and dates and names as they were: what may tell parts apart."""
    sheet: list[int]
    """Which sheet a row comes from, older ones first."""
    named: Sequence[str] = ()
    """The sheets' names."""
    alike: Sequence[int] = ()
    """For each sheet a number that it shares with those of which nothing tells which is newer."""
    notes: list[str] = field(default_factory=list)


def settle(rows: Rows, rule: str | None) -> dict[str, list[str]]:
    """One row for each date, platform and campaign; `rows.notes` gets a sentence for what was done.

    Args:
        rule: `data.repeated`: `add` or `newest` for what is not certain; `None`: ask.

    Raises:
        DataError: it is not certain.
    """
    key = [name for name in KEY if name in rows.columns]
    if len(set(zip(*(rows.columns[name] for name in key), strict=True))) == len(rows.sheet):
        return rows.columns
    frame = pd.DataFrame(rows.columns, dtype=object)
    others = pd.DataFrame({f"other {name}": values for name, values in rows.others.items()}, index=frame.index)
    whole = pd.concat([frame, others, pd.Series(rows.sheet, index=frame.index, name="sheet")], axis=1)
    whole["place"] = range(len(whole))
    raw = [name for name in whole.columns if name not in {"place", "sheet"}]
    copies = whole.duplicated(raw)
    if copies.any():
        rows.notes.append(f"{int(copies.sum()):,} row(s) are exact copies of others and count once.")
        whole = whole[~copies]
    sound = whole[key].ne("").all(axis=1)
    whole, rest = whole[sound], whole[~sound]
    stamps, parts = _telling(whole, key)
    whole = _newest_stamp(whole, [*key, *parts], stamps, rows.notes)
    if rule is None:
        _check_order(whole, [*key, *parts], rows)
    whole = _restated(whole, key, parts, rule, rows.notes)
    if rule is None:
        actions.check_parts(whole, key, parts)
    whole = _added(whole, key, parts, rows.notes)
    settled = pd.concat([whole, rest]).sort_values("place")
    return {name: settled[name].tolist() for name in rows.columns}


def _telling(whole: pd.DataFrame, key: list[str]) -> tuple[list[str], list[str]]:
    """Columns that say when a row was exported, and columns that tell parts apart; only of rows that share a key."""
    shared = whole[whole.duplicated(key, keep=False)]
    stamps, parts = [], []
    for name in (name for name in whole.columns if str(name).startswith("other ")):
        if shared.groupby(key)[name].nunique().max() < 2:
            continue  # the same within every key
        words = plain(str(name).removeprefix("other "))
        if _STAMP.search(words):
            stamps.append(name)
        elif (
            _ID.search(words)
            or _HOUR.search(words)
            or not shared[name].map(lambda text: bool(_NUMBER.fullmatch(text))).all()
        ):
            # A figure (a rate, a frequency) tells nothing apart.
            parts.append(name)
    return stamps, parts


def _newest_stamp(whole: pd.DataFrame, key: list[str], stamps: list[str], notes: list[str]) -> pd.DataFrame:
    if not stamps or not whole.duplicated(key).any():
        return whole
    times = {name: whole[name].map(_moments(whole[name], str(name).removeprefix("other "))) for name in stamps}
    newest = whole.assign(**times).sort_values([*stamps, "place"]).index
    newest = whole.loc[newest].drop_duplicates(key, keep="last").sort_values("place")
    name = str(stamps[0]).removeprefix("other ")
    notes.append(f"{len(whole) - len(newest):,} row(s) are older states of others by {name!r}: the newest counts.")
    return newest


def _moments(texts: pd.Series, name: str) -> dict[str, tuple[str, float]]:
    """When each stamp was, as what can be compared: a number, or a day and the seconds since its midnight.

    Raises:
        DataError: a stamp is none, or its day and month cannot be told apart.
    """
    unique = [str(text) for text in texts.unique()]
    filled = [text for text in unique if text.strip()]
    if all(re.fullmatch(r"\d+(\.\d+)?", text.strip()) for text in filled):
        return {text: ("", float(text or 0)) for text in unique}
    try:
        days = dict(zip(unique, dates.convert(unique, None)[0], strict=True))
    except DataError as error:
        raise DataError(f"{name}: {str(error).removeprefix('date: ')} (it says which of two rows is newer)") from None
    odd = next((text for text in filled if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", days[text])), None)
    if odd is not None:
        raise DataError(
            f"{name}: {odd!r} is no date, and it is to say which of two rows is newer; write it as YYYY-MM-DD "
            "HH:MM:SS, or leave the column out"
        )
    return {text: (days[text] if text.strip() else "", _seconds(text)) for text in unique}


def _seconds(stamp: str) -> float:
    """Since midnight; 0 where a stamp is a day."""
    found = _CLOCK.search(stamp)
    if found is None:
        return 0.0
    hour = int(found[1]) % 12 + 12 * (found[4].lower() == "p") if found[4] else int(found[1])
    return 3600.0 * hour + 60.0 * int(found[2]) + float(found[3] or 0)


def _check_order(whole: pd.DataFrame, full: list[str], rows: Rows) -> None:
    """Raise `DataError` where two sheets tell the same rows otherwise, and nothing says which is newer."""
    shared = whole[whole.duplicated(full, keep=False)]
    if shared["sheet"].nunique() < 2:
        return
    of = shared.assign(alike=shared["sheet"].map(dict(enumerate(rows.alike))))
    by = of.groupby(full)
    tied = (by["sheet"].nunique() > 1) & (by["alike"].nunique() == 1)
    if tied.mean() > 0.5:
        first = by["sheet"].unique()[tied].iloc[0]
        one, other = (rows.named[at] for at in sorted(first)[:2])
        raise DataError(
            f"date: {one!r} and {other!r} tell the same days with other figures, as two accounts or an older and a "
            f"newer export: say --set data.repeated={ADD} for accounts, {NEWEST} to take {other!r}, or leave one out"
        )


def _restated(
    whole: pd.DataFrame, key: list[str], parts: list[str], rule: str | None, notes: list[str]
) -> pd.DataFrame:
    """Drop what a later block or file says anew."""
    full = [*key, *parts]
    if not whole.duplicated(full).any():
        return whole
    block = _blocks(whole, full)
    ratio = _ratios(whole, full)
    near = bool(ratio) and sorted(ratio)[len(ratio) // 2] <= SAME
    shared = int(whole.duplicated(full, keep=False).sum())
    if rule is None and (near == (block is None)):
        # Blocks whose spends have nothing in common, or neighbours that say nearly the same.
        first = whole[whole.duplicated(full, keep=False)].sort_values([*full, "place"]).head(2)
        shown = " and ".join(f"spend {value!r}" for value in first["spend"])
        where = ", ".join(str(first.iloc[0][name]) for name in key)
        files = "; if files are of several platforms, call each after its own (google.csv, meta.csv)"
        files = files if first["sheet"].nunique() > 1 else ""
        raise DataError(
            f"date: {shared} of {len(whole)} rows share their date, platform and campaign with another row ({where}: "
            f"{shown}), and nothing tells whether they are parts of a day or one export's later word: say "
            f"--set data.repeated={ADD} for parts or --set data.repeated={NEWEST} where the later row counts, or give "
            f"a column that tells parts apart{files}"
        )
    if rule == ADD or (rule is None and block is None):
        return whole
    kept = _older_first(whole, full).drop_duplicates(full, keep="last").sort_values("place")
    span = kept.loc[kept.index.isin(whole[whole.duplicated(full, keep=False)].index), "date"]
    notes.append(
        f"{len(whole) - len(kept):,} row(s) from {span.min()} to {span.max()} are there again, restated: the later "
        "ones count."
    )
    return kept


def _older_first(whole: pd.DataFrame, full: list[str]) -> pd.DataFrame:
    """Rows of one sheet in which the newer export may stand above the older one: that of the earlier days first.

    Exports are runs of days in one direction. Runs of which one lies within another's days stay as they stand.
    """
    if whole["sheet"].nunique() > 1:
        return whole
    steps = whole["date"].rank(method="dense").diff().fillna(0)
    ascends = (steps > 0).sum() >= (steps < 0).sum()
    run = ((steps < 0) if ascends else (steps > 0)).cumsum()
    days = whole.groupby(run)["date"].agg(["min", "max"])
    if not 1 < len(days) <= MOST_BLOCKS or whole.assign(run=run).duplicated([*full, "run"]).any():
        return whole
    order = days.sort_values(["max", "min"], kind="stable")
    if not (order["min"].is_monotonic_increasing and days["max"].is_unique and days["min"].is_unique):
        return whole
    return whole.assign(run=run.map({at: rank for rank, at in enumerate(order.index)})).sort_values(["run", "place"])


def _blocks(whole: pd.DataFrame, full: list[str]) -> int | None:
    """The number of blocks without a repeated row that the rows can be cut into; `None`: too many for exports.

    Sheets are blocks of their own.
    """
    seen: set[tuple[str, ...]] = set()
    count, sheet = 1, None
    for row in zip(whole["sheet"], *(whole[name] for name in full), strict=True):
        if (sheet is not None and row[0] != sheet) or row[1:] in seen:
            seen.clear()
            count += 1
            if count > MOST_BLOCKS:
                return None
        sheet = row[0]
        seen.add(row[1:])
    repeats = int(whole.duplicated(full).sum())
    # A cut at every repeated row is no block of rows.
    return count if repeats >= 2 * (count - 1) else None


def _ratios(whole: pd.DataFrame, full: list[str]) -> list[float]:
    """|ln of spend over the spend before| within each key that is repeated."""
    shared = whole[whole.duplicated(full, keep=False)]
    spend = pd.to_numeric(shared["spend"], errors="coerce")
    ratios = []
    for values in spend.groupby([shared[name] for name in full]).agg(list):
        for before, after in pairwise(values):
            if before > 0 and after > 0:
                ratios.append(abs(math.log(after / before)))
            elif (before > 0) != (after > 0):
                ratios.append(math.inf)
    return ratios


def _added(whole: pd.DataFrame, key: list[str], parts: list[str], notes: list[str]) -> pd.DataFrame:
    """Parts of a key added up; a plan that every part repeats is one plan. A key with a word for a number stays."""
    repeated = whole.duplicated(key, keep=False)
    if not repeated.any():
        return whole
    names = [name for name in (*NUMBERS, PLANNED) if name in whole]
    shared = whole[repeated]
    values = {name: pd.to_numeric(shared[name].replace("", None), errors="coerce") for name in names}
    wrong = pd.Series(False, index=shared.index)
    for name in names:
        wrong |= values[name].isna() & shared[name].str.strip().ne("")
    bad = wrong.groupby([shared[name] for name in key]).transform("any")
    groups = [shared.loc[~bad, name] for name in key]
    by = pd.DataFrame(values)[~bad].groupby(groups, sort=False)
    sums = by.sum(min_count=1)
    if PLANNED in names:
        same = by[PLANNED].nunique(dropna=False) == 1
        sums[PLANNED] = sums[PLANNED].where(~same, by[PLANNED].first())
    first = shared[~bad].drop_duplicates(key).set_index(key)
    for name in names:
        first[name] = [_text(value) for value in sums[name].reindex(first.index)]
    told = [repr(str(name).removeprefix("other ")) for name in parts]
    by_what = f" (they differ in {', '.join(told[:4])})" if told else ""
    notes.append(
        f"{int((~bad).sum()):,} rows are parts of {len(first):,} days of a platform and campaign{by_what}; they are "
        "added up."
    )
    return pd.concat([whole[~repeated], shared[bad], first.reset_index()[whole.columns]])


def _text(value: float) -> str:
    """A sum as text, without the last bits of binary fractions."""
    return "" if math.isnan(value) else f"{value:.12g}" if abs(value) < 1e11 else repr(value)


def ordered(dates: Sequence[Sequence[str]], names: Sequence[str]) -> list[int]:
    """The order of sheets, older ones first: those that say so, then by their last day, their first and their name."""
    return sorted(range(len(names)), key=lambda at: (not _OLD.search(names[at]), *_ends(dates[at]), names[at]))


def unordered(dates: Sequence[Sequence[str]], names: Sequence[str]) -> list[int]:
    """For each sheet, in order, a number that sheets share which nothing tells the older of: same days, plain names."""
    known: dict[object, int] = {}
    return [
        known.setdefault((_ends(texts), bool(_OLD.search(name)), *re.findall(r"\d+", name)), len(known))
        for texts, name in zip(dates, names, strict=True)
    ]


def _ends(dates: Sequence[str]) -> tuple[str, str]:
    return max(dates, default=""), min(dates, default="")
