"""Numbers: one convention for the whole input, proved on all rows, or asked."""

from __future__ import annotations

import pytest

from crossmix.schema import DataError
from crossmix.sources.history.numbers import convert

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
    (["--", "n/a", "", "7.5"], ["", "", "", "7.5"]),
    (["12x", "nan", "7,5"], ["12x", "nan", "7.5"]),
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
]


@pytest.mark.parametrize(("written", "sign"), SIGNS)
def test_signs_of_a_currency_are_taken_off_and_told(written: str, sign: str) -> None:
    plain, notes, currency = convert({"spend": [written, "1"]}, None)
    assert plain["spend"][0].lstrip("-") == "74.05"
    assert plain["spend"][0].startswith("-") == written.startswith("-")
    assert currency == sign
    assert any(written in note for note in notes)


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
