"""What the page says first, and in which colour."""

from __future__ import annotations

from typing import Any

import pytest

from serving.page import figures, view


def data(experiment: dict[str, Any] | None = None, ended: dict[str, Any] | None = None) -> dict[str, Any]:
    listing = {"running": 3, "total": 5, "paused": 1, "held": 2}
    return {"experiment": experiment, "ended": ended, "listing": listing}


LINE = "The policy is better: ROI +9.0% [+2.0%, +16.0%] after 14 of 14 cycles."


@pytest.mark.parametrize(
    ("experiment", "ended", "headline"),
    [
        (None, None, "No verdict yet: no cycle with feedback has finished"),
        ({"line": LINE}, None, LINE),
        (
            {"line": LINE, "ended": "2026-01-20T10:00:00+00:00", "reason": "as planned"},
            None,
            "The experiment has ended on 2026-01-20: as planned",
        ),
        (
            None,
            {"why": "guardrail roi", "at": "2026-01-20T10:00:00+00:00"},
            "The experiment has ended on 2026-01-20: guardrail roi",
        ),
        (
            {"line": LINE, "ended": "2026-01-20T10:00:00+00:00", "state": "shipped"},
            None,
            "Shipped on 2026-01-20: the policy serves every user",
        ),
        (
            {"line": LINE, "ended": "2026-01-20T10:00:00+00:00", "shipped": "2026-01-22T10:00:00+00:00"},
            {"why": "planned", "at": "2026-01-20T10:00:00+00:00", "everybody": "policy"},
            "Shipped on 2026-01-22: the policy serves every user",
        ),
    ],
)
def test_the_headline_says_whether_it_is_over(
    experiment: dict[str, Any] | None, ended: dict[str, Any] | None, headline: str
) -> None:
    assert view.headline(data(experiment, ended)) == headline
    below = view._sentences(data(experiment, ended))
    assert below[-1] == "3 of 5 campaigns run; 1 paused; 2 held by hand."
    over = bool(ended or (experiment or {}).get("ended"))
    shipped = (experiment or {}).get("state") == "shipped" or (ended or {}).get("everybody") == "policy"
    assert (LINE in below) == (over and experiment is not None)
    shipped = shipped or bool((experiment or {}).get("shipped"))
    assert ("Every user gets the static split now." in below) == (over and not shipped)


@pytest.mark.parametrize(
    ("lift", "low", "high", "kind"),
    [
        (0.1, 0.02, 0.2, "num good"),
        (-0.1, -0.2, -0.02, "num bad"),
        (-0.1, -0.2, 0.02, "num"),
        (0.1, -0.02, 0.2, "num"),
        (-0.1, None, None, "num"),
    ],
)
def test_a_negative_lift_never_has_the_colour_of_a_positive_one(
    lift: float, low: float | None, high: float | None, kind: str
) -> None:
    cell = figures.lift({"lift": lift, "low": low, "high": high})
    assert cell.kind == kind
    assert "?" not in cell.small
    assert cell.small or low is None
    assert figures.lift(None).text == figures.lift({"lift": None}).text == "not yet"


def campaign(days: list[dict[str, Any]]) -> dict[str, Any]:
    return {"campaign_id": "a<b", "currency": "EUR", "cycle_hours": 24.0, "delivery": {"days": days}, "changes": []}


def day(number: int, state: str, spend: float | None) -> dict[str, Any]:
    ratio = None if spend is None else 2.0
    arms = {arm: {"roas": ratio} for arm in ("policy", "control")}
    moment = f"2026-01-{number:02d}"
    figures_ = {
        "spend": spend,
        "revenue": spend,
        "conversions": spend,
        "roas": ratio,
        "cpa": ratio,
        "pace": ratio,
        "left": spend,
    }
    return {
        "date": moment,
        "begins": f"{moment}T00:00:00+00:00",
        "state": state,
        "missing": ["social"] if state == "partly reported" else [],
        "planned": 100.0,
        "told": 100.0,
        "arms": arms,
        "platforms": {},
        **figures_,
    }


