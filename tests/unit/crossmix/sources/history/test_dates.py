"""Dates: one format for the whole input; day or month first as all rows decide, or asked."""

from __future__ import annotations

import pytest

from crossmix.schema import DataError
from crossmix.sources.history.dates import convert, is_date

READ = [
    (["2025-01-06", "2025-01-25"], ["2025-01-06", "2025-01-25"]),
    (["2025-01-06 00:00:00", "2025-01-25T00:00:00Z"], ["2025-01-06", "2025-01-25"]),
    (["06/01/2025", "25/01/2025"], ["2025-01-06", "2025-01-25"]),
    (["2025/01/06(月)", "2025/01/25(土)"], ["2025-01-06", "2025-01-25"]),
    (["45663", "45682"], ["2025-01-06", "2025-01-25"]),
    (["20094", "20113"], ["20094", "20113"]),
    (["1/6/2025", "1/25/2025"], ["2025-01-06", "2025-01-25"]),
    (["1/6/2025 12:00:00 AM", "1/25/2025 12:00:00 AM"], ["2025-01-06", "2025-01-25"]),
    (["06.01.25", "07.01.25"], ["2025-01-06", "2025-01-07"]),
    (["20250106", "20250125"], ["2025-01-06", "2025-01-25"]),
    (["2025-W02", "2025-W03"], ["2025-01-06", "2025-01-13"]),
    (["KW 2/2025", "KW 3/2025"], ["2025-01-06", "2025-01-13"]),
    (["Jan 6, 2025", "Monday, January 13, 2025"], ["2025-01-06", "2025-01-13"]),
    (["6. März 2025", "13 Mai 2025"], ["2025-03-06", "2025-05-13"]),
    (["6 de enero de 2025", "13 de agosto de 2025"], ["2025-01-06", "2025-08-13"]),
    (["45663", "45664"], ["2025-01-06", "2025-01-07"]),
    (["06/01/2025 - 12/01/2025", "13/01/2025 - 19/01/2025"], ["2025-01-06", "2025-01-13"]),
    (["1 mars 2025", "1er févr. 2025", "lun. 6 janv. 2025"], ["2025-03-01", "2025-02-01", "2025-01-06"]),
    (["mar. 7 janvier 2025", "mar. 4 mars 2025"], ["2025-01-07", "2025-03-04"]),
    (["2025W07", "2025 week 8"], ["2025-02-10", "2025-02-17"]),
    (["Week 7, 2025", "W08 2025"], ["2025-02-10", "2025-02-17"]),
    (["Mo, 13.01.2025", "Di 14.01.2025"], ["2025-01-13", "2025-01-14"]),
    (["Mon 2025-01-06", "2025-01-07 (Tue)"], ["2025-01-06", "2025-01-07"]),
    (["06Jan2025", "Jan-07-2025", "08/Jan/2025", "2025-Jan-09"], [f"2025-01-0{day}" for day in range(6, 10)]),
    (["2025. január 6.", "2025. február 7."], ["2025-01-06", "2025-02-07"]),
    (["6 января 2025 г.", "7 февраля 2025 г."], ["2025-01-06", "2025-02-07"]),
    (["6 січня 2025", "7 лютого 2025"], ["2025-01-06", "2025-02-07"]),
    (["6 Ιανουαρίου 2025", "7 Φεβρουαρίου 2025"], ["2025-01-06", "2025-02-07"]),
    (["20250106T000000", "20250107.0"], ["2025-01-06", "2025-01-07"]),
    (["2025-01-06/2025-01-12", "2025-01-13/2025-01-19"], ["2025-01-06", "2025-01-13"]),
    (["2025-01-06", "2025-01-08", "07.01.2025"], ["2025-01-06", "2025-01-08", "2025-01-07"]),
    (["2025-01-06", "2025-01-22", "01/21/2025", "45664"], ["2025-01-06", "2025-01-22", "2025-01-21", "2025-01-07"]),
    (["2025-01-06", "2025-01-08", "07.09.2025"], ["2025-01-06", "2025-01-08", "07.09.2025"]),
    (["06/01/2568", "13/01/2568"], ["06/01/2568", "13/01/2568"]),
    (["2025-01-06", "2025-01-07", "06/01/2025", "soon"], ["2025-01-06", "2025-01-07", "06/01/2025", "soon"]),
]


@pytest.mark.parametrize(("written", "days"), READ, ids=[written[0] for written, _ in READ])
def test_what_people_write_is_read(written: list[str], days: list[str]) -> None:
    assert convert(written, None)[0] == days


def test_days_and_months_that_a_spreadsheet_exchanged_are_exchanged_back() -> None:
    """01/12/2025 became the first of December, 01/13/2025 stayed a text."""
    written = ["2025-10-01", "2025-11-01", "2025-12-01", "01/13/2025", "01/14/2025"]
    days, notes = convert(written, None)
    assert days == [f"2025-01-{day}" for day in range(10, 15)]
    assert notes == [
        "Dates are read as month-first; up to the 12th a spreadsheet had taken their day for the month, which is "
        "exchanged back: '2025-10-01' is 2025-01-10."
    ]
    # Dates that are right beside texts stay as they are.
    days, _ = convert(["2025-01-12", "01/13/2025", "01/14/2025"], None)
    assert days == ["2025-01-12", "2025-01-13", "2025-01-14"]


def test_what_was_taken_for_what_is_told() -> None:
    assert convert(["06/01/2025", "25/01/2025"], None)[1] == [
        "Dates are read as day-first ('25/01/2025' shows it): '06/01/2025' is 2025-01-06."
    ]
    assert convert(["2025-01-06"], None)[1] == []


def test_what_no_row_decides_is_asked_and_may_be_said() -> None:
    with pytest.raises(DataError, match=r"date: '03/04/2025' may have .*=day-first or --set data\.dates=month-first"):
        convert(["03/04/2025", "05/04/2025"], None)
    assert convert(["03/04/2025"], "day-first")[0] == ["2025-04-03"]
    assert convert(["03/04/2025"], "month-first")[0] == ["2025-03-04"]


def test_two_orders_in_one_input_are_refused() -> None:
    with pytest.raises(DataError, match=r"date: '25/01/2025' has the day first and '01/26/2025' the month; write all"):
        convert(["25/01/2025", "01/26/2025"], None)
    with pytest.raises(DataError, match=r"data\.dates: month-first, and '25/01/2025' shows day-first"):
        convert(["25/01/2025"], "month-first")


def test_a_word_is_no_date() -> None:
    assert is_date("25/01/2025")
    assert not is_date("Total: Account")
    assert not is_date("2025-02-30")
