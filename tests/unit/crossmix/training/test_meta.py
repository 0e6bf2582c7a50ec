"""Tasks of meta-training: all different, and the same from the same seed."""

from __future__ import annotations

import json

from crossmix.training.meta import draw_task
from tests.support.markets import make_market


def test_tasks_differ_and_are_the_same_again() -> None:
    base = [make_market(platforms=6)]
    drawn = [draw_task(base, 0, number).scenario["shifts"] for number in range(20)]
    assert drawn == [draw_task(base, 0, number).scenario["shifts"] for number in range(20)]
    assert len({json.dumps(item) for item in drawn}) == 20
    assert drawn != [draw_task(base, 1, number).scenario["shifts"] for number in range(20)]
    assert {len(item[0]["platforms"]) for item in drawn} == {2}