def test_what_is_not_final_is_hollow_and_the_unreported_is_no_column() -> None:
    one = campaign(
        [
            day(1, "settled", 90.0),
            day(2, "not reported", None),
            day(3, "conversions due", 80.0),
            day(4, "running", 20.0),
        ]
    )
    chart = str(figures.spend(one))
    assert chart.count("<polygon") == 3
    assert chart.count('class="open"') == 2
    assert ">?</text>" in chart
    assert "a&lt;b" in chart
    ratios = str(figures.roas(one))
    assert ratios.count('class="roas policy"') == 1
    assert ratios.count('class="roas policy open"') == 2
    rows = figures.days(one).rows
    assert [row[1].text for row in rows] == ["running", "conversions due", "not reported", "settled"]
    assert [row[4].text for row in rows] == ["20", "80", "not reported", "90"]
    assert figures.days(campaign([day(1, "partly reported", 5.0)])).rows[0][1].small == "no report of social"


def test_an_interval_with_an_open_end_is_said_in_words() -> None:
    assert figures.lift({"lift": 0.05, "low": None, "high": None}).small == "not yet bounded"
    assert figures.lift({"lift": 0.05, "low": 0.01, "high": None}).small == "at least +1.0\u202f%"
    assert figures.lift({"lift": -0.05, "low": None, "high": -0.01}).small == "at most −1.0\u202f%"


def test_a_change_is_an_upright_at_its_day() -> None:
    days = [day(number, "settled", 90.0) for number in range(1, 8)]
    plain, marked = campaign(days), campaign(days)
    marked["changes"] = [{"at": f"2026-01-{number:02d}T10:00:00+00:00"} for number in (3, 1)]
    marked["changes"].append({"at": "2025-12-31T10:00:00+00:00"})
    for chart in (figures.spend, figures.roas):
        assert str(chart(marked)).count("<line") - str(chart(plain)).count("<line") == 2


@pytest.mark.parametrize(
    ("lift", "value", "mixed"), [({"lift": 0.1}, None, True), ({"lift": 0.1}, 1.2, False), (None, None, False)]
)
def test_an_arm_without_a_roi_beside_a_lift_has_money_in_several_currencies(
    lift: dict[str, Any] | None, value: float | None, mixed: bool
) -> None:
    roi = {"value": value, "low": None, "high": None}
    assert view._mixed({"lift": lift, "roi": {"policy": roi, "control": roi}}) is mixed
    assert not view._mixed(None)


def test_the_table_of_a_split_says_what_differs_and_since_when() -> None:
    differs = "click rate 38 % below usual since 5 cycles"
    line = {
        "share": 1.0, "amount": 700.0, "marginal_roi": 1.5, "marginal_roi_interval": [1.0, 2.0], "binding": None,
        "reason": "free", "differs": differs, "since": [{"quantity": "click_rate", "cycles": 5, "at_least": False}],
    }  # fmt: skip
    search = {"platform": "search", "untried": False, "arms": {"policy": line}}
    one = {"currency": "EUR", "arms": {"policy": {}}, "platforms": [search]}
    table = view._split_table(one)
    column = table.head.index("Differs from usual")
    assert [row[column].text for row in table.rows] == [differs]
    assert "Never tried" not in table.caption
    new = view._split_table(one | {"platforms": [search, search | {"untried": True}]})
    column = new.head.index("Marginal ROI")
    assert [row[column].text for row in new.rows] == ["1.50", "never tried"]
    assert new.rows[1][column].small == ""
    assert "Never tried: the campaign never spent there" in new.caption


def test_a_chart_without_a_report_has_an_axis_of_plain_numbers() -> None:
    """Not the millionths of a height that stands for nothing."""
    silent = day(1, "not reported", None)
    empty = campaign([silent | {"planned": 0.0, "told": None}])
    for chart in (figures.spend, figures.roas):
        assert "0.000" not in str(chart(empty))
        assert ">1<" in str(chart(empty)) or ">1.0<" in str(chart(empty))
