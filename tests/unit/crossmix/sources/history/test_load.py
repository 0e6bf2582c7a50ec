"""Histories as people have them, each bent from one sound table, and what is read from them or said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from crossmix.config import load as config
from crossmix.schema import DataError
from crossmix.sources.history.load import History, load
from tests.support.histories import sound
from tests.support.raw_logs import public_row
from tests.support.real_data import SHARED

FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]
PLAIN = sound(40)


def taken(path: Path | str, *settings: str) -> History:
    return load(config("laptop", ["data.source=spend", f"data.path={path}", *settings]).data)


def written(folder: Path, text: str | bytes, name: str = "history.csv") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def figures(history: History) -> pd.DataFrame:
    frame = pd.DataFrame(history.columns).sort_values(["date", "platform"], ignore_index=True)
    return frame[["date", "platform"]].assign(**{name: pd.to_numeric(frame[name]) for name in FIGURES})


def assert_same(history: History, wanted: pd.DataFrame = PLAIN) -> None:
    expected = wanted[["date", "platform", *FIGURES]].sort_values(["date", "platform"], ignore_index=True)
    expected = expected.assign(**{name: expected[name].astype(float) for name in FIGURES})
    pd.testing.assert_frame_equal(figures(history), expected, check_dtype=False)


def _grouped(value: object, thousands: str, decimal: str) -> str:
    text = f"{float(str(value)):,.2f}" if isinstance(value, float) else f"{value:,}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)


def _every(frame: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].map(change) for name in FIGURES})


BIG = _every(PLAIN, lambda value: value * 37)


def german(frame: pd.DataFrame) -> str:
    names = ["Tag", "Plattform", "Kosten", "Impr.", "Klicks", "Conversions", "Conv.-Wert"]
    days = pd.to_datetime(frame["date"]).dt.strftime("%d.%m.%Y")
    return (
        _every(frame.assign(date=days), lambda value: _grouped(value, ".", ","))
        .set_axis(names, axis=1)
        .to_csv(index=False, sep=";")
    )


def exported(frame: pd.DataFrame) -> str:
    """As an ad platform exports it: title lines, signs, a total row, a line below."""
    table = _every(frame, lambda value: _grouped(value, ",", "."))
    table["spend"] = "$" + table["spend"]
    table = table.set_axis(["Day", "Platform", "Cost", "Impr.", "Clicks", "Conversions", "Conv. value"], axis=1)
    return (
        'Campaign report\n"January 6, 2025 - February 14, 2025"\n'
        + table.to_csv(index=False)
        + 'Total: Account,--,"1,234.00","1","2","3","4"\n\nDownloaded by somebody\n'
    )


SPELT = ("{name}", "{name} ", "{name}", " {name}", "{name}")
READ: dict[str, tuple[str | bytes, pd.DataFrame]] = {
    "plain": (PLAIN.to_csv(index=False), PLAIN),
    "export of an ad platform": (exported(BIG), BIG),
    "german": (german(BIG), BIG),
    "german, windows": (german(BIG).replace("Kosten", "Ausgaben").encode("cp1252"), BIG),
    "sep line": ("sep=;\r\n" + PLAIN.to_csv(index=False, sep=";"), PLAIN),
    "empty columns": ("\n".join(f"{line},," for line in PLAIN.to_csv(index=False).split()), PLAIN),
    "utf-16": (PLAIN.to_csv(index=False, sep="\t").encode("utf-16"), PLAIN),
    "utf-16 without a mark": (PLAIN.to_csv(index=False, sep="\t").encode("utf-16-le"), PLAIN),
    "index of pandas": (PLAIN.to_csv(), PLAIN),
    "days first": (
        PLAIN.assign(date=pd.to_datetime(PLAIN["date"]).dt.strftime("%d/%m/%Y")).to_csv(index=False),
        PLAIN,
    ),
    "separators on large values": (
        PLAIN.assign(impressions=[f"{value:,}" for value in PLAIN["impressions"]]).to_csv(index=False),
        PLAIN,
    ),
    "total of every day": (
        pd.concat([PLAIN.groupby("date", as_index=False)[FIGURES].sum().assign(platform="Total"), PLAIN])[
            PLAIN.columns
        ].to_csv(index=False),
        PLAIN,
    ),
    "spelling": (
        PLAIN.assign(platform=[SPELT[at % 5].format(name=name) for at, name in enumerate(PLAIN["platform"])])
        .to_csv(index=False),
        PLAIN,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_what_people_have_is_read(kind: str, tmp_path: Path) -> None:
    text, wanted = READ[kind]
    assert_same(taken(written(tmp_path, text)), wanted)


def test_what_was_taken_is_told(tmp_path: Path) -> None:
    history = taken(written(tmp_path, exported(BIG)))
    told = " ".join(history.notes)
    assert "2 title line(s) above the header of 'history' are left out: 'Campaign report'" in told
    assert "1 total row(s) of 'history' are left out ('Total: Account')" in told
    assert "1 line(s) of 'history' with a single cell are no rows" in told
    assert "date = 'Day', spend = 'Cost', impressions = 'Impr.', revenue = 'Conv. value'" in told
    assert "Commas separate thousands" in told
    assert history.currency == "$"


@pytest.mark.parametrize("word", ["", "Grand total"])
def test_a_total_row_is_left_out_wherever_it_stands(word: str, tmp_path: Path) -> None:
    header, *rows = PLAIN.assign(note="x").to_csv(index=False).split()
    history = taken(written(tmp_path, "\n".join([header, f",,1e6,2e6,3e5,4e4,5e5,{word}", *rows])))
    assert_same(history)
    assert any(note.startswith("1 total row(s) of 'history' are left out") for note in history.notes)


def test_a_column_of_currency_codes_names_the_currency(tmp_path: Path) -> None:
    assert taken(written(tmp_path, PLAIN.assign(Currency="chf").to_csv(index=False))).currency == "CHF"
    mixed = PLAIN.assign(Currency=["CHF", "EUR"] * 40)
    with pytest.raises(DataError, match=r"Currency: .* has amounts in CHF, EUR; .*convert them to one"):
        taken(written(tmp_path, mixed.to_csv(index=False)))


def test_names_may_be_given(tmp_path: Path) -> None:
    table = PLAIN.rename(columns={"spend": "Geld", "date": "Wann"})
    file = written(tmp_path, table.to_csv(index=False))
    with pytest.raises(DataError, match=r"date: column is missing from .*\(missing: date, spend\).*--map date=NAME"):
        taken(file)
    assert_same(taken(file, 'data.columns={"spend": "Geld", "date": "Wann"}'))


def test_micros_by_their_name_are_divided(tmp_path: Path) -> None:
    table = PLAIN.assign(spend=(PLAIN["spend"].astype(float) * 1e6).round().astype("int64"))
    assert_same(taken(written(tmp_path, table.rename(columns={"spend": "cost_micros"}).to_csv(index=False))))


def test_files_of_one_platform_each_are_one_history(tmp_path: Path) -> None:
    for name, rows in PLAIN.groupby("platform"):
        written(tmp_path, rows.drop(columns="platform").to_csv(index=False), f"{name}.csv")
    for path in (tmp_path, tmp_path / "*.csv"):
        history = taken(path)
        assert_same(history)
        assert "'search' names no platform; its rows are the platform 'search'." in history.notes
    with pytest.raises(DataError, match=r"data\.path: no file matches .*; correct the pattern"):
        taken(tmp_path / "no*.csv")


def test_a_file_of_dates_and_spend_alone_is_told_how_television_is_told(tmp_path: Path) -> None:
    """An agency's sheet beside exports: what ran without clicks has blank cells, what has clicks is to tell them."""
    written(tmp_path, PLAIN.to_csv(index=False), "exports.csv")
    television = pd.DataFrame({"date": PLAIN["date"].unique(), "Spend": 300.25})
    written(tmp_path, television.to_csv(index=False), "TV.csv")
    with pytest.raises(DataError, match=r"impressions: .*TV\.csv.* as television, add these columns and leave their"):
        taken(tmp_path)
    blank = television.assign(impressions="", clicks="", conversions="", revenue="")
    written(tmp_path, blank.to_csv(index=False), "TV.csv")
    assert taken(tmp_path).days.query("platform == 'TV'")["spend"].sum() == 300.25 * len(television)


