"""Money below 0: a ledger's sign is turned, credits stay, what lies between is asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossmix.schema import DataError
from tests.support.histories import sound
from tests.unit.crossmix.sources.history.test_load import assert_same, taken, written

PLAIN = sound(40)
SEARCH = PLAIN["platform"] == "search"


@pytest.mark.parametrize("name", ["spend", "revenue"])
@pytest.mark.parametrize("whose", ["all", "search"])
def test_a_ledgers_sign_is_turned(name: str, whose: str, tmp_path: Path) -> None:
    amounts = PLAIN[name].astype(float)
    history = taken(
        written(tmp_path, PLAIN.assign(**{name: amounts.where(~SEARCH & (whose != "all"), -amounts)}).to_csv())
    )
    assert_same(history)
    assert any("is below 0 in every row, as a ledger has it; its sign is turned" in note for note in history.notes)


def test_a_few_credits_stay(tmp_path: Path) -> None:
    table = PLAIN.assign(spend=PLAIN["spend"].astype(float).where(np.arange(len(PLAIN)) % 20 > 0, -5.0))
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


def test_much_below_0_is_asked(tmp_path: Path) -> None:
    table = PLAIN.assign(spend=PLAIN["spend"].where(~SEARCH | (PLAIN["date"] < "2025-01-26"), -PLAIN["spend"]))
    with pytest.raises(DataError, match=r"spend: 'search' has 20 of 40 rows below 0, \d+% of its money; .*write what"):
        taken(written(tmp_path, table.to_csv(index=False)))


def test_one_row_above_0_among_those_below_is_asked(tmp_path: Path) -> None:
    """A ledger has all on one side: a credit booked beside it, or a row that was typed, is for its owner to say."""
    amounts = PLAIN["spend"].astype(float)
    last = PLAIN["date"] == PLAIN["date"].max()
    table = PLAIN.assign(spend=amounts.where(~SEARCH | last, -amounts))
    with pytest.raises(DataError, match=r"spend: 'search' has 39 of 40 rows below 0, 9\d% of its money"):
        taken(written(tmp_path, table.to_csv(index=False)))
