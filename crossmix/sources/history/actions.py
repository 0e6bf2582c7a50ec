"""Rows that are told apart by what was counted, as actions or attribution windows: their sums count twice.

Parts of a day, as ad groups, have each their money. Where rows of a day have the same money, or results and none, a
report was made by conversion action, by attribution window, or joined with another table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crossmix.schema import DataError
from crossmix.sources.history.columns import plain
from crossmix.sources.history.numbers import values

DELIVERY = ("spend", "impressions", "clicks")
LEAST = 5
"""Days of a platform and campaign in several rows that tell it."""
NEARLY_ALL = 0.9
MATTERS = 0.02
"""Part of all conversions that a doubt must be about."""
MOST_KINDS = 60
_RESULTS = frozenset(("results", "ergebnisse", "résultats", "resultados", "risultati", "resultaten", "resultat"))
"""Columns that count what each campaign is made for."""
_KIND = re.compile(
    r"\bresult (indicator|type)|ergebnis(typ|indikator)|type de résultat|tipo (de resultado|di risultato)"
)
_REMEDY = "say --set data.repeated=add if they are parts of a day"


def check_parts(whole: pd.DataFrame, key: Sequence[str], parts: Sequence[str]) -> None:
    """Raise `DataError` where rows of a day of a platform and campaign have one money, or results without any.

    Args:
        whole: the history's columns as text, and those that are not read.
        key: of date, platform and campaign those that are there.
        parts: columns that tell its rows apart.
    """
    shared = whole[whole.duplicated(list(key), keep=False)]
    names = [name for name in parts if not name.endswith(" as written")]
    if shared.empty or not names:
        return
    amounts = pd.DataFrame({name: np.nan_to_num(values(shared[name].tolist())) for name in (*DELIVERY, "conversions")})
    amounts.index = shared.index
    _check_one_money(shared, amounts, list(key), names)
    for name in names:
        _check_unpaid(shared[name], amounts, name)


def _check_one_money(shared: pd.DataFrame, amounts: pd.DataFrame, key: list[str], names: Sequence[str]) -> None:
    paid = (amounts[list(DELIVERY)] > 0).all(axis=1)
    by = amounts[paid].groupby([shared.loc[paid, name] for name in key])
    several = by.size() > 1
    if several.sum() < LEAST:
        return
    same = (by[list(DELIVERY)].nunique() == 1).all(axis=1)[several]
    first = by["spend"].first()[several]
    if same.mean() < NEARLY_ALL or first[same].round(2).nunique() <= same.sum() / 2:
        return
    where = ", ".join(map(str, np.atleast_1d(np.asarray(same.index[0], dtype=object))))
    raise DataError(
        f"spend: rows of a day have the same spend, impressions and clicks ({where}: spend {first.iloc[0]:,.2f} in "
        f"{by.size()[several].iloc[0]} rows) and differ in {_listed(names)}; the money would count as often: export "
        f"without that column, keep the rows of one of its values, or {_REMEDY}"
    )


def _check_unpaid(kinds: pd.Series, amounts: pd.DataFrame, name: str) -> None:
    sums = amounts.groupby(kinds.map(str.strip)).sum()
    earning = sums[sums["conversions"] > 0]
    unpaid = earning[(earning[list(DELIVERY)] == 0).all(axis=1)]
    if (
        len(earning) < 2
        or len(earning) > MOST_KINDS
        or unpaid["conversions"].sum() <= MATTERS * sums["conversions"].sum()
    ):
        return
    shown = ", ".join(f"{kind!r} {count:,.0f}" for kind, count in earning["conversions"].nlargest(4).items())
    raise DataError(
        f"conversions: {name.removeprefix('other ')!r} tells rows of a day apart, and some of its values have results "
        f"and no money ({shown} conversions); different actions, or one counted in several ways, would be added up: "
        f"keep the rows of the action that counts (and those with the money), or {_REMEDY}"
    )


def check_kinds(header: str, conversions: Sequence[str], others: Mapping[str, Sequence[str]], mapped: bool) -> None:
    """Raise `DataError` where a column counts another thing in each campaign, as `Results` of Meta's exports.

    Args:
        header: the name of the column of conversions.
        conversions: its values, plain.
        others: columns that are not read.
        mapped: the user named that column.
    """
    if mapped or plain(header) not in _RESULTS:
        return
    counts = np.nan_to_num(values(conversions))
    for name, texts in others.items():
        if not _KIND.search(plain(name)):
            continue
        sums = pd.Series(counts).groupby([text.strip() for text in texts]).sum().drop("", errors="ignore")
        sums = sums[sums > MATTERS * counts.sum()].sort_values(ascending=False)
        if len(sums) > 1:
            shown = ", ".join(f"{kind!r} {count:,.0f}" for kind, count in sums.head(4).items())
            raise DataError(
                f"conversions: {header!r} counts different things ({name!r}: {shown}), which cannot be compared: "
                "export the column of one action, as Purchases or Leads, and name it (--map conversions=NAME); if they "
                f"are worth the same, say --map 'conversions={header}'"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name.removeprefix("other ")) for name in names[:4])