def test_a_table_without_campaigns_is_no_campaign_of_all_beside_others(tmp_path: Path) -> None:
    for name, rows in PLAIN.groupby("platform"):
        own = rows.drop(columns="platform")
        own = own.assign(campaign="brand") if name == "search" else own
        written(tmp_path, own.to_csv(index=False), f"{name}.csv")
    assert set(taken(tmp_path).columns["campaign"]) == {"brand", "unnamed"}


def test_one_platform_alone_asks_for_the_others(tmp_path: Path) -> None:
    alone = PLAIN[PLAIN["platform"] == "search"].drop(columns="platform")
    with pytest.raises(DataError, match=r"platform: column is missing .*the others' beside it: pass their folder"):
        taken(written(tmp_path, alone.to_csv(index=False)))


def test_leads_need_a_value_and_get_it(tmp_path: Path) -> None:
    for leads in (PLAIN.assign(revenue=0), PLAIN.assign(revenue=""), PLAIN.drop(columns="revenue")):
        file = written(tmp_path, leads.to_csv(index=False))
        with pytest.raises(
            DataError, match=r"revenue: the history has conversions and no revenue; .*data\.value_per_conv"
        ):
            taken(file)
        history = taken(file, "data.value_per_conversion=40")
        assert history.valued
        assert_same(history, PLAIN.assign(revenue=PLAIN["conversions"] * 40))
    with pytest.raises(DataError, match=r"data\.value_per_conversion: 40, and the history has revenue; drop"):
        taken(written(tmp_path, PLAIN.to_csv(index=False)), "data.value_per_conversion=40")


