"""What a history lacks and a setting says."""

from __future__ import annotations

import pytest

from crossmix.config import laptop
from crossmix.schema import DataError
from crossmix.sources.history.settled import valued

DATA = laptop().data


@pytest.mark.parametrize("history", [{"conversions": ["0", "3"]}, {"conversions": ["0", ""]},
                                     {"conversions": ["2", "0"], "revenue": ["", "0"]}])  # fmt: skip
def test_conversions_of_no_worth_are_asked_for_one(history: dict[str, list[str]]) -> None:
    with pytest.raises(DataError, match="say what a conversion is worth on average"):
        valued(history, DATA, "")


def test_a_column_of_revenue_without_any_beside_no_conversion_stands() -> None:
    history = {"conversions": ["0", "0"], "revenue": ["0", ""]}
    assert valued(history, DATA, "") == (history, False, [])
