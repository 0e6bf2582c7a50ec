"""Rows told apart by what was counted: actions, attribution windows, joined tables, Meta's `Results`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from crossmix.schema import DataError
from tests.support.histories import sound
from tests.unit.crossmix.sources.history.test_load import assert_same, taken, written

PLAIN = sound(40)
NONE = {"spend": 0, "impressions": 0, "clicks": 0}


def rows(**kinds: pd.DataFrame) -> pd.DataFrame:
    """A history's rows once for each kind."""
    return pd.concat([table.assign(action_type=kind) for kind, table in kinds.items()])


def counted(times: int, **columns: object) -> pd.DataFrame:
    return PLAIN.assign(conversions=PLAIN["conversions"] * times, revenue=0, **columns)


def test_actions_that_repeat_the_money_are_asked(tmp_path: Path) -> None:
    file = written(tmp_path, rows(purchase=PLAIN, lead=counted(3)).to_csv(index=False))
    with pytest.raises(DataError, match=r"spend: rows of a day have the same spend.*differ in 'action_type'"):
        taken(file)
    doubled = taken(file, "data.repeated=add")
    assert doubled.days["spend"].sum() == pytest.approx(2 * PLAIN["spend"].sum())


@pytest.mark.parametrize("none", [NONE, dict.fromkeys(NONE, "")])
def test_actions_without_money_are_asked(none: dict[str, object], tmp_path: Path) -> None:
    file = written(tmp_path, rows(purchase=PLAIN, lead=counted(3, **none)).to_csv(index=False))
    with pytest.raises(
        DataError, match=r"conversions: 'action_type' .*\('lead' [\d,]+, 'purchase' [\d,]+ conversions\)"
    ):
        taken(file)


def test_one_action_beside_its_money_is_the_day(tmp_path: Path) -> None:
    money = PLAIN.assign(conversions=0, revenue=0)
    assert_same(taken(written(tmp_path, rows(delivery=money, purchase=PLAIN.assign(**NONE)).to_csv(index=False))))


def test_an_hour_in_a_column_tells_parts(tmp_path: Path) -> None:
    first = PLAIN.assign(hour=9, **{name: PLAIN[name] // 3 for name in ("impressions", "clicks", "conversions")})
    first["spend"] = first["revenue"] = 1.0
    second = PLAIN.assign(hour=15)
    for name in ("spend", "impressions", "clicks", "conversions", "revenue"):
        second[name] = PLAIN[name] - first[name]
    assert_same(taken(written(tmp_path, pd.concat([first, second]).to_csv(index=False))))


def test_results_of_several_kinds_are_asked(tmp_path: Path) -> None:
    table = PLAIN.rename(columns={"conversions": "Results"})
    kinds = table["platform"].map({"search": "actions:purchase", "social": "actions:link_click"})
    file = written(tmp_path, table.assign(**{"Result indicator": kinds}).to_csv(index=False))
    with pytest.raises(DataError, match=r"'Results' counts different things \('Result indicator': 'actions:"):
        taken(file)
    assert_same(taken(file, 'data.columns={"conversions":"Results"}'))
    assert_same(taken(written(tmp_path, table.assign(**{"Result type": "Purchase"}).to_csv(index=False))))


def test_calls_that_are_paid_and_shown_nowhere_are_parts(tmp_path: Path) -> None:
    """Money is enough: extensions and calls have a cost and no impressions of their own."""
    calls = PLAIN.assign(spend=5.0, impressions=0, clicks=0, conversions=3, revenue=0)
    history = taken(written(tmp_path, rows(clicks=PLAIN, calls=calls).to_csv(index=False)))
    assert len(history.days) == len(PLAIN)
    assert history.days["spend"].sum() == pytest.approx(PLAIN["spend"].sum() + 5 * len(PLAIN))
    assert history.days["conversions"].sum() == PLAIN["conversions"].sum() + 3 * len(PLAIN)