def test_idle_days_are_days_of_nothing(tmp_path: Path) -> None:
    day = pd.to_datetime(PLAIN["date"])
    file = written(tmp_path, PLAIN[day.dt.weekday < 5].to_csv(index=False))
    with pytest.raises(DataError, match=r"date: no Saturday and no Sunday has a row .*--idle-days"):
        taken(file)
    wanted = PLAIN[day <= day[day.dt.weekday < 5].max()]
    inside = pd.to_datetime(wanted["date"]).dt.weekday < 5
    wanted = wanted.assign(**{name: wanted[name].where(inside, 0) for name in FIGURES})
    assert_same(taken(file, "data.idle_days=true"), wanted)
    weekly = PLAIN[day.dt.weekday == 0].to_csv(index=False)
    with pytest.raises(DataError, match=r"data\.idle_days: rows are 7 days apart; it is for histories by day"):
        taken(written(tmp_path, weekly), "data.idle_days=true")


def test_a_platform_that_is_blank_is_no_merged_cell(tmp_path: Path) -> None:
    """Filled, it would be there twice on a day."""
    blank = PLAIN[PLAIN["platform"] == "search"].assign(platform="", spend=1.0)
    table = pd.concat([PLAIN, blank]).sort_values("date", kind="stable")
    history = taken(written(tmp_path, table.to_csv(index=False)))
    assert history.columns["platform"].count("") == 40
    assert history.days["spend"].sum() == pytest.approx(PLAIN["spend"].astype(float).sum())


