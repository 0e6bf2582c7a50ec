"""The router: sticky arms, recorded once, the same on every replica."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from kserve import InferInput, InferRequest
from kserve.errors import InvalidInput

from crossmix.ledger import experiments
from crossmix.ledger.tables import assignments
from serving.allocation.answer import Answerer
from serving.assignment.arms import Experiment
from serving.assignment.users import hashed
from serving.live.live import Live
from serving.protocol.predictor import ArmModel
from serving.protocol.router import ARM_HEADER, Elsewhere, Here, PredictorAwayError, RouterModel
from tests.support.serving_run import CAMPAIGNS


@pytest.fixture
def router(live: Live) -> RouterModel:
    return RouterModel(live, Here(Answerer(live)))


def route(router: RouterModel, *users: str, **more: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
    body = {"instances": [{"campaign_id": CAMPAIGNS[0], "user_id": user, **more} for user in users]}
    headers: dict[str, str] = {}
    told = asyncio.run(router.predict(body, None, headers))
    return told["predictions"], headers


def test_an_arm_is_the_experiments_and_stays(router: RouterModel, live: Live) -> None:
    users = [f"user {n}" for n in range(400)]
    answers, headers = route(router, *users)
    arms = [answer["arm"] for answer in answers]
    other = Experiment(live.experiment.id, live.config.serving.salt)
    assert arms == [other.arm(user) for user in users]
    assert 0.62 < arms.count("policy") / len(arms) < 0.78
    assert ARM_HEADER not in headers
    replica = RouterModel(live, Here(Answerer(live)))
    assert [answer["arm"] for answer in route(replica, *users)[0]] == arms
    assert route(router, users[0])[1][ARM_HEADER] == arms[0]


def test_assignments_are_written_once_under_a_hash(router: RouterModel, live: Live) -> None:
    for _ in range(3):
        route(router, "ann", "bob")
    live.recorder.flush()
    with live.store.read() as connection:
        rows = connection.execute(sa.select(assignments)).mappings().all()
    assert {row["user"] for row in rows} == {hashed(user, live.experiment.salt) for user in ("ann", "bob")}
    by = {row["user"]: row for row in rows}
    for user in ("ann", "bob"):
        row = by[hashed(user, live.experiment.salt)]
        assert (row["arm"], row["bucket"]) == (live.experiment.arm(user), live.experiment.bucket(user))
    assert "ann" not in str(rows)


def test_v2_gives_the_same_arms(router: RouterModel) -> None:
    users = [f"user {n}" for n in range(20)]
    want = [answer["arm"] for answer in route(router, *users)[0]]
    request = InferRequest(
        "router",
        [
            InferInput("user_id", [20], "BYTES", users),
            InferInput("campaign_id", [20], "BYTES", [CAMPAIGNS[0]] * 20),
        ],
    )
    answer = asyncio.run(router.predict(request, None, {}))
    assert list(answer.get_output_by_name("arm").data) == want


def test_once_the_experiment_has_ended_everybody_gets_the_whole_budgets_static_split(
    router: RouterModel, live: Live
) -> None:
    experiments.end(live.store, live.experiment.id, "ROI fell", "guardrail")
    live.reload()
    answers, _ = route(router, *(f"user {n}" for n in range(20)))
    assert {answer["arm"] for answer in answers} == {"control"}
    # The cycle in which it ended was shared; those that begin later are the control's alone.
    assert answers[0]["budget"] == pytest.approx(300)
    assert route(router, "ann", cycle=answers[0]["cycle"] + 1)[0][0]["budget"] == pytest.approx(1_000)
    assert "ROI fell" in answers[0]["notes"][0]
    live.recorder.flush()
    with live.store.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(assignments)).scalar_one() == 0


@pytest.mark.parametrize(
    ("instance", "sentence"),
    [
        ({}, "user_id: missing"),
        ({"user_id": ""}, "user_id: ''"),
        ({"user_id": 7}, "user_id: 7"),
        ({"user_id": "x" * 501}, "501 characters"),
        ({"user_id": "\ud800"}, "is no UTF-8"),
        ({"user_id": "ann", "arm": "policy"}, "the router chooses the arm"),
        ({"user_id": "ann", "budget": -1}, "budget: -1"),
    ],
)
def test_what_it_cannot_route_is_refused(router: RouterModel, instance: dict[str, Any], sentence: str) -> None:
    body = {"instances": [{"campaign_id": CAMPAIGNS[0], **instance}]}
    with pytest.raises(InvalidInput, match=sentence):
        asyncio.run(router.predict(body, None, {}))


def test_a_predictor_that_is_away_is_told(live: Live) -> None:
    elsewhere = Elsewhere({"policy": "http://127.0.0.1:9", "control": "http://127.0.0.1:9"})
    router = RouterModel(live, elsewhere)
    with pytest.raises(PredictorAwayError, match=r"predictor (policy|control) at http://127\.0\.0\.1:9"):
        route(router, "ann")
    asyncio.run(elsewhere.close())


def test_a_predictor_answers_its_own_arm_only(live: Live) -> None:
    control = ArmModel("control", Answerer(live))
    with pytest.raises(InvalidInput, match="'policy' is served by model 'policy'"):
        control.predict({"instances": [{"campaign_id": CAMPAIGNS[0], "arm": "policy"}]})
