"""Questions about journeys: what is read, and what is refused with the field's name."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.allocation.question import QuestionError
from serving.protocol.journey_request import CONVERTED, JOURNEY, JourneyQuestion, Step, of_instances

CHANNELS = ("search", "social", "video")
STEP = {"channel": "video", "clicked": True, "cost": 0.5, "seconds_ago": 60}
GOOD = {"campaign_id": "c1", "user_id": "ann", "journey": [STEP, {**STEP, "channel": "search", "seconds_ago": 5.5}]}


def read(*instances: Any) -> list[JourneyQuestion]:
    return of_instances({"instances": list(instances)}, CHANNELS)


def test_a_question_is_read() -> None:
    [got] = read({**GOOD, "costs": {"search": 0.4, "video": 0}})
    assert got == JourneyQuestion(
        "c1",
        "instances[0]",
        "ann",
        (Step(2, True, 0.5, 60.0), Step(0, True, 0.5, 5.5)),
        {"search": 0.4, "video": 0.0},
    )


def test_a_conversion_says_when_it_became_known() -> None:
    [got] = read(changed(converted_seconds_ago=2))
    assert got.journey is not None
    assert [one.converted_ago for one in got.journey] == [None, 2.0]
    for ago, says in (
        (61, "61 before an exposure 60 s ago; a conversion follows it"),
        (-1, "-1; give when the conversion became known"),
        (True, "True; give when"),
        (math.nan, "nan; give when"),
    ):
        with pytest.raises(QuestionError) as told:
            read(changed(converted_seconds_ago=ago))
        assert str(told.value).startswith(f"instances[0].journey[1].converted_seconds_ago: {says}")


def test_a_user_without_a_journey_and_a_journey_without_a_user() -> None:
    first, second = read({"campaign_id": "c1", "user_id": "ann"}, {"campaign_id": "c1", "journey": []})
    assert (first.journey, first.user_id, first.costs) == (None, "ann", {})
    assert (second.journey, second.user_id, second.where) == ((), None, "instances[1]")


def changed(**changes: Any) -> dict[str, Any]:
    """`GOOD` with a change in its second step."""
    return {**GOOD, "journey": [STEP, {**STEP, **changes}]}


@pytest.mark.parametrize(
    ("instance", "says"),
    [
        (7, "instances[0]: 7; send an object"),
        ({"user_id": "ann"}, "instances[0].campaign_id: missing; name a campaign"),
        ({**GOOD, "campaign_id": ""}, "instances[0].campaign_id: ''; name a campaign"),
        ({**GOOD, "campaign_id": "x" * 501}, "instances[0].campaign_id: 501 characters; send at most 500"),
        ({**GOOD, "user_id": 7}, "instances[0].user_id: 7; send the user's id as text"),
        ({"campaign_id": "c1"}, "instances[0].user_id: missing, and so is journey; send one of them"),
        ({**GOOD, "budget": 5}, "instances[0].budget: unknown field; use campaign_id, user_id, journey, costs"),
        ({**GOOD, "journey": {}}, "instances[0].journey: an object; send an array of exposures"),
        ({**GOOD, "journey": [STEP] * 1_001}, "instances[0].journey: 1,001 exposures; send the latest 1,000"),
        ({**GOOD, "journey": [STEP, 5]}, "instances[0].journey[1]: 5; send an object of channel, clicked"),
        (
            changed(channel="radio"),
            "journey[1].channel: 'radio' is no channel of this model; use search, social, video",
        ),
        (changed(channel=["search"]), "journey[1].channel: an array is no channel"),
        (changed(clicked=1), "journey[1].clicked: 1; use true or false"),
        (changed(cost=-0.1), "journey[1].cost: -0.1; give what the exposure cost, 0 or above"),
        (changed(cost=math.nan), "journey[1].cost: nan; give"),
        (changed(cost=math.inf), "journey[1].cost: inf; give what the exposure cost, 0 or above, 1e+15 at most"),
        (changed(cost=1e16), "journey[1].cost: 1e+16; give what the exposure cost, 0 or above, 1e+15 at most"),
        (changed(cost=10**5_000), "journey[1].cost: a number too large; give"),
        (changed(cost=True), "journey[1].cost: True; give"),
        (changed(cost="1"), "journey[1].cost: '1'; give"),
        (changed(seconds_ago=-1), "journey[1].seconds_ago: -1; give how long ago it was"),
        (changed(seconds_ago=61), "journey[1].seconds_ago: 61 after 60; order the exposures by time"),
        (changed(colour=1), "journey[1].colour: unknown field; use channel, clicked, cost, seconds_ago"),
        (changed(conversion=1), "journey[1].conversion: whether the user converts within 30 days; it is written later"),
        (changed(attribution=1), "journey[1].attribution: whether that conversion was credited to Criteo; it is writ"),
        (changed(click_nb=1), "journey[1].click_nb: how many clicks there will have been before a conversion; it is"),
        (changed(cpo=1), "journey[1].cpo: what the order will cost; it is written later than it would be used, drop"),
        ({**GOOD, "journey": [{**STEP, "cost": None}]}, "journey[0].cost: missing; give"),
        ({**GOOD, "costs": [1]}, "instances[0].costs: an array; send an object by channel"),
        ({**GOOD, "costs": {"radio": 1}}, "instances[0].costs: 'radio' is no channel of this model"),
        ({**GOOD, "costs": {"video": -1}}, "instances[0].costs.video: -1; give a cost of 0 or above"),
    ],
)
def test_what_cannot_be_answered_is_named(instance: Any, says: str) -> None:
    with pytest.raises(QuestionError) as told:
        read(instance)
    assert says in str(told.value)
    assert len(str(told.value)) < 300


@pytest.mark.parametrize("body", [None, [], {}, {"instances": []}, {"instances": {}}, "x"])
def test_a_body_without_instances(body: Any) -> None:
    with pytest.raises(QuestionError, match="instances: missing or empty"):
        of_instances(body, CHANNELS)


def test_more_than_are_answered_at_once() -> None:
    one = {"campaign_id": "c1", "user_id": "ann"}
    assert len(read(*[one] * 512)) == 512
    with pytest.raises(QuestionError, match="instances: 513 questions; send 1 to 512 a request"):
        read(*[one] * 513)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(CHANNELS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*JOURNEY["properties"], *STEP, "other"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(ANY)
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_read_or_refused(body: Any) -> None:
    told: list[str] = []
    try:
        got = of_instances({"instances": [body]}, CHANNELS)
    except QuestionError as error:
        told.append(str(error))
    if told:
        assert told[0].startswith("instances[0]")
    else:
        assert got[0].campaign_id
        assert json.dumps(body)


def test_the_schema_names_what_is_read() -> None:
    assert set(JOURNEY["properties"]) == {"campaign_id", "user_id", "journey", "costs", "budget_left", "lambda", "top"}
    assert set(JOURNEY["properties"]["journey"]["items"]["properties"]) == {*STEP, CONVERTED}
