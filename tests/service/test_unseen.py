"""Answers beyond what the history shows: more money than was ever spent, and a campaign that is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from serving.allocation.question import QuestionError
from serving.campaigns import service as campaigns
from serving.live.live import Live
from serving.protocol.predictor import output_types
from tests.support.asking import ask
from tests.support.serving_run import BUDGET, CAMPAIGNS, NAMES

ONE, OTHER = CAMPAIGNS[:2]


@pytest.fixture
def told(live: Live) -> Iterator[Live]:
    """A bundle of a spend history: all of a week went to each platform once at most `BUDGET` / 4, in all `BUDGET`."""
    manifest: Any = live.bundle.manifest
    manifest["ever"] = {name: [*([BUDGET / 4] * len(NAMES)), BUDGET] for name in CAMPAIGNS}
    manifest["ended"] = {OTHER: "2025-08-09"}
    yield live
    del manifest["ever"], manifest["ended"]


def amounts(answer: dict[str, Any]) -> dict[str, float]:
    return {line["platform"]: line["amount"] for line in answer["allocation"]}


@pytest.mark.parametrize(("arm", "part"), [("policy", 0.7), ("control", 0.3)])
def test_amounts_beyond_what_was_ever_spent_are_told_of_an_arms_part(told: Live, arm: str, part: float) -> None:
    """An arm with 70 % of the users at 70 % of the money spends as much per user as all would."""
    answer = ask(told, arm, explore=False)
    beyond = {name for name, amount in amounts(answer).items() if amount > 1.1 * part * BUDGET / 4}
    notes = [note for note in answer["notes"] if "beyond what was ever spent" in note]
    assert bool(notes) == bool(beyond)
    more = ask(told, arm, explore=False, budget=2 * part * BUDGET)
    (note,) = (note for note in more["notes"] if "beyond what was ever spent" in note)
    assert f"this split is beyond what was ever spent on {part:.0%} of the users (" in note
    assert f"{2 * part * BUDGET:,.2f} where the most in a week was {part * BUDGET:,.2f} EUR a cycle" in note
    for name, amount in amounts(more).items():
        said = f"{name} {amount:,.2f} where the most in a week was {part * BUDGET / 4:,.2f}"
        assert (said in note) == (amount > 1.1 * part * BUDGET / 4)
    assert f"T{note[1:]}." in more["reasons"]
    less = ask(told, arm, explore=False, budget=0.2 * part * BUDGET)
    assert not any("beyond" in note for note in less["notes"])


def test_a_budget_that_nothing_tells_of_is_refused_as_allocate_refuses_it(told: Live) -> None:
    """The table of responses ends at eight times the plan; the arm has 70 % of it."""
    most = 8 * 0.7 * BUDGET
    assert ask(told, budget=0.99 * most)["expected_revenue"] > 0
    with pytest.raises(QuestionError) as error:
        ask(told, budget=7_000)
    assert str(error.value) == (
        "instances[0].budget: 7,000 EUR is 10.0 times the most that was spent in a week on 70% of the users (700 per "
        f"cycle), and no history tells what so much would earn; give at most {most:,.0f}"
    )


def test_a_plan_that_nothing_tells_of_is_split_and_earns_nobody_knows_what(told: Live) -> None:
    campaigns.edit(told.store, ONE, {"cycle_budget": 20 * BUDGET}, NAMES, "ann")
    told.reload()
    answer = ask(told, explore=False)
    assert sum(amounts(answer).values()) == pytest.approx(answer["budget"], rel=1e-4)
    assert answer["budget"] > 8 * 0.7 * BUDGET
    assert (answer["expected_revenue"], answer["expected_revenue_interval"]) == (None, None)
    assert {line["marginal_roi"] for line in answer["allocation"]} == {None}
    assert any("no history tells what so much would earn" in note for note in answer["notes"])
    assert not any("knows no response" in reason for reason in answer["reasons"])


def test_a_campaign_that_is_over_says_so(told: Live) -> None:
    answer = ask(told, campaign=OTHER)
    (note,) = (note for note in answer["notes"] if "ended on" in note)
    assert note.startswith(f"campaign {OTHER} ended on 2025-08-09 in the history that the policy was made of, and no")
    assert f"{answer['budget']:,.2f} EUR of this cycle are for the case that it came back" in note
    assert f"C{note[1:]}." in answer["reasons"]
    campaigns.pause(told.store, OTHER, "ann")
    told.reload()
    paused = ask(told, campaign=OTHER)
    assert paused["budget"] == 0
    assert any(note.endswith("resume it where it comes back") for note in paused["notes"])
    assert not any("ended on" in note for note in ask(told)["notes"])


def test_another_currency_is_compared_with_nothing(told: Live) -> None:
    campaigns.edit(told.store, ONE, {"currency": "JPY", "cycle_budget": 20 * BUDGET}, NAMES, "ann")
    told.reload()
    assert not any("ever spent" in note or "no history" in note for note in ask(told)["notes"])


def test_tensors_tell_notes_too() -> None:
    assert {"name": "notes", "datatype": "BYTES", "shape": [-1]} in output_types()


def test_shares_are_what_they_were(live: Live) -> None:
    before = np.array(list(amounts(ask(live, explore=False)).values()))
    live.bundle.manifest["ever"] = {ONE: [*([1.0] * len(NAMES)), 1e9]}  # type: ignore[index]
    after = np.array(list(amounts(ask(live, explore=False, cycle=0)).values()))
    del live.bundle.manifest["ever"]  # type: ignore[attr-defined]
    assert after == pytest.approx(before, rel=1e-6)