def test_sound_numbers_are_not_looked_at_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crossmix.sources.history import legible

    monkeypatch.setattr(legible, "_HIDDEN", None)  # what is looked for in values that are no numbers
    assert_same(taken(written(tmp_path, PLAIN.to_csv(index=False))))


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for its digest, once for its cells."""
    opened: list[Path] = []
    plain_open = Path.open

    def counted(self: Path, *args: Any, **options: Any) -> Any:
        stream = plain_open(self, *args, **options)
        if self.name == "history.csv":
            opened.append(self)
        return stream

    file = written(tmp_path, PLAIN.to_csv(index=False))
    monkeypatch.setattr(Path, "open", counted)
    assert_same(taken(file))
    whole = 2
    assert len(opened) <= whole + 2, "and twice its first bytes"


@pytest.mark.parametrize(
    ("code", "message"),
    [("USD", r"amounts carry EUR, and '.*' says USD"), ("SEK", r"amounts carry EUR, and '.*' says SEK")],
)
@pytest.mark.parametrize("name", ["Currency", "Account currency code", "Valuta", "customer_currency_code"])
def test_a_sign_and_a_code_that_contradict_each_other(name: str, code: str, message: str, tmp_path: Path) -> None:
    table = PLAIN.assign(spend=PLAIN["spend"].map("€{:.2f}".format), **{name: code})
    with pytest.raises(DataError, match=message):
        taken(written(tmp_path, table.to_csv(index=False)))
    assert taken(written(tmp_path, table.assign(**{name: "EUR"}).to_csv(index=False))).currency == "EUR"
    mixed = table.assign(**{name: ["EUR", code] * 40})
    with pytest.raises(DataError, match=rf"{name}: .* has amounts in EUR, {code}; .*convert them to one"):
        taken(written(tmp_path, mixed.to_csv(index=False)))


@pytest.mark.parametrize(("header", "unit"), [("Spend (k€)", 1000), ("Kosten (T€)", 1000), ("spend_cents", 0.01)])
def test_a_unit_in_the_header_is_multiplied(header: str, unit: float, tmp_path: Path) -> None:
    table = PLAIN.assign(spend=[f"{float(value) / unit:.6f}" for value in PLAIN["spend"]])
    history = taken(written(tmp_path, table.rename(columns={"spend": header}).to_csv(index=False)))
    assert_same(history)
    assert any(f"Spend is in units of {unit:,g} ({header!r}), and multiplied." in note for note in history.notes)


SENTENCES = {
    "sales": ("date,revenue\n2025-01-06,100\n2025-01-07,90\n", r"platform, spend: .* sales that no platform claims"),
    "raw iPinYou": (
        "\t".join(["01530000008a77e7ac18823f5a4f5121", "20130612000000123", "1", "u", "agent"]) + "\n",
        r"data\.path: .* looks like a raw iPinYou log.*--source ipinyou",
    ),
    "Criteo": (
        ",uid,campaign,conversion,attribution,click,click_nb,cost,cpo,cat1\n8,2,0.8,0,0,1,-1,0.009,0.79,0.88\n",
        r"date: .* looks like Criteo's attribution log, a line for each impression.*--source criteo",
    ),
    "iPinYou": (
        "click\tbidid\ttimestamp\tipinyouid\tpayprice\n0\t8a\t20130606000104828\tVh\t51\n",
        r"date: .* looks like an iPinYou log.*--source ipinyou",
    ),
    "KuaiRand": (
        "user_id,video_id,date,hourmin,is_click\n0,7,20220408,1600,1\n",
        r"platform: .* looks like a KuaiRand log.*--source kuairand",
    ),
    "Open Bandit": (
        "timestamp,item_id,position,click,propensity_score\n2019-11-24 00:00:00,79,2,0,0.0875\n",
        r".* looks like an Open Bandit log.*--source openbandit",
    ),
    "own log": (
        "impression_id,timestamp,platform,price_paid,clicked\n1,2025-01-06T10:00,search,0.1,0\n",
        r".* looks like a log of impressions.*--source impressions",
    ),
    "no header": (PLAIN.to_csv(index=False, header=False), r"date: .* has no header: its first line is '2025-01-06"),
    "binary": (bytes(range(256)), r"data\.path: .* is not text"),
}


def test_an_address_in_s3_is_refused() -> None:
    with pytest.raises(DataError, match=r"data\.path: s3://bucket/x is in S3, and source 'spend' reads files alone"):
        taken("s3://bucket/x")


@pytest.mark.parametrize("kind", SENTENCES)
def test_what_is_no_history_is_named(kind: str, tmp_path: Path) -> None:
    text, message = SENTENCES[kind]
    with pytest.raises(DataError, match=message):
        taken(written(tmp_path, text))


FIELD = {
    "00-plain-182-days": 195_648.82,
    "01-google-ads-export": 112_103.0,
    "02-thousands-quoted": 112_103.0,
    "02b-thousands-on-big-days": 112_103.0,
    "05c-german-large-account": 1_405_787.0,
    "06-currency-symbol": 112_103.0,
    "07a-date-ddmmyyyy": 112_103.0,
    "08-total-per-day-as-platform": 112_103.0,
    "09c-few-days-in-two-rows": 112_103.0,
    "18b-name-spelling-changes": 112_103.0,
    "21-mixed-daily-weekly": "date: google_search has a row a week",
    "22a-weekends-no-row": "date: no Saturday and no Sunday has a row",
    "23c-micros-on-one-platform": "spend: google_search pays .* micros",
    "29a-empty-trailing-columns": 112_103.0,
    "36b-overlap-30-days-restated": 112_103.0,
    "40-leads-no-revenue": "revenue: the history has conversions and no revenue",
    "41-total-revenue-on-one-platform": "revenue: all of it .* is booked on 'google_search'",
}
"""Spend of each file's planted history, or how its refusal begins."""


def test_days_since_1970_are_named(tmp_path: Path) -> None:
    days = (pd.to_datetime(PLAIN["date"]) - pd.Timestamp("1970-01-01")).dt.days
    with pytest.raises(DataError, match=r"date: '20094' may be days since 1970; write dates as YYYY-MM-DD"):
        taken(written(tmp_path, PLAIN.assign(date=days).to_csv(index=False)))


def test_a_log_of_criteo_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r": .* looks like Criteo's attribution log.*--source criteo"):
        taken(written(tmp_path, pd.DataFrame([public_row(60)]).to_csv(index=False)))


