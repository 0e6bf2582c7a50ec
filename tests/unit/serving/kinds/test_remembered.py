"""Users that send no journey: the answer is that of the journey which the feature store has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmix.clock import MemoryClock
from crossmix.config import load
from crossmix.journeys import bundled
from crossmix.journeys.bundled import JourneyBundle
from crossmix.journeys.log import Events
from feature_repo import journeys as features
from feature_repo.journeys import Exposures, UserJourneys
from serving.allocation.question import QuestionError
from serving.kinds.answering import BusyError, Predictions
from serving.kinds.journey import Journeys
from serving.kinds.remembered import Remembered, steps
from serving.protocol.journey_request import CONVERTED
from tests.support.journeys_asked import PRICES, answers, asked, some_users
from tests.support.journeys_run import learned

START = datetime(2025, 3, 1, tzinfo=UTC).timestamp()
WINDOW_AND_MEMORY = 49
"""Exposures that `feature_repo.journeys.build` keeps of a user by default."""


def logged() -> Events:
    """Users' exposures at times since 1970."""
    events = some_users()
    return replace(events, seconds_R=events.seconds_R + START, known_R=events.known_R + START)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The feature folder of that log."""
    out = tmp_path_factory.mktemp("features")
    patch = pytest.MonkeyPatch()
    patch.setattr(features, "read", lambda dataset: logged())
    features.build(load("laptop", ["task=journeys"]), out, out)
    patch.undo()
    return out


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> JourneyBundle:
    config = load("laptop", ["task=journeys", "journeys.encoder=gru", "journeys.learning.width=16"])
    to = tmp_path_factory.mktemp("journey") / "bundle"
    return bundled.save(to, learned().response, config=config, prices={"cheap": PRICES}, data_digest="d")


@pytest.fixture
def clock() -> MemoryClock:
    return MemoryClock(datetime.fromtimestamp(logged().seconds_R.max() + 1, UTC))


@pytest.fixture
def journeys(bundle: JourneyBundle, folder: Path, clock: MemoryClock) -> Journeys:
    return Journeys(bundle, folder, clock)


def numbers(said: Predictions) -> list[dict[str, Any]]:
    return [{key: one[key] for key in one if key != "why"} for one in said]


def without(question: dict[str, Any]) -> dict[str, Any]:
    return {key: question[key] for key in question if key != "journey"}


def sent(one: Exposures, now: float) -> list[dict[str, Any]]:
    """What the store has, as a question sends it."""
    rows = zip(one.channel, one.clicked, one.cost, one.seconds, one.known, strict=True)
    return [
        {"channel": channel, "clicked": clicked, "cost": cost, "seconds_ago": now - seconds}
        | ({} if sold is None else {CONVERTED: now - sold})
        for channel, clicked, cost, seconds, sold in rows
    ]


def test_the_answer_is_that_of_the_same_journey_sent(journeys: Journeys, folder: Path, clock: MemoryClock) -> None:
    """Every number of it, bit for bit; `why` alone says whence the journey is."""
    _, questions = asked(logged())
    users = [one["user_id"] for one in questions]
    stored = [one for one in UserJourneys(folder).of(users) if one is not None]
    assert len(stored) == len(questions) > 5
    now = clock().timestamp()
    same = [{**one, "journey": sent(kept, now)} for one, kept in zip(questions, stored, strict=True)]
    got, meant = answers(journeys, *map(without, questions)), answers(journeys, *same)
    assert numbers(got) == numbers(meant)
    for one, other, question in zip(got, meant, same, strict=True):
        assert one["why"][:-1] == other["why"]
        assert one["why"][-1].startswith(
            f"journey: {len(question['journey'])} exposures of the feature store, the last"
        )


def test_the_answer_is_that_of_the_whole_log(journeys: Journeys) -> None:
    """More is kept of a user than summaries count, so that every step which is read has training's features."""
    events = logged()
    assert np.bincount(events.user_R).max() <= WINDOW_AND_MEMORY
    users, questions = asked(events)
    meant = journeys.bundle.answer(events)
    for user, said in zip(users, answers(journeys, *map(without, questions)), strict=True):
        for name in ("click", "conversion"):
            got = [one[name] for one in said["channels"]]
            np.testing.assert_allclose(got, getattr(meant, f"{name}_UC")[user], rtol=1e-4, atol=1e-7, err_msg=name)


