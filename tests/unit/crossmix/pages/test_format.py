"""Every formatter on values: signs, thin spaces, dashes for what is not there."""

from __future__ import annotations

import math

import pytest

from crossmix.artifacts import Interval
from crossmix.pages import format as formats

NOTHING = [None, math.nan, math.inf, -math.inf, True, "3"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (True, "–"),
        (0, "0"),
        (0.00084, "0.000840"),
        (-1234.5, "−1\u202f234"),
        (12.345, "12.3"),
        (3e-12, "3.00e−12"),
    ],
)
def test_numbers(value: object, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize("value", NOTHING)
@pytest.mark.parametrize(
    "form",
    [
        formats.number,
        formats.signed,
        formats.count,
        formats.decimal,
        formats.percent,
        formats.share,
        formats.change,
        formats.points,
    ],
)
def test_what_is_not_a_finite_number_is_a_dash(form: object, value: object) -> None:
    assert form(value) == "–"  # type: ignore[operator]


def test_percentages() -> None:
    assert formats.percent(0.975) == "97.5\u202f%"
    assert formats.percent(0.000512, 2) == "0.051\u202f%"
    assert formats.share(0.1) == "10.0\u202f%"
    assert formats.share(1) == "100.0\u202f%"
    assert formats.change(0.0812) == "+8.1\u202f%"
    assert formats.change(-0.022) == "−2.2\u202f%"
    assert formats.change(0) == "0\u202f%"
    assert formats.points(0.114) == "+11.4"
    assert formats.points(-0.003) == "−0.3"


def test_counts_and_decimals() -> None:
    assert formats.count(214_332.4) == "214\u202f332"
    assert formats.count(-2_000) == "−2\u202f000"
    assert formats.decimal(0.5) == "0.500"
    assert formats.decimal(-1.23456, 4) == "−1.2346"
    assert formats.signed(12.345) == "+12.3"
    assert formats.signed(-0.5) == "−0.500"
    assert formats.signed(0) == "0"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1_200, "1.2k"), (-2.5e6, "−2.5M"), (3e9, "3G"), (0.0123, "0.0123")]
)
def test_axis_numbers_are_short(value: float, text: str) -> None:
    assert formats.compact(value) == text


def test_intervals_have_two_known_ends_or_are_left_out() -> None:
    assert formats.interval(0.5, 2) == "0.500 to 2.00"
    assert formats.interval(0.107, 0.121, formats.points) == "+10.7 to +12.1"
    assert formats.interval(None, 1) == ""
    assert formats.interval(1, math.inf) == ""


def test_estimates() -> None:
    row = Interval(mean=0.114, ci95=(0.107, 0.121))
    assert formats.estimate(row, formats.points) == ("+11.4", "+10.7 to +12.1")
    assert formats.estimate(Interval(mean=0.5, ci95=(math.nan, math.nan)), formats.decimal) == ("0.500", "")
    assert formats.estimate(None, formats.decimal) == ("–", "")


def test_a_metric_is_written_in_its_own_way() -> None:
    assert formats.metric("roi", 1.234) == "1.23"
    assert formats.metric("ctr", 0.0213) == "2.13\u202f%"
    assert formats.metric("cpa", 12.345) == "12.3"
    assert formats.metric("clicks", 1234) == "1\u202f234"
    assert formats.metric("spend", 12.345) == "12.3"
    assert formats.metric("cvr", None) == "–"


def test_chances_and_moments() -> None:
    assert formats.p_value(0.00099) == "< 0.001"
    assert formats.p_value(0.0456) == "0.046"
    assert formats.moment("2026-01-02T03:04:05+00:00") == "2026-01-02 03:04"
    assert formats.moment(None) == "–"


def test_a_lift_is_told_in_plain_characters() -> None:
    assert formats.lift(0.0812, -0.022, 0.191) == "+8.1% [-2.2%, +19.1%]"
    assert formats.lift(-0.05, None, None) == "-5.0% (not yet bounded)"
    assert formats.lift(-0.05, -0.1, None) == "-5.0% (at least -10.0%)"
    assert formats.lift(-0.05, None, 0.1) == "-5.0% (at most +10.0%)"


def test_money_has_cents_below_a_hundred() -> None:
    assert [formats.money(value) for value in (0, 9.5, 99.99, 99.999, 1234.5, -42.1, None, float("nan"))] == [
        "0.00",
        "9.50",
        "99.99",
        "100",
        "1\u202f234",
        "−42.10",
        "–",
        "–",
    ]


@pytest.mark.parametrize(
    ("sentence", "set_"),
    [
        ("1,234,567 EUR of relief", "1\u202f234\u202f567 EUR of relief"),
        ("gave 9,000, -59.5 % of it", "gave 9\u202f000, −59.5\u202f% of it"),
        ("[-1.5, 2] of c-12, mid-3, 10,50", "[−1.5, 2] of c-12, mid-3, 10,50"),
        ("no figure - at all", "no figure - at all"),
    ],
)
def test_a_sentence_of_a_terminal_has_a_pages_figures(sentence: str, set_: str) -> None:
    assert formats.prose(sentence) == set_
