"""What a person may say of held cells: which of them it is about, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from serving.feedback.decision import Decision
from serving.fields import CampaignError

GIVEN = {"campaign_id": "spring", "state": "confirmed"}


@pytest.mark.parametrize(
    ("given", "cycles"),
    [
        ({}, None),
        ({"first": 3}, (3, 2**31 - 1)),
        ({"last": 0}, (0, 0)),
        ({"last": 5}, (0, 5)),
        ({"first": 4, "last": 4}, (4, 4)),
    ],
)
def test_cycles_are_those_from_first_to_last(given: dict[str, int], cycles: tuple[int, int] | None) -> None:
    assert Decision.read({**GIVEN, **given}).cycles == cycles


def test_what_is_left_out_is_all_that_is_held() -> None:
    one = Decision.read(GIVEN)
    assert (one.arm, one.platform, one.again, one.reason) == (None, None, False, "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"first": 5, "last": 4}, "last: 4 lies before first, 5; give the later cycle last"),
        ({"first": -1}, "give a whole number from 0"),
        ({"state": "held"}, "use confirmed (believed from now on) or discarded (unknown for good)"),
        ({"arm": "other"}, "use policy or control"),
        ({"cycles": [1, 2]}, "send first and last"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_remedy(given: dict[str, Any], said: str) -> None:
    with pytest.raises(CampaignError) as refused:
        Decision.read({**GIVEN, **given})
    assert said in str(refused.value)
