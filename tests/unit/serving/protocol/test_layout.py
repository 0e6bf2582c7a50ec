"""What a server says and asks of a state is of the bundle's layout."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossmix.state import ALLOCATION
from serving.allocation.question import QuestionError, of_instances, of_tensors
from serving.protocol.metadata import question
from serving.protocol.predictor import input_types

SMALL = replace(ALLOCATION, context_size=4, slots=2)
"""4 + 2 x 12 + 8 = 36 numbers."""


@pytest.mark.parametrize(("layout", "size"), [(ALLOCATION, 640), (SMALL, 36)])
def test_metadata_tell_the_size_of_a_state(layout: object, size: int) -> None:
    assert layout.size == size  # type: ignore[attr-defined]
    numbers = question(layout)["properties"]["state"]["anyOf"][0]  # type: ignore[arg-type]
    assert (numbers["minItems"], numbers["maxItems"]) == (size, size)
    shapes = {row["name"]: row["shape"] for row in input_types(layout)}  # type: ignore[arg-type]
    assert shapes["state"] == [-1, size]
    assert shapes["campaign_id"] == [-1]


def _ask(state: object) -> dict[str, object]:
    return {"instances": [{"campaign_id": "spring", "state": state}]}


def test_a_question_brings_a_state_of_the_layout() -> None:
    (asked,) = of_instances(_ask([0.5] * 36), SMALL)
    assert asked.state_S is not None
    assert asked.state_S.tolist() == [0.5] * 36
    tensors = {"campaign_id": np.array(["spring"]), "state": np.full((1, 36), 0.5, np.float32)}
    (asked,) = of_tensors(tensors, SMALL)
    assert asked.state_S is not None
    assert asked.state_S.tolist() == [0.5] * 36
    (asked,) = of_instances(_ask({"p1_win_rate": 0.5}), SMALL)
    assert asked.statistics == {"p1_win_rate": 0.5}
    with pytest.raises(QuestionError, match=r"instances\[0\]\.state: 640 numbers; send 36 numbers, or an object"):
        of_instances(_ask([0.5] * 640), SMALL)
    with pytest.raises(QuestionError, match=r"inputs\.state: shape \[1, 36\]; want \[1, 640\]"):
        of_tensors(tensors, ALLOCATION)
    with pytest.raises(QuestionError, match=r"state\.p2_win_rate: no statistic of the layout"):
        of_instances(_ask({"p2_win_rate": 0.5}), SMALL)