def test_tensors_may_leave_journeys_out_too(journeys: Journeys) -> None:
    _, questions = asked(logged())
    inputs = {name: np.array([one[name].encode() for one in questions], object) for name in ("campaign_id", "user_id")}
    meant = answers(journeys, *map(without, questions))
    assert journeys.answer(journeys.of_tensors(inputs)) == meant
    inputs["user_id"][1] = b""
    with pytest.raises(QuestionError, match=r"instances\[1\]\.user_id: missing, and so is journey"):
        journeys.of_tensors(inputs)


def test_only_gaps_count_and_not_how_long_ago_they_were(journeys: Journeys, clock: MemoryClock) -> None:
    _, questions = asked(logged())
    soon = answers(journeys, *map(without, questions))
    clock.set(datetime(2031, 1, 1, tzinfo=UTC))
    late = answers(journeys, *map(without, questions))
    for one, other in zip(soon, late, strict=True):
        assert one["why"][-1] != other["why"][-1]
        for name in ("click", "conversion"):
            values = ([row[name] for row in said["channels"]] for said in (one, other))
            np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-7)


def test_what_lies_after_now_is_not_known(clock: MemoryClock) -> None:
    known = Exposures(("a", "b", "a"), (False, True, False), (1.0, 2.0, 3.0), (10.0, 20.0, 30.0), (None, 40.0, 35.0))
    told = steps(known, {"a": 0, "b": 1}, 30.0)
    assert [(one.channel, one.seconds_ago, one.converted_ago) for one in told] == [
        (0, 20, None),
        (1, 10, None),
        (0, 0, None),
    ]
    assert [one.converted_ago for one in steps(known, {"a": 0, "b": 1}, 36.0)] == [None, None, 1.0]
    assert [one.clicked for one in steps(known, {"a": 0, "b": 1}, 29.0)] == [False, True]


def test_a_user_that_the_store_does_not_know_gets_the_prior(journeys: Journeys) -> None:
    [said] = answers(journeys, {"campaign_id": "cheap", "user_id": "nobody"})
    [prior] = answers(journeys, {"campaign_id": "cheap", "user_id": "nobody", "journey": []})
    assert numbers([said]) == numbers([prior])
    assert said["why"] == [*prior["why"], "user_id: the feature store does not know 'nobody'"]
    assert prior["why"][-1].startswith("no exposure is known: probabilities are those of first exposures")


def test_a_journey_that_is_sent_counts(journeys: Journeys, bundle: JourneyBundle) -> None:
    """Also an empty one, and beside questions that send none."""
    _, [question, other, *_] = asked(logged())
    swapped = {**question, "journey": other["journey"]}
    got = answers(journeys, swapped, without(question), {**question, "journey": []})
    alone = Journeys(bundle)
    assert numbers(got[:1]) == numbers(answers(alone, swapped, question, {**question, "journey": []})[:1])
    assert got[0]["why"] == answers(alone, swapped)[0]["why"]
    assert got[1]["channels"] != got[0]["channels"]
    assert got[2]["why"][-1].startswith("no exposure is known")


def test_without_exposures_in_the_store_a_journey_is_asked_for(bundle: JourneyBundle, tmp_path: Path) -> None:
    """A split's feature folder has none."""
    with pytest.raises(QuestionError, match="journey: missing; this server keeps no prices and times"):
        Journeys(bundle, tmp_path).questions({"instances": [{"campaign_id": "cheap", "user_id": "ann"}]})


def test_a_channel_that_the_bundle_does_not_know_is_named(folder: Path, clock: MemoryClock, journeys: Journeys) -> None:
    _, [question, *_] = asked(logged())
    remembered = Remembered(folder, ["elsewhere"], clock)
    with pytest.raises(QuestionError, match=r"instances\[0\]\.user_id: the feature store has an exposure on "):
        remembered.filled(journeys.questions({"instances": [without(question)]}))


def test_a_store_that_cannot_be_read_is_told(journeys: Journeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends journeys alone is answered all the same."""
    assert journeys.remembered is not None
    _, [question, *_] = asked(logged())

    def away(users: Any) -> Any:
        if users:
            raise OSError("disk I/O error")
        return []

    monkeypatch.setattr(journeys.remembered.store, "of", away)
    with pytest.raises(BusyError, match=r"the feature store cannot be read \(disk I/O error\); send the user's"):
        answers(journeys, without(question))
    assert answers(journeys, question)[0]["user_id"] == question["user_id"]