def test_a_decimal_comma_that_plain_numbers_contradict_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.decimal: comma, and spend has '[\d.]+'; drop the setting"):
        taken(written(tmp_path, PLAIN.to_csv(index=False)), "data.decimal=comma")


@pytest.mark.parametrize("word", ["NaN", "\\N", "k.A.", "nicht verfügbar", "N.A."])
def test_a_word_for_no_value_is_none(word: str, tmp_path: Path) -> None:
    none = PLAIN["conversions"] == PLAIN["conversions"].min()
    blank = PLAIN[["conversions", "revenue"]].astype(object).where(~none, word)
    history = taken(
        written(tmp_path, PLAIN.assign(conversions=blank["conversions"], revenue=blank["revenue"]).to_csv(index=False))
    )
    assert history.days["conversions"].isna().sum() == history.days["revenue"].isna().sum() == none.sum() > 0
    assert any(note.startswith(f"{word!r} is read as no value") for note in history.notes)


def test_conversions_of_a_platform_that_tells_no_clicks_are_no_doubt(tmp_path: Path) -> None:
    """Radio, whose customers were asked where they had heard of the shop."""
    radio = PLAIN[PLAIN["platform"] == "search"].assign(platform="radio", impressions=0, clicks=0)
    table = pd.concat([PLAIN, radio.assign(spend=lambda t: (t["spend"].astype(float) * 1.3).round(2))])
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


@pytest.mark.skipif(not (SHARED / "field").is_dir(), reason=f"{SHARED / 'field'} is not there")
@pytest.mark.parametrize("name", FIELD)
def test_files_of_the_field(name: str) -> None:
    path, wanted = SHARED / "field" / f"{name}.csv", FIELD[name]
    if isinstance(wanted, str):
        with pytest.raises(DataError, match=wanted):
            taken(path)
        return
    history = taken(path)
    assert sum(map(float, history.columns["spend"])) == pytest.approx(wanted, abs=0.01)
    assert len(set(zip(history.columns["date"], history.columns["platform"], strict=True))) == len(
        history.columns["date"]
    )


def test_of_two_columns_that_may_be_days_the_one_with_dates_is_read(tmp_path: Path) -> None:
    table = PLAIN.rename(columns={"date": "Report date"})
    table.insert(0, "Day", pd.to_datetime(PLAIN["date"]).dt.day_name())
    assert_same(taken(written(tmp_path, table.to_csv(index=False))))


def test_a_second_table_in_a_file_is_named(tmp_path: Path) -> None:
    below = PLAIN[40:][["platform", "date", *FIGURES]]
    file = written(tmp_path, PLAIN[:40].to_csv(index=False) + below.to_csv(index=False))
    with pytest.raises(
        DataError, match=r"row 42 of .* is another header \(platform, date, .*save each table as a file"
    ):
        taken(file)


@pytest.mark.parametrize(("value", "told"), [("1.49K", "is rounded to thousands"), ("<10", "hides the number")])
def test_values_that_a_few_days_hide_are_refused(value: str, told: str, tmp_path: Path) -> None:
    """As large or small days alone would be left out with them."""
    table = PLAIN.astype(object)
    table.loc[table.index[::20], "clicks"] = value
    with pytest.raises(DataError, match=f"clicks: '{value}' {told}.* so are 4 of 80 values"):
        taken(written(tmp_path, table.to_csv(index=False)))


DATES = {
    "FW05 2025": "is a fiscal week",
    "W10": "by its number alone",
    "Monday": "is a word",
    "2025/46": "number alone",
}


@pytest.mark.parametrize("text", DATES)
def test_dates_that_tell_no_day_are_named(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"date: '{text}' .*{DATES[text]}"):
        taken(written(tmp_path, PLAIN.assign(date=text).to_csv(index=False)))


def test_of_two_columns_that_may_be_platforms_the_one_with_several_is_read(tmp_path: Path) -> None:
    table = PLAIN.rename(columns={"platform": "Source"}).assign(Channel="Paid")
    history = taken(written(tmp_path, table.to_csv(index=False)))
    assert_same(history)
    assert any("'Channel' could be platform too and is not read" in note for note in history.notes)


def test_numbers_of_campaigns_that_a_spreadsheet_rounded_are_refused(tmp_path: Path) -> None:
    table = PLAIN.assign(**{"Campaign ID": "2.38471E+16"})
    with pytest.raises(DataError, match=r"campaign: '2\.38471E\+16' is a number that a spreadsheet rounded"):
        taken(written(tmp_path, table.to_csv(index=False)))
