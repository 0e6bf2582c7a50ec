"""Briefs by V1: a plan each that keeps its brief, what does not fit named by instance, and few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from crossmix.creators import brief as briefs
from crossmix.creators import effect, generated
from crossmix.creators.matrix import check
from crossmix.creators.settings import Effects, Solver
from crossmix.creators.solve import NoPlanError, PlanError
from crossmix.creators.worker import Planner
from crossmix.schema import DataError
from serving.allocation.question import QuestionError
from serving.kinds import creators as module
from serving.kinds.answering import BusyError
from serving.kinds.creators import Creators
from tests.support import creators

WORLD = generated.demo(300, seed=9)
BRIEF: dict[str, Any] = {
    "budget": 40_000,
    "currency": "EUR",
    "channels": ["instagram", "tiktok"],
    "phases": ["teaser", "launch"],
    "tiers": {"head": 500_000, "mid": 50_000, "tail": 0},
    "rules": [creators.ORDER],
}


def planner() -> Planner:
    return Planner(WORLD.catalogue, effect.fit(WORLD.catalogue), Effects(draws=100), Solver(seconds=0.4))


@pytest.fixture
def answering() -> Iterator[Creators]:
    made = Creators(planner())
    yield made
    made.close()


@pytest.mark.slow
def test_a_plan_each_solved_beside_this_process(answering: Creators) -> None:
    answering.warm()
    pid = answering.worker.pid
    assert pid is not None
    bodies = {"instances": [{"brief": BRIEF}, {"brief": {**BRIEF, "budget": 20_000}}]}
    told = answering.answer(answering.questions(bodies))
    assert answering.worker.pid == pid
    for one, budget in zip(told, (40_000, 20_000), strict=True):
        wanted = briefs.of({**BRIEF, "budget": budget})
        chosen = [(choice["creator_id"], choice["phase"]) for choice in one["choices"]]
        assert check(WORLD.catalogue, wanted, chosen) == []
        assert 0 < one["cost"] <= budget
        assert one["low"] < one["effect"] < one["high"]
        assert one["words"]["binding"][0].startswith("budget: ")
        assert one["generated"] is True
        assert orjson.loads(orjson.dumps(one))["cells"][0]["channel"] == "instagram"
    with pytest.raises(QuestionError, match=r"instances\[1\]\.brief\.budget: 10 buys nobody"):
        answering.answer(answering.questions({"instances": [{"brief": BRIEF}, {"brief": {**BRIEF, "budget": 10}}]}))


@pytest.mark.parametrize(
    ("instances", "says"),
    [
        ([], 'instances: missing or empty; send {"instances": [{"brief": {"budget": 100000, ...}}]}'),
        ([{}], "instances[0].brief: missing; send a brief, as brief.yaml of `crossmix plan --example`"),
        ([{"brief": [1]}], "instances[0].brief: an array; send a brief"),
        ([{"brief": BRIEF, "seconds": 5}], "instances[0].seconds: unknown field; use brief"),
        ([{"brief": {**BRIEF, "budgett": 5}}], "instances[0].brief.budgett: unknown key; did you mean budget?"),
        (
            [{"brief": BRIEF}, {"brief": {**BRIEF, "budget": -1}}],
            "instances[1].brief.budget: -1 does not fit; give a number above 0",
        ),
        ([{"brief": {**BRIEF, "budget": 0}}], "instances[0].brief.budget: 0 does not fit; give a number above 0"),
        ([{"brief": {**BRIEF, "channels": []}}], "instances[0].brief.channels: [] does not fit; name at least 1"),
        (
            [{"brief": {**BRIEF, "must_have": ["c1"], "forbidden": ["c1"]}}],
            "instances[0].brief.must_have: 'c1' is forbidden too; drop it from one of the two",
        ),
        ([3], 'instances[0]: 3; send an object, as {"brief": {"budget": 100000, ...}}'),
        ([{"brief": BRIEF}] * 17, "instances: 17 questions; send 1 to 16 a request"),
    ],
)
def test_what_does_not_fit_is_named(answering: Creators, instances: list[Any], says: str) -> None:
    with pytest.raises(QuestionError) as told:
        answering.questions({"instances": instances})
    assert str(told.value).startswith(says)


def test_what_does_not_come_in_time_is_away_for_now(answering: Creators, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(_: object) -> None:
        raise PlanError("no plan within 21.5 s; raise the solver's seconds or grace")

    monkeypatch.setattr(answering.worker, "plan", late)
    with pytest.raises(BusyError, match=r"model creators: instances\[0\]: no plan within 21.5 s"):
        answering.answer(answering.questions({"instances": [{"brief": BRIEF}]}))


def test_who_comes_while_many_wait_is_asked_to_come_again(answering: Creators, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    two = answering.questions({"instances": [{"brief": BRIEF}] * 2})
    answering.admit(two)
    with pytest.raises(BusyError, match="2 briefs wait already; ask again in a while"):
        answering.admit(two)
    answering.admit(two[:1])
    answering.leave(two)
    answering.admit(two)
    answering.leave(two)
    answering.leave(two[:1])
    monkeypatch.setattr(module, "MOST_WAITING", 1)
    answering.admit(two)  # nobody waits: a request of any size is let in


def test_no_plan_whatever_is_asked_again_is_the_briefs(answering: Creators, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, says in (
        (NoPlanError("the walk found no plan that keeps the rules; plan with creators.agent=solver"), "the walk found"),
        (DataError("past_results: all are 0"), "past_results: all"),
    ):

        def refused(_: object, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(answering.worker, "plan", refused)
        with pytest.raises(QuestionError, match=rf"instances\[0\]\.brief: {says}"):
            answering.answer(answering.questions({"instances": [{"brief": BRIEF}]}))
