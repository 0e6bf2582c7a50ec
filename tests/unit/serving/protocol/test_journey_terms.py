"""What a request says of campaigns' money: read, one value a campaign, and refused with field, value and remedy."""

from __future__ import annotations

import math
from typing import Any

import pytest

from serving.allocation.question import QuestionError
from serving.protocol.journey_request import of_instances
from serving.protocol.journey_terms import Terms, by_campaign

ASK = {"campaign_id": "c1", "journey": []}


def said(*instances: dict[str, Any]) -> dict[str, Terms]:
    return by_campaign(of_instances({"instances": [{**ASK, **one} for one in instances]}, ("search",)))


def test_one_instance_speaks_for_its_campaign() -> None:
    got = said({}, {"budget_left": 12.5, "top": 3}, {"campaign_id": "c2", "lambda": 0}, {}, {"campaign_id": "c3"})
    assert got == {"c1": Terms(12.5, None, 3), "c2": Terms(None, 0.0, None), "c3": Terms()}
    assert list(got) == ["c1", "c2", "c3"]


def test_the_same_said_twice_is_said_once() -> None:
    assert said({"budget_left": 12}, {"budget_left": 12.0, "top": 0}) == {"c1": Terms(12.0, None, 0)}


@pytest.mark.parametrize(
    ("instances", "says"),
    [
        ([{"budget_left": -1}], "instances[0].budget_left: -1; give what these instances may cost together"),
        ([{"budget_left": "5"}], "instances[0].budget_left: '5'; give what"),
        ([{"budget_left": True}], "instances[0].budget_left: True; give what"),
        ([{"budget_left": math.nan}], "instances[0].budget_left: nan; give what"),
        ([{"budget_left": math.inf}], "instances[0].budget_left: inf; give what"),
        ([{"budget_left": 10**5_000}], "instances[0].budget_left: a number too large; give what"),
        ([{"lambda": -0.5}], "instances[0].lambda: -0.5; give a shadow price, value per cost, 0 or above"),
        ([{"top": 1.5}], "instances[0].top: 1.5; give how many to allocate to at most, a whole number from 0"),
        ([{"top": -1}], "instances[0].top: -1; give how many"),
        ([{"top": True}], "instances[0].top: True; give how many"),
        ([{"top": 10**5_000}], "instances[0].top: a number too large; give how many"),
        (
            [{"budget_left": 5, "lambda": 0.5}],
            "instances[0].lambda: 0.5 beside budget_left 5; send one of them: a budget finds its own lambda",
        ),
        (
            [{"budget_left": 5}, {"campaign_id": "c2"}, {"budget_left": 6}],
            "instances[2].budget_left: 6.0, where instances[0].budget_left says 5.0 of the same campaign",
        ),
        ([{"lambda": 1}, {"lambda": 2}], "instances[1].lambda: 2.0, where instances[0].lambda says 1.0"),
        ([{"top": 1}, {}, {"top": 2}], "instances[2].top: 2, where instances[0].top says 1"),
        (
            [{"budget_left": 5}, {"lambda": 0.5}],
            "instances[1].lambda: of campaign 'c1', whose budget_left instances[0] gives; send one of them",
        ),
        (
            [{"lambda": 0.5}, {"budget_left": 5}],
            "instances[0].lambda: of campaign 'c1', whose budget_left instances[1] gives; send one of them",
        ),
    ],
)
def test_what_cannot_be_is_named(instances: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(QuestionError) as told:
        said(*instances)
    assert str(told.value).startswith(says)
