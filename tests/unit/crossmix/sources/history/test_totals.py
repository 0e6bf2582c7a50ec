"""Names that are the sum of others: of all, of some, for a time, with or without every figure, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history import totals
from tests.support.bent_histories import planted
from tests.unit.crossmix.sources.history.test_load import FIGURES, assert_same, taken, written

FOUR = planted(60, seed=40021)


def summed(name: str, of: tuple[str, ...] = ()) -> pd.DataFrame:
    """A day's rows of some platforms, or of all, as one."""
    rows = FOUR[FOUR["platform"].isin(of)] if of else FOUR
    return rows.groupby("date", as_index=False)[FIGURES].sum().round(2).assign(platform=name)


def beside(*sums: pd.DataFrame) -> str:
    return pd.concat([FOUR, *sums])[["date", "platform", *FIGURES]].to_csv(index=False)


def campaigns(name: str) -> pd.DataFrame:
    """Two campaigns on each platform, and what they have together."""
    first = FOUR.assign(campaign="brand", **{one: FOUR[one] // 3 for one in FIGURES})
    second = FOUR.assign(campaign="rest", **{one: FOUR[one] - first[one] for one in FIGURES})
    return pd.concat([first, second, FOUR.assign(campaign=name)])[["date", "platform", "campaign", *FIGURES]]


REFUSED = {
    "of some": (
        beside(summed("Paid social", ("social", "video"))),
        "'Paid social' spends day by day what social, video spend together",
    ),
    "groups and their total": (
        beside(summed("Paid", ("search", "display")), summed("Total"), summed("Paid social", ("social", "video"))),
        "spends day by day what (search, display|display, search|social, video) spend together",
    ),
    "spend alone": (beside(summed("Blended").assign(**dict.fromkeys(FIGURES[1:], ""))), r"what the others \(display"),
    "people counted once": (
        beside(summed("Blended").assign(impressions=lambda t: (t["impressions"] * 0.9).round(), clicks="")),
        r"'Blended' spends day by day what the others \(",
    ),
    "with fees": (
        beside(summed("Blended").assign(spend=lambda t: (t["spend"] * 1.03).round(2))),
        r"'Blended' spends day by day what the others \(",
    ),
    "for a time": (beside(summed("Blended")[lambda t: t["date"] > "2025-02-10"]), r"'Blended' spends day by day"),
    "of campaigns": (campaigns("everything").to_csv(index=False), r"campaign: 'everything' of 'display' spends"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_money_that_would_count_twice_is_refused(kind: str, tmp_path: Path) -> None:
    text, message = REFUSED[kind]
    with pytest.raises(DataError, match=f"{message}.*say --accept total"):
        taken(written(tmp_path, text))


@pytest.mark.parametrize("name", ["Total", ""])
def test_a_total_of_two_campaigns_is_left_out_and_told(name: str, tmp_path: Path) -> None:
    table = campaigns(name)
    history = taken(written(tmp_path, table.to_csv(index=False)))
    kept = pd.DataFrame(history.columns)
    assert set(kept["campaign"]) == {"brand", "rest"}
    wanted = table[table["campaign"] != name]
    assert pd.to_numeric(kept["spend"]).sum() == pytest.approx(wanted["spend"].sum())
    assert sum("is the sum of the others, day by day; its rows are left out" in note for note in history.notes) == 4


def test_a_total_with_blank_delivery_is_left_out(tmp_path: Path) -> None:
    text = beside(summed("Gesamt").assign(impressions="", clicks=""))
    assert_same(taken(written(tmp_path, text)), FOUR)


def test_fixed_budgets_that_add_up_are_no_total(tmp_path: Path) -> None:
    fixed = {"search": 600.0, "social": 300.0, "video": 200.0, "display": 100.0}
    table = FOUR.assign(spend=FOUR["platform"].map(fixed))
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


def test_platforms_that_hold_each_other_up_are_no_total(tmp_path: Path) -> None:
    rng = np.random.default_rng(40022)
    near = summed("network").assign(spend=lambda t: (t["spend"] * rng.normal(1, 0.05, len(t))).round(2))
    near = near.assign(**{name: (near[name] * rng.normal(1, 0.05, len(near))).round() for name in FIGURES[1:4]})
    taken(written(tmp_path, beside(near)))


def test_a_total_of_one_campaign_is_left_out(tmp_path: Path) -> None:
    one = FOUR.assign(campaign="brand")
    table = pd.concat([one, FOUR.assign(campaign="Total")])
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), FOUR)


def test_fixed_shares_of_a_plan_are_no_total(tmp_path: Path) -> None:
    """15 % of each day's money is what 5 and 10 % are together, to the cent, and 65 what all others are less one."""
    share = {"search": 0.5, "social": 0.15, "video": 0.1, "display": 0.05}
    day = pd.to_datetime(FOUR["date"]).dt.dayofyear
    table = FOUR.assign(spend=(FOUR["platform"].map(share) * (900 + 130 * np.sin(day)).round() * 20).round(2))
    table["spend"] = table["spend"].where(table["platform"] != "search", table["spend"] * 0.6)
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


def test_half_of_a_plan_is_no_total_of_shares_that_move(tmp_path: Path) -> None:
    """Search has half of each day's money; what the others have of the rest is planned anew each month."""
    day = pd.to_datetime(FOUR["date"])
    plan = (900 + 130 * np.sin(day.dt.dayofyear)).round() * 20
    share = {
        month: {"search": 0.5, "social": 0.3 - moved, "video": 0.15 + moved, "display": 0.05}
        for month, moved in ((1, 0.0), (2, 0.1), (3, 0.05))
    }
    parts = [share[month][name] for month, name in zip(day.dt.month, FOUR["platform"], strict=True)]
    table = FOUR.assign(spend=(plan * parts).round(2))
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


def test_two_platforms_of_equal_shares_are_two(tmp_path: Path) -> None:
    """Each has half of a plan to the cent; what they are shown and clicked is their own."""
    one = FOUR[FOUR["platform"] == "search"]
    half = FOUR["platform"].eq("video")
    table = FOUR.assign(spend=FOUR["spend"].where(~half, FOUR["date"].map(one.set_index("date")["spend"])))
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


def test_one_account_is_told_twice_for_a_time(tmp_path: Path) -> None:
    """The second report begins later; its amounts are rounded."""
    again = FOUR[(FOUR["platform"] == "search") & (FOUR["date"] > "2025-01-20")]
    again = again.assign(platform="google / cpc", spend=again["spend"].round(), conversions=0)
    with pytest.raises(DataError, match=r"'search' and 'google / cpc' have the same .*say --accept twice"):
        taken(written(tmp_path, beside(again)))


def test_shares_of_a_plan_without_delivery_are_no_total(tmp_path: Path) -> None:
    """Impressions and clicks are blank, so that nothing but how shares move says what is no sum."""
    share = {"search": 0.5, "social": 0.15, "video": 0.1, "display": 0.05}
    day = pd.to_datetime(FOUR["date"]).dt.dayofyear
    table = FOUR.assign(spend=(FOUR["platform"].map(share) * (900 + 130 * np.sin(day)).round() * 20).round(2))
    blank = table.assign(impressions="", clicks="")
    assert "social" in set(taken(written(tmp_path, blank.to_csv(index=False))).columns["platform"])


@pytest.mark.parametrize("fees", [1.0, 1.3])
def test_of_many_campaigns_only_the_total_is_looked_at_closely(fees: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fees on its spend it is known by the people and the clicks that the others have together."""
    rng = np.random.default_rng(6)
    spend = rng.gamma(4, 20, (40, 60)).round(2)
    days = [f"2025-03-{day:02}" if day < 32 else f"2025-04-{day - 31:02}" for day in range(1, 41)]
    one = {"spend": spend, "impressions": (spend * 20).round(), "clicks": (spend * 0.6).round()}
    together = {name: amounts.sum(1) for name, amounts in one.items()} | {"spend": (fees * spend.sum(1)).round(2)}
    frame = pd.concat(
        [pd.DataFrame({"day": days, "campaign": f"c{at}"} | {k: v[:, at] for k, v in one.items()}) for at in range(60)]
        + [pd.DataFrame({"day": days, "campaign": "everything"} | together)]
    ).assign(platform="search")
    looked: list[int] = []
    chosen = totals._chosen

    def counted(own: Any, rest: Any, **rules: Any) -> Any:
        looked.append(rest["spend"].shape[1])
        return chosen(own, rest, **rules)

    monkeypatch.setattr(totals, "_chosen", counted)
    found = totals.found(frame)
    assert found is not None
    assert (found.name, found.whole, found.platform) == ("everything", True, "search")
    assert looked == [60]
