"""Exports of other platforms and countries, parted by month, packed or with two header lines: the same history."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd
import pytest

from crossmix.config import load as config
from crossmix.schema import DataError
from crossmix.sources.history.load import History, load
from crossmix.sources.history.named_periods import without_period
from tests.support.exports_abroad import COUNTRIES, abroad, two_lines
from tests.support.histories import sound

PLAIN = sound(60)
FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]


def taken(path: Path, *settings: str) -> History:
    return load(config("laptop", ["data.source=spend", f"data.path={path}", *settings]).data)


def assert_same(history: History, wanted: pd.DataFrame = PLAIN) -> None:
    def ordered(frame: pd.DataFrame) -> pd.DataFrame:
        table = frame.assign(day=pd.to_datetime(frame["day"]), platform=frame["platform"].astype(str))
        table = table.sort_values(["day", "platform"], ignore_index=True)[["day", "platform", *FIGURES]]
        return table.astype(dict.fromkeys(FIGURES, float))

    wanted = ordered(wanted.rename(columns={"date": "day"}))
    pd.testing.assert_frame_equal(ordered(history.days), wanted, check_dtype=False, atol=0.006)


@pytest.mark.parametrize("country", COUNTRIES)
def test_an_export_of_another_country(country: str, tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_bytes(abroad(PLAIN, COUNTRIES[country]))
    assert_same(taken(file))


@pytest.mark.parametrize("digits", ["٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"])
def test_digits_of_another_script(digits: str, tmp_path: Path) -> None:
    table = PLAIN.copy().astype(object)
    for name in FIGURES:
        table[name] = PLAIN[name].astype(str).str.translate(str.maketrans("0123456789", digits))
    (tmp_path / "history.csv").write_text(table.to_csv(index=False))
    assert_same(taken(tmp_path / "history.csv"))


OTHERS = {
    "pinterest": (
        *("Date", "Spend in account currency", "Impressions", "Pin clicks", "Total conversions (Checkout)"),
        "Total order value (Checkout)",
    ),
    "snapchat": ("Start Time", "Amount Spent", "Paid Impressions", "Swipe Ups", "Purchases", "Purchases Value"),
    "amazon": ("Date", "Spend", "Impressions", "Clicks", "14 Day Total Orders (#)", "14 Day Total Sales"),
    "reddit": ("Date", "Amount Spent", "Impressions", "Clicks", "Purchase (Total)", "Purchase Value"),
    "x": ("Time period", "Spend", "Impressions", "Link clicks", "Purchases", "Purchases - sale amount"),
    "criteo": ("Day", "Cost", "Displays", "Clicks", "Sales", "Revenue"),
}


@pytest.mark.parametrize("platform", OTHERS)
def test_the_export_of_another_platform(platform: str, tmp_path: Path) -> None:
    own, rest = (PLAIN[PLAIN["platform"] == name].drop(columns="platform") for name in ("search", "social"))
    names = dict(zip(["date", *FIGURES], OTHERS[platform], strict=True))
    own.rename(columns=names).to_csv(tmp_path / f"{platform}.csv", index=False)
    rest.to_csv(tmp_path / "social.csv", index=False)
    assert_same(taken(tmp_path), PLAIN.replace({"platform": {"search": platform}}))


def test_a_name_that_one_file_of_a_folder_has_is_mapped_there(tmp_path: Path) -> None:
    own, rest = (PLAIN[PLAIN["platform"] == name].drop(columns="platform") for name in ("search", "social"))
    own.rename(columns={"spend": "Money out"}).to_csv(tmp_path / "search.csv", index=False)
    rest.to_csv(tmp_path / "social.csv", index=False)
    assert_same(taken(tmp_path, 'data.columns.spend="Money out"'))
    with pytest.raises(DataError, match=r"data\.columns\.spend: .* has no column 'Money in'"):
        taken(tmp_path, 'data.columns.spend="Money in"')


def test_months_of_a_platform_are_one_platform(tmp_path: Path) -> None:
    months = pd.to_datetime(PLAIN["date"]).dt.strftime("%Y-%m")
    for (platform, month), rows in PLAIN.groupby(["platform", months]):
        rows.drop(columns="platform").to_csv(tmp_path / f"{platform}_{month}.csv", index=False)
    history = taken(tmp_path)
    assert_same(history)
    assert "'search_2025-01' names no platform; its rows are the platform 'search'." in history.notes


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("google_ads_2025-01", "google_ads"),
        ("meta 20250101-20250131", "meta"),
        ("Jan 2025", ""),
        ("tiktok (1)", "tiktok"),
        ("linkedin Q1 2025", "linkedin"),
        ("2025_bing", "bing"),
        ("report-march-2025", "report"),
        ("x2", "x2"),
        ("channel4", "channel4"),
        ("marketing", "marketing"),
        ("Decathlon", "Decathlon"),
    ],
)
def test_the_time_in_a_name(name: str, plain: str) -> None:
    assert without_period(name) == plain


@pytest.mark.parametrize("platforms_above", [True, False])
def test_a_header_of_two_lines(platforms_above: bool, tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    file.write_text(two_lines(PLAIN, platforms_above=platforms_above))
    history = taken(file)
    assert_same(history)
    assert any("The two lines of the header of 'history' are read as one" in note for note in history.notes)


def test_an_archive_is_its_tables(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for platform, rows in PLAIN.groupby("platform"):
            archive.writestr(f"export/{platform}.csv", rows.drop(columns="platform").to_csv(index=False))
        archive.writestr("__MACOSX/._search.csv", b"\0\1")
    assert_same(taken(tmp_path / "export.zip"))
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.pdf", "x")
    with pytest.raises(DataError, match=r"the archive .* has no \.csv.*; unpack it"):
        taken(tmp_path / "empty.zip")


def test_results_without_money_are_left_out_and_told(tmp_path: Path) -> None:
    organic = PLAIN[PLAIN["platform"] == "search"].assign(platform="organic", spend=0, impressions=0, clicks=0)
    (tmp_path / "history.csv").write_text(pd.concat([PLAIN, organic]).to_csv(index=False))
    history = taken(tmp_path / "history.csv")
    assert_same(history)
    told = next(note for note in history.notes if "organic" in note)
    assert f"conversions {organic['conversions'].sum():,.0f}, revenue {organic['revenue'].sum():,.2f}" in told


@pytest.mark.parametrize("name", ["conversions", "revenue"])
def test_results_that_are_all_of_what_nobody_paid_for_are_refused(name: str, tmp_path: Path) -> None:
    """An export of GA4 as one platform, beside those that were paid and claim nothing."""
    sums = PLAIN.groupby("date", as_index=False)[["conversions", "revenue"]].sum()
    unpaid = sums.assign(platform="GA4", spend=0, impressions=0, clicks=0)
    table = pd.concat([PLAIN.assign(**{name: 0}), unpaid])
    (tmp_path / "history.csv").write_text(table.to_csv(index=False))
    said = rf"{name}: all of it \({sums[name].sum():,.0f}\) is booked on 'GA4', where nothing was spent, and search, "
    with pytest.raises(DataError, match=said):
        taken(tmp_path / "history.csv")


def _with(**columns: object) -> str:
    return PLAIN.assign(**columns).to_csv(index=False)


SENTENCES = {
    "header alone": (
        ",".join(PLAIN.columns) + "\n",
        "has a header and no row of a day",
    ),
    "months": (_with(date=PLAIN["date"].str[:7]), r"date: '2025-01' is a month.*export .* by day"),
    "no year": (_with(date=pd.to_datetime(PLAIN["date"]).dt.strftime("%d %b")), "write dates with their year"),
    "shares": (_with(conversions="2.06%"), r"conversions: '2\.06%' is a share: give the counts themselves"),
    "rounded": (_with(impressions="243.3K"), r"impressions: '243\.3K' is rounded to thousands"),
    "unread": (
        PLAIN.rename(columns={"revenue": "Takings"}).to_csv(index=False),
        r"revenue: .* no revenue; its columns 'Takings' are not read: name the one that is it \(--map revenue=NAME\)",
    ),
    "web page": (f"<html><body>{PLAIN.to_html()}</body></html>", r"is a web page; save it as \.csv"),
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_the_cause_and_the_remedy_are_named(kind: str, tmp_path: Path) -> None:
    text, message = SENTENCES[kind]
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        taken(tmp_path / "history.csv")


def test_a_folder_with_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("search.csv", PLAIN[PLAIN["platform"] == "search"].to_csv(index=False))
    PLAIN[PLAIN["platform"] == "social"].to_csv(tmp_path / "social.csv", index=False)
    assert_same(taken(tmp_path))


def test_a_damaged_archive_is_a_sentence(tmp_path: Path) -> None:
    """Bytes of the packed table that no unpacking can make sense of."""
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(damaged, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", PLAIN.to_csv(index=False))
    data = bytearray(damaged.read_bytes())
    data[40:50] = b"\xff" * 10
    damaged.write_bytes(data)
    with pytest.raises(DataError, match=r"damaged.zip' cannot be unpacked \(.*\); unpack it yourself"):
        taken(damaged)


def test_results_by_source_without_money_beside_the_exports_are_refused_with_both_ways_out(tmp_path: Path) -> None:
    """GA4's revenue by source is another measure of what the platforms' exports have."""
    for platform, rows in PLAIN.groupby("platform"):
        rows.drop(columns="platform").to_csv(tmp_path / f"{platform}.csv", index=False)
    names = {
        "date": "Date",
        "platform": "Session source / medium",
        "conversions": "Key events",
        "revenue": "Total revenue",
    }
    told = PLAIN[list(names)].rename(columns=names).assign(Sessions=100)
    (tmp_path / "acquisition.csv").write_text("# Traffic acquisition\n\n" + told.to_csv(index=False))
    said = r"has results by source \(Key events, Total revenue\) and no money.*leave it out.*put them in one table"
    with pytest.raises(DataError, match=rf"'.*acquisition\.csv' {said}"):
        taken(tmp_path)
