"""A row for each figure, a column for each day: the same history, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.schema import DataError
from tests.unit.crossmix.sources.history.test_load import FIGURES, PLAIN, assert_same, taken, written

NAMES = ("Cost", "Impr.", "Clicks", "Conversions", "Conv. value")


def long(metric: str = "metric", value: str = "value", names: tuple[str, ...] | list[str] = FIGURES) -> pd.DataFrame:
    table = PLAIN.melt(["date", "platform"], FIGURES, metric, value)
    return table.assign(**{metric: table[metric].map(dict(zip(FIGURES, names, strict=True)))})


LONG = {
    "metric and value": long(),
    "names of an export": long("Metric name", "Metric value", NAMES),
    "measures": long("Measure Names", "Measure Values"),
    "German": long("KPI", "Wert", ("Kosten", "Impressionen", "Klicks", "Conversions", "Umsatz")),
    "shuffled": long().sample(frac=1, random_state=0),
    "a unit": long().assign(unit=lambda t: ["EUR" if name in {"spend", "revenue"} else "#" for name in t["metric"]]),
    "other metrics": pd.concat([long(), long().query("metric == 'spend'").assign(metric="ctr", value=0.02)]),
    "a total": pd.concat(
        [long(), long().groupby(["date", "metric"], as_index=False)["value"].sum().assign(platform="Total")]
    ),
    "platform in the metric": long()
    .assign(metric=lambda t: t["platform"] + " " + t["metric"])
    .drop(columns="platform"),
    "in thousands": long().assign(
        value=lambda t: t["value"].where(t["metric"] != "spend", t["value"] / 1000),
        metric=lambda t: t["metric"].replace("spend", "Spend (k€)"),
    ),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_row_for_each_figure(kind: str, tmp_path: Path) -> None:
    history = taken(written(tmp_path, LONG[kind].to_csv(index=False)))
    assert_same(history)
    assert any("has a row for each figure" in note for note in history.notes)


def across(table: pd.DataFrame) -> pd.DataFrame:
    return table.pivot(index=["platform", "metric"], columns="date", values="value").reset_index()


@pytest.mark.parametrize("merged", [False, True])
def test_a_column_for_each_day(merged: bool, tmp_path: Path) -> None:
    table = across(long()).assign(Total=1.0)
    if merged:
        table["platform"] = table["platform"].where(~table["platform"].duplicated(), "")
    history = taken(written(tmp_path, table.to_csv(index=False)))
    assert_same(history)
    assert any("a column for each of 40 days" in note for note in history.notes)


SENTENCES = {
    "two values": (
        pd.concat([long(), long().assign(value=1)]),
        r"spend: .* two values of it for the same row \(2025-01-06, search: .*or leave out the older rows",
    ),
    "one figure": (long().query("metric == 'spend'"), r"value: .* one column of figures .*rows with a column `metric`"),
    "spend by day": (
        PLAIN.pivot(index="platform", columns="date", values="spend").reset_index(),
        r"value: .* one column of figures",
    ),
    "months": (
        pd.DataFrame({"platform": ["search"], "Jan 2025": [1], "Feb 2025": [2]}),
        r"date: .* a column for each month \('Jan 2025', 'Feb 2025'\).*export it by day",
    ),
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_what_is_not_certain_is_refused(kind: str, tmp_path: Path) -> None:
    table, message = SENTENCES[kind]
    with pytest.raises(DataError, match=message):
        taken(written(tmp_path, table.to_csv(index=False)))
