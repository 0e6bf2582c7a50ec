"""The Criteo slice's journeys: what they tell, and that the authors' windows measure memory."""

from __future__ import annotations

import pytest

from benchmarks import mtorl
from crossmix.journeys import references
from crossmix.journeys.log import Events
from crossmix.journeys.score import score
from crossmix.journeys.settings import laptop
from crossmix.journeys.told import tells
from crossmix.journeys.windows import overlap
from tests.support.real_data import SLICE

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.skipif(
        not SLICE.exists(), reason="the Criteo slice is neither in $CROSSMIX_SHARED_DATA nor in ../shared/data"
    ),
]


@pytest.fixture(scope="module")
def journeys() -> Events:
    return mtorl.load(SLICE)


def test_its_eleven_channels_have_something_to_learn_and_its_campaigns_have_not(journeys: Events) -> None:
    case = mtorl.case_of(journeys, "b", 0, laptop())
    assert (len(journeys), len(journeys.users), case.table.channels) == (110_547, 7_478, 11)
    found = tells(case.table, case.train, case.test)
    assert found.learnable
    assert found.repeats == pytest.approx(0.701, abs=0.001)
    campaigns = mtorl.case_of(mtorl.load(SLICE, "campaign"), "b", 0, laptop())
    found = tells(campaigns.table, campaigns.train, campaigns.test)
    assert found.repeats == pytest.approx(0.998, abs=0.001)
    assert "nothing to learn" in found.sentence


def test_a_look_up_remembers_the_authors_windows_and_nothing_of_other_users(journeys: Events) -> None:
    f1 = {}
    for part in ("a", "b"):
        case = mtorl.case_of(journeys, part, 0, laptop())
        for name in ("1-NN", "repeat-last"):
            answers = references.load(name)(case.table, case.train, case.validation, 0)(case.test)
            f1[part, name] = score(answers, case.table, case.test)["f1"].value
        if part == "a":
            found = overlap(journeys, case.train, case.test)
            assert found.users > 0.95
            assert 0.45 < found.windows < 0.65
    assert f1["a", "1-NN"] > 0.93
    assert f1["b", "1-NN"] < f1["b", "repeat-last"] - 0.05
    assert f1["b", "repeat-last"] == pytest.approx(0.423, abs=0.002)
