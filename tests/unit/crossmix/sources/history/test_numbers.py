"""Numbers: one convention for the whole input, proved on all rows, or asked."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.schema import DataError
from crossmix.sources.history.numbers import _READY, FEWEST_KEPT, _all_ready, convert, values

READ = [
    (["355.07", "12", "0.5"], ["355.07", "12", "0.5"]),
    (["1,503.64", "355.07"], ["1503.64", "355.07"]),
    (["1.503,64", "355,07"], ["1503.64", "355.07"]),
    (["1 503,64", "12"], ["1503.64", "12"]),
    (["1\u202f503,64", "1\u00a0000"], ["1503.64", "1000"]),
    (["1'503.64", "12"], ["1503.64", "12"]),
    (["12,34,567.5", "12"], ["1234567.5", "12"]),
    (["1.234.567", "1.234"], ["1234567", "1234"]),
    (["0,125", "3"], ["0.125", "3"]),
    (["1234,125", "3,125"], ["1234.125", "3.125"]),
    (["(1,234.50)", "-3", "4-", "−5"], ["-1234.50", "-3", "-4", "-5"]),
    (["1.5e3", "2,5"], ["1.5e3", "2.5"]),
    (["$(12.50)", "-($3.25)", "$-4.75", "- $5.5", "$ -"], ["-12.50", "-3.25", "-4.75", "-5.5", ""]),
    (["1.234,56-", "12,5- €", "3,5 €-", "(4,5 €)", "€ (1,5)"], ["-1234.56", "-12.5", "-3.5", "-4.5", "-1.5"]),
    (["CHF-1'234.50", "CHF 1’000.25", "–5", "\u200e-6"], ["-1234.50", "1000.25", "-5", "-6"]),
    (["kr. -1.234,56", "-kr 2,5", "1 000 kr."], ["-1234.56", "-2.5", "1000"]),
    (["1.250,-", "980,--"], ["1250.0", "980.0"]),
    (["CHF 1'250.-", "980.—"], ["1250.0", "980.0"]),
    (["Rs. 1,23,456.00", "₹ 1,00,000"], ["123456.00", "100000"]),
    (["۱٬۲۳۴٫۵", "۶۸۱۶/۵۸"], ["1234.5", "6816.58"]),
    (["1\u2009234,5", "1\u2007000"], ["1234.5", "1000"]),
    (["[12.50]", "12.50 CR", "--5-", "(3", "1.5"], ["[12.50]", "12.50 CR", "--5-", "(3", "1.5"]),
    (["--", "n/a", "", "7.5"], ["", "", "", "7.5"]),
    (["12x", "nan", "7,5"], ["12x", "", "7.5"]),
]


@pytest.mark.parametrize(("written", "plain"), READ, ids=[written[0] for written, _ in READ])
def test_what_people_write_is_read(written: list[str], plain: list[str]) -> None:
    assert convert({"spend": written}, None)[0] == {"spend": plain}


SIGNS = [
    ("$74.05", "$"),
    ("74.05 €", "EUR"),
    ("US$ 74.05", "USD"),
    ("EUR 74.05", "EUR"),
    ("74.05 zł", "PLN"),
    ("-£74.05", "GBP"),
    *((form, "KR") for form in ("kr. 74.05", "74.05 kr", "74.05 kr.")),
    *((form, "CHF") for form in ("CHF 74.05", "SFr. 74.05", "Fr. 74.05")),
    *((form, "BRL") for form in ("R$ 74.05", "-R$ 74.05", "74.05 BRL")),
    ("74.05 Kč", "CZK"),
    ("Rs.74.05", "RS"),
    ("₹74.05", "INR"),
    ("CA$74.05", "CAD"),
    ("$74.05 AUD", "AUD"),
    ("R 74.05", "ZAR"),
    ("74.05 Euro", "EUR"),
    ("74.05 лв.", "BGN"),
    ("74.05元", "CNY"),
    ("\u200f74.05\u00a0\u200f₪", "ILS"),
]


@pytest.mark.parametrize(("written", "sign"), SIGNS)
def test_signs_of_a_currency_are_taken_off_and_told(written: str, sign: str) -> None:
    plain, notes, currency = convert({"spend": [written, "1"]}, None)
    assert plain["spend"][0].lstrip("-") == "74.05"
    assert plain["spend"][0].startswith("-") == written.startswith("-")
    assert currency == sign
    assert any(repr(written) in note for note in notes)


@pytest.mark.parametrize(
    ("written", "currency"), [(["$5", "AUD 6"], "AUD"), (["€5", "EUR 6"], "EUR"), (["5 kr", "SEK 6"], "SEK")]
)
def test_a_sign_and_a_code_may_be_one_currency(written: list[str], currency: str) -> None:
    assert convert({"spend": written}, None)[2] == currency


def test_whole_counts_tell_what_points_mean() -> None:
    plain, notes, _ = convert({"spend": ["4.261", "889"], "impressions": ["391.955", "16.385"]}, None)
    assert plain == {"spend": ["4261", "889"], "impressions": ["391955", "16385"]}
    assert any("Points separate thousands" in note and "whole numbers" in note for note in notes)


def test_the_separator_of_one_column_is_proved_by_another() -> None:
    plain, _, _ = convert({"spend": ["4.261", "889"], "revenue": ["12,50", "3"]}, None)
    assert plain == {"spend": ["4261", "889"], "revenue": ["12.50", "3"]}


def test_thousands_that_are_not_separated_make_three_digits_decimals() -> None:
    assert convert({"spend": ["1,234", "1234"]}, None)[0] == {"spend": ["1.234", "1234"]}


def test_many_numbers_of_three_digits_beside_small_ones_are_thousands() -> None:
    many = [f"{1 + at},{at % 1000:03d}" for at in range(120)]
    assert convert({"spend": [*many, "889"]}, None)[0]["spend"][7] == "8007"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"spend": ["4.261", "889"]}, r"spend: '4\.261' may be 4261 or 4\.261, .*data\.decimal=point for 4\.261"),
        ({"spend": ["1.5"], "revenue": ["1,5"]}, r"spend: '1\.5' and revenue '1,5' follow two conventions"),
        (
            {"spend": ["1,234.5"], "revenue": ["1.234,5"]},
            r"follow two conventions of numbers .* write all numbers in one",
        ),
        ({"spend": ["$5"], "revenue": ["€5"]}, r"spend: '\$5' is in \$ and revenue '€5' in EUR; .*convert them to one"),
    ],
)
def test_what_is_not_certain_is_refused(columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        convert(columns, None)


def test_the_user_may_say_it_but_not_against_the_values() -> None:
    assert convert({"spend": ["4.261"]}, "comma")[0] == {"spend": ["4261"]}
    assert convert({"spend": ["4.261"]}, "point")[0] == {"spend": ["4.261"]}
    with pytest.raises(DataError, match=r"data\.decimal: comma, and spend has '4\.5'; drop the setting"):
        convert({"spend": ["4.5", "4,261"]}, "comma")


@pytest.mark.parametrize(
    "text",
    ["", "5", "-5", "0.5", "12.3456", "1.234", "1,5", "5.", ".5", "--5", "1e3", "5\n6", "\n", "٣", " 5", "1.2.3", "²"],
)
@pytest.mark.parametrize("others", [[], ["7", "7.25"]])
def test_a_column_is_plain_where_each_of_its_texts_is(text: str, others: list[str]) -> None:
    assert _all_ready([text, *others]) == (_READY.fullmatch(text) is not None)


@pytest.mark.parametrize("blank", ["", "x", "1_000", "nan", "1e400"])
def test_values_are_those_of_the_texts_whoever_asked_before(blank: str) -> None:
    texts = [f"{at}.25" for at in range(FEWEST_KEPT)]
    expected = np.arange(FEWEST_KEPT) + 0.25
    first = values(texts)
    np.testing.assert_array_equal(first, expected)
    first[:] = 0  # of whoever asked
    np.testing.assert_array_equal(values(list(texts)), expected)
    texts[7], expected[7] = blank, np.nan
    np.testing.assert_array_equal(values(texts), expected)


def test_a_column_of_digits_and_separators_is_read_as_single_texts_are() -> None:
    whole = {"spend": ["1.503,64", "355,07", "", "12", "-1.234.567,5"], "clicks": ["1.234", "7", "", "12.000", "1"]}
    beside = whole | {"spend": ["1.503,64 €", *whole["spend"][1:]]}  # a sign, so that each is looked at by itself
    assert convert(whole, None)[0] == convert(beside, None)[0]
    assert convert(whole, None)[0]["spend"] == ["1503.64", "355.07", "", "12", "-1234567.5"]
