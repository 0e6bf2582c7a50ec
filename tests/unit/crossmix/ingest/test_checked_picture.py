"""The picture of a spend history: what its lines show."""

from __future__ import annotations

import pandas as pd
import pytest

from crossmix.ingest.checked_picture import _apart, _trailing


@pytest.mark.parametrize("span", [1, 7])
def test_a_rows_amount_is_spread_over_its_days(span: int) -> None:
    """100 a day, told by day or by week, is 100 on every day, also the first and the last week's."""
    first = pd.Timestamp("2025-01-06")
    days = pd.DataFrame({"day": pd.date_range(first, periods=84 // span, freq=f"{span}D"), "platform": "meta"})
    assert _apart(days["day"]) == span
    index = pd.date_range(first, periods=84)
    line = _trailing(days.assign(spend=100.0 * span), "spend", index, ["meta"], span)["meta"]
    assert line.tolist() == pytest.approx([100.0] * 84)


def test_a_day_without_a_row_counts_as_nothing_spent() -> None:
    day = pd.date_range("2025-01-06", periods=21).delete(10)
    days = pd.DataFrame({"day": day, "platform": "meta", "spend": 100.0})
    line = _trailing(days, "spend", pd.date_range("2025-01-06", periods=21), ["meta"], _apart(days["day"]))["meta"]
    assert line.iloc[9] == pytest.approx(100)
    assert line.iloc[10:17].tolist() == pytest.approx([600 / 7] * 7)
