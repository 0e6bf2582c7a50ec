"""A column for each platform: as many rows as platforms."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history.wide import parted
from tests.unit.crossmix.sources.history.test_load import FIGURES, PLAIN, assert_same, taken, written


def wide(form: str) -> pd.DataFrame:
    table = PLAIN.pivot_table(index="date", columns="platform", values=FIGURES, aggfunc="first")
    table.columns = [form.format(platform=platform, figure=figure) for figure, platform in table.columns]
    return table.reset_index()


@pytest.mark.parametrize("form", ["{platform}_{figure}", "{figure} ({platform})", "{figure} - {platform}"])
def test_every_platform_gets_its_rows(form: str, tmp_path: Path) -> None:
    history = taken(written(tmp_path, wide(form).to_csv(index=False)))
    assert_same(history)
    assert any("each row is read as 2 rows (search, social)" in note for note in history.notes)


def test_a_total_beside_them_is_left_out(tmp_path: Path) -> None:
    table = wide("{platform}_{figure}").assign(total_spend=1.0, Remarks="none")
    history = taken(written(tmp_path, table.to_csv(index=False)))
    assert_same(history)
    told = "Columns of 'history' that are of no platform with spend are not read: 'total_spend', 'Remarks'."
    assert told in history.notes


@pytest.mark.parametrize(
    ("form", "name"), [("{} Search {}", "{} Search"), ("{}_ads_{}", "{}_ads"), ("{}-x: {}", "{}-x")]
)
def test_a_platform_is_called_as_its_columns_call_it(form: str, name: str, tmp_path: Path) -> None:
    history = taken(written(tmp_path, wide(form.format("{platform}", "{figure}")).to_csv(index=False)))
    assert_same(history, PLAIN.assign(platform=[name.format(platform) for platform in PLAIN["platform"]]))


def test_columns_that_spell_a_platform_otherwise_are_its_own(tmp_path: Path) -> None:
    table = wide("{platform} Ads {figure}").rename(columns={"search Ads clicks": "Clicks (SEARCH_ads)"})
    history = taken(written(tmp_path, table.to_csv(index=False)))
    assert len(set(history.columns["platform"])) == 2
    assert sum(map(float, history.columns["clicks"])) == PLAIN["clicks"].astype(float).sum()


def test_results_of_all_platforms_together_cannot_be_split(tmp_path: Path) -> None:
    table = wide("{platform}_{figure}").drop(columns=["search_revenue", "social_revenue"]).assign(revenue=100.0)
    with pytest.raises(
        DataError, match=r"revenue: .* one column of it for all platforms \(search, social\); .*experiment"
    ):
        taken(written(tmp_path, table.to_csv(index=False)))


def test_a_name_is_parted_into_platform_and_figure() -> None:
    assert parted("google_ads_spend") == ("google_ads", "spend")
    assert parted("Conv. value (Meta)") == ("Meta", "revenue")
    for name in ("Ad group", "Avg. cost", "Cost per click", "Cost / conv."):
        assert parted(name) is None


def test_a_platform_whose_name_ends_like_a_figure(tmp_path: Path) -> None:
    """`Google Ads clicks` has `Ads clicks` of GA4 in it, `Google Ads spend` has not."""
    history = taken(written(tmp_path, wide("{platform} Ads {figure}").to_csv(index=False)))
    assert_same(history, PLAIN.assign(platform=PLAIN["platform"] + " Ads"))


@pytest.mark.parametrize(
    ("money", "rates"),
    [
        ("Montant dépensé (EUR)", ("Coût par résultat (EUR)", "Coût par achat (EUR)", "Coût par clic (EUR)")),
        ("Importe gastado (EUR)", ("Costo por resultado (EUR)", "Costo por compra (EUR)")),
        ("Ausgegebener Betrag (EUR)", ("Kosten pro Ergebnis", "Kosten je Kauf", "Kosten pro Klick")),
        ("Custo", ("Custo por resultado", "Custo médio", "Custo por conversão")),
        ("Koszt", ("Koszt za wynik", "Koszt za zakup")),
    ],
)
def test_rates_of_one_platform_are_no_platforms(money: str, rates: tuple[str, ...], tmp_path: Path) -> None:
    """A cost per result and one per purchase are of one platform, not of two."""
    for platform, rows in PLAIN.groupby("platform"):
        table = rows.drop(columns="platform").rename(columns={"spend": money})
        table.assign(**dict.fromkeys(rates, 1.25)).to_csv(tmp_path / f"{platform}.csv", index=False)
    assert_same(taken(tmp_path))


def test_plan_and_actual_of_each_platform_beside_its_rates(tmp_path: Path) -> None:
    table = wide("{platform} {figure}")
    for platform in ("search", "social"):
        table = table.rename(columns={f"{platform} spend": f"{platform} Kosten Ist"})
        table[[f"{platform} Budget Plan", f"{platform} CTR", f"{platform} ROAS", f"{platform} CPC"]] = 2.5
    history = taken(written(tmp_path, table.to_csv(index=False)))
    assert set(history.columns.pop("planned")) == {"2.5"}
    assert_same(history)
