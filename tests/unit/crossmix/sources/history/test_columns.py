"""Names of columns: what platforms and connectors call them, and what is said where one is missing."""

from __future__ import annotations

import pytest

from crossmix.schema import DataError
from crossmix.sources.history import columns

EXPORTS = {
    "Google Ads": "Day,Campaign,Currency code,Cost,Impr.,Clicks,Conversions,Conv. value",
    "Google Ads in German": "Tag,Kampagne,Währungscode,Kosten,Impr.,Klicks,Conversions,Conv.-Wert",
    "Meta Ads": (
        "Reporting starts,Reporting ends,Campaign name,Amount spent (EUR),Impressions,Link clicks,Clicks (all),"
        "Website purchases,Website purchases conversion value"
    ),
    "TikTok": "By Day,Campaign name,Cost,Impressions,Clicks (destination),Conversions,Total complete payment value",
    "GA4": "Date,Session source / medium,Session campaign,Ads cost,Ads impressions,Ads clicks,Key events,Total revenue",
    "LinkedIn": (
        "Start Date (in UTC),Campaign Group Name,Total Spent,Impressions,Clicks,Conversions,Total Conversion Value"
    ),
    "Microsoft": "Gregorian date,Campaign name,Spend,Impressions,Clicks,Conversions,Revenue",
    "dbt ad_reporting": "date_day,platform,campaign_name,clicks,impressions,spend,conversions,conversions_value",
    "Airbyte": (
        "segments.date,campaign.name,metrics.cost_micros,metrics.impressions,metrics.clicks,metrics.conversions,"
        "metrics.conversions_value"
    ),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_every_export_has_its_figures_found(export: str) -> None:
    header = EXPORTS[export].split(",")
    found = columns.find(header, {}, export)
    assert {"date", "campaign", *columns.NUMBERS} - {"campaign"} <= set(found.at)
    assert len(set(found.at.values())) == len(found.at)


def test_the_right_one_of_two_is_read_and_the_other_told() -> None:
    header = EXPORTS["Meta Ads"].split(",")
    found = columns.find(header, {}, "meta.csv")
    assert header[found.at["clicks"]] == "Link clicks"
    assert found.rivals["clicks"] == ["Clicks (all)"]
    assert found.currency == "EUR"
    assert columns.find(header, {"clicks": "Clicks (all)"}, "meta.csv").at["clicks"] == header.index("Clicks (all)")


@pytest.mark.parametrize("name", ["KW", "Kalenderwoche", "Calendar week", "Uge", "Vecka", "週"])
def test_a_column_of_weeks_is_the_date(name: str) -> None:
    header = [name, "Kanal", "Kosten", "Impressionen", "Klicks", "Conversions", "Umsatz"]
    assert columns.find(header, {}, "agency.xlsx").at["date"] == 0


def test_micros_are_seen_by_their_name() -> None:
    assert columns.find(EXPORTS["Airbyte"].split(","), {}, "a").micros
    assert not columns.find(EXPORTS["TikTok"].split(","), {}, "a").micros


def test_a_name_is_compared_without_case_signs_and_currency() -> None:
    assert columns.plain("Conv. value (EUR)") == columns.plain("conv_value") == "conv value"
    assert columns.plain("Spend USD") == "spend"
    assert columns.currency_of("Amount spent [usd]") == "USD"
    assert columns.currency_of("Cost") is None


@pytest.mark.parametrize(
    ("mapped", "message"),
    [
        ({"budget": "Kosten"}, r"data\.columns\.budget: a history has no such column; use one of date, platform"),
        ({"spend": "Geld"}, r"data\.columns\.spend: 'x' has no column 'Geld'; it has date, Kosten"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(mapped: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        (columns.check_mapped(mapped), columns.find(["date", "Kosten"], mapped, "x"))


def test_two_currencies_in_the_header_are_refused() -> None:
    with pytest.raises(DataError, match=r"spend: 'x' has it in USD and revenue in EUR; convert one"):
        columns.find(["date", "Cost (USD)", "Revenue (EUR)"], {}, "x")


def test_sales_that_no_platform_claims_are_named_so() -> None:
    found = columns.find(["date", "revenue"], {}, "sales.csv").at
    lacks = [name for name in columns.REQUIRED if name not in found]
    assert "sales that no platform claims" in str(columns.missing("sales.csv", ["date", "revenue"], found, lacks))


def test_money_and_results_alone_say_what_is_lacking() -> None:
    header = ["date", "platform", "spend", "conversions", "revenue"]
    said = str(
        columns.missing("totals.csv", header, columns.find(header, {}, "totals.csv").at, ["impressions", "clicks"])
    )
    assert "learnt from what the money bought: export impressions and clicks by day too" in said


@pytest.mark.parametrize(
    ("name", "column", "unit", "currency"),
    [
        ("Spend (k€)", "spend", 1e3, "EUR"),
        ("Kosten (T€)", "spend", 1e3, "EUR"),
        ("Kosten (TEUR)", "spend", 1e3, "EUR"),
        ("Spend ($000)", "spend", 1e3, "$"),
        ("Cost (in thousands)", "spend", 1e3, None),
        ("Impressions (000s)", "impressions", 1e3, None),
        ("Umsatz (Mio. €)", "revenue", 1e6, "EUR"),
        ("Revenue (€m)", "revenue", 1e6, "EUR"),
        ("spend_cents", "spend", 0.01, None),
        ("Spend (USD)", "spend", 1.0, "USD"),
        ("Clicks (all)", "clicks", 1.0, None),
    ],
)
def test_the_unit_in_a_name(name: str, column: str, unit: float, currency: str | None) -> None:
    assert (columns.column_of(name), columns.unit_of(name)[1], columns.currency_of(name)) == (column, unit, currency)


def test_names_that_capitals_part() -> None:
    assert columns.column_of("advertiserAdCost") == "spend"
    assert columns.column_of("sessionSource") == "platform"
    assert columns.column_of("KeyEvents") == "conversions"


def test_signs_of_two_currencies_in_the_header_are_refused() -> None:
    header = ["date", "Spend (€)", "Revenue ($)"]
    with pytest.raises(DataError, match=r"spend: 'a' has it in EUR and revenue in \$; convert one"):
        columns.find(header, {}, "a")


def test_a_column_is_mapped_once() -> None:
    with pytest.raises(DataError, match=r"data\.columns\.revenue: 'geld' of 'file' is spend already"):
        columns.find(["day", "platform", "geld"], {"spend": "geld", "revenue": "geld"}, "file")


NAMES = {
    "Sum of Cost": "spend",
    "SUM of impressions": "impressions",
    "Summe von Kosten": "spend",
    "Suma de Conversiones": "conversions",
    "Cost (Sum)": "spend",
    "FactAds[Conv. value]": "revenue",
    "'Ads daily'[Date]": "date",
    "Average of Cost": None,
    "Sum of orders shipped": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_what_a_pivot_table_or_a_report_puts_around_a_name_goes(name: str) -> None:
    assert columns.column_of(name) == NAMES[name]
