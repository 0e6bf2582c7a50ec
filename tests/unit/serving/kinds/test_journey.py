"""Journeys by V1 and V2: what is sent is what the log has of a user, and the choice follows from what is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from crossmix.config import load
from crossmix.journeys import bundled
from serving.allocation.question import QuestionError
from serving.kinds.answering import Predictions
from serving.kinds.journey import Journeys
from tests.support.journeys_asked import PRICES, answers, asked, some_users
from tests.support.journeys_run import learned

CHANNELS = 10


@pytest.fixture(scope="module")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> Journeys:
    config = load("laptop", ["task=journeys", "journeys.encoder=gru", "journeys.learning.width=16"])
    prices = {"cheap": replace(PRICES, shadow=0.0), "dear": replace(PRICES, shadow=10.0)}
    folder = tmp_path_factory.mktemp("journey") / "bundle"
    made = Journeys(bundled.save(folder, learned().response, config=config, prices=prices, data_digest="d"))
    made.warm()
    return made


def test_a_question_says_what_the_log_says(journeys: Journeys) -> None:
    """The features of a request are training's: the answers are those of the log itself."""
    events = some_users()
    assert np.isfinite(events.known_R).sum() > 10
    users, questions = asked(events)
    meant = journeys.bundle.answer(events)
    for user, said in zip(users, answers(journeys, *questions), strict=True):
        for name in ("click", "click_low", "click_high", "conversion", "conversion_low", "conversion_high"):
            got = [one[name] for one in said["channels"]]
            np.testing.assert_allclose(got, getattr(meant, f"{name}_UC")[user], rtol=1e-4, atol=1e-7, err_msg=name)


def test_conversions_that_are_known_are_part_of_a_question(journeys: Journeys) -> None:
    _, questions = asked(some_users())
    silent = [
        {**one, "journey": [{k: v for k, v in step.items() if k != "converted_seconds_ago"} for step in one["journey"]]}
        for one in questions
    ]
    pairs = zip(answers(journeys, *questions), answers(journeys, *silent), strict=True)
    moved = [abs(one["channels"][0]["click"] - other["channels"][0]["click"]) for one, other in pairs]
    assert max(moved) > 1e-6


def test_the_choice_follows_from_value_and_price(journeys: Journeys) -> None:
    _, [question, *_] = asked(some_users())
    costs = {"platform_3": 0.01} if "platform_3" in journeys.bundle.channels else {journeys.bundle.channels[3]: 0.01}
    [cheap] = answers(journeys, question)
    [dear] = answers(journeys, {**question, "campaign_id": "dear"})
    [other] = answers(journeys, {**question, "campaign_id": "dear", "costs": costs})
    for said, shadow in ((cheap, 0.0), (dear, 10.0), (other, 10.0)):
        margin = [one["value"] - shadow * one["cost"] for one in said["channels"]]
        best = int(np.argmax(margin))
        assert said["channel"] == journeys.bundle.channels[best]
        assert said["margin"] == pytest.approx(margin[best])
        assert said["allocate"] is (margin[best] > 0)
        assert said["lambda"] == shadow
        assert [one["probability"] for one in said["channels"]] == [float(at == best) for at in range(CHANNELS)]
        assert said["log_density"] == 0.0
        for one in said["channels"]:
            assert one["value"] == pytest.approx(one["click"] + 5 * one["conversion"])
            assert one["click_low"] < one["click"] < one["click_high"]
    assert cheap["allocate"]
    assert not dear["allocate"]
    assert other["channel"] == next(iter(costs))
    assert other["channels"][3]["cost"] == 0.01
    assert "money earns more elsewhere" in dear["why"][1]
    assert orjson.loads(orjson.dumps(cheap))["user_id"] == question["user_id"]


@pytest.mark.parametrize(
    ("users", "extra", "bought"), [(5, {"top": 2}, 2), (33, {"top": 3}, 3), (20, {"budget_left": 10.0}, 5)]
)
def test_users_whose_journeys_are_the_same_are_answered_alike_and_the_first_come_first(
    journeys: Journeys, users: int, extra: dict[str, Any], bought: int
) -> None:
    """One exposure each, another user's journey between them; an exposure costs 2."""
    step = {"channel": journeys.bundle.channels[0], "clicked": True, "cost": 1.0, "seconds_ago": 60.0}
    one = {"campaign_id": "cheap", "journey": [step]} | extra
    other = {"campaign_id": "dear", "journey": [step, {**step, "clicked": False, "seconds_ago": 30.0}]}
    said = [one for one in answers(journeys, other, *[one] * users, other) if one["campaign_id"] == "cheap"]
    assert [at for at, one in enumerate(said) if one["allocate"]] == list(range(bought))
    assert all(one["channels"] == said[0]["channels"] for one in said)
    assert len({one["why"][0] for one in said}) == 1
    assert len({tuple(one["why"]) for one in said}) == 2  # allocated, or not


def test_a_top_of_0_is_nobody(journeys: Journeys) -> None:
    said = answers(journeys, *[{"campaign_id": "cheap", "journey": [], "top": 0}] * 3)
    assert {one["why"][1] for one in said} == {"top is 0: nobody is allocated to"}
    assert not any(one["allocate"] for one in said)


def test_nobody_gets_the_rates_of_first_exposures(journeys: Journeys) -> None:
    [said] = answers(journeys, {"campaign_id": "cheap", "journey": []})
    rate = learned().log.clicked_R.mean()
    assert 0.5 * rate < np.mean([one["click"] for one in said["channels"]]) < 1.5 * rate
    assert said["why"][-1].startswith("no exposure is known")


@pytest.mark.parametrize(
    ("instance", "says"),
    [
        (
            {"campaign_id": "summer", "journey": []},
            "instances[0].campaign_id: 'summer' has no prices in this model; use cheap, dear",
        ),
        ({"campaign_id": "cheap", "user_id": "ann"}, "instances[0].journey: missing; this server keeps no prices and"),
        ({"campaign_id": "cheap", "journey": [{}]}, "instances[0].journey[0].clicked: missing"),
    ],
)
def test_what_cannot_be_answered_is_named(journeys: Journeys, instance: Any, says: str) -> None:
    with pytest.raises(QuestionError) as told:
        journeys.questions({"instances": [instance]})
    assert str(told.value).startswith(says)


def cost_of(told: Predictions) -> float:
    """What the allocated cost, as a ledger adds it up."""
    return sum(
        next(c["cost"] for c in one["channels"] if c["channel"] == one["channel"]) for one in told if one["allocate"]
    )


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.9])
def test_spend_stays_within_the_budget_at_the_price_that_is_told(journeys: Journeys, part: float) -> None:
    """Every cost is 2: the best choice is the users of the largest values, as many as the budget pays for."""
    _, questions = asked(some_users())
    budget = part * 2.0 * len(questions)
    first, *rest = questions
    told = answers(journeys, {**first, "budget_left": budget}, *rest)
    [shadow] = {one["lambda"] for one in told}
    assert cost_of(told) <= budget
    best = np.array([max(channel["value"] for channel in one["channels"]) for one in told])
    many = int(budget // 2.0)
    assert {row for row, one in enumerate(told) if one["allocate"]} == set(np.argsort(-best)[:many].tolist())
    for one, value in zip(told, best, strict=True):
        assert one["margin"] == pytest.approx(
            max(value - shadow * 2.0, 0.0) if one["allocate"] else value - shadow * 2.0
        )
        assert any(f"of budget_left {budget:.6g} credits" in why for why in one["why"])
    assert shadow > 0


def test_a_budget_for_all_buys_all_at_price_0_and_leaves_other_campaigns_alone(journeys: Journeys) -> None:
    _, questions = asked(some_users())
    dear = [{**one, "campaign_id": "dear"} for one in questions]
    told = answers(journeys, *[{**one, "budget_left": 1e6} for one in dear], *questions[:3])
    assert [(one["lambda"], one["allocate"]) for one in told[: len(dear)]] == [(0.0, True)] * len(dear)
    assert told[len(dear) :] == answers(journeys, *questions[:3])


def test_a_price_of_the_request_is_used_in_place_of_the_bundles(journeys: Journeys) -> None:
    _, questions = asked(some_users())
    told = answers(journeys, {**questions[0], "campaign_id": "dear", "lambda": 0.01}, *questions[1:])
    for one, shadow in zip(told, [0.01] + [0.0] * (len(questions) - 1), strict=True):
        margin = [channel["value"] - shadow * channel["cost"] for channel in one["channels"]]
        assert (one["lambda"], one["margin"]) == (shadow, pytest.approx(max(margin)))
        assert one["allocate"] is (max(margin) > 0)
    assert "lambda is the request's" in told[0]["why"]


def test_the_best_few_are_allocated_to_and_of_equals_the_first(journeys: Journeys) -> None:
    _, questions = asked(some_users())
    told = answers(journeys, {**questions[0], "top": 4}, *questions[1:])
    order = np.argsort([-one["margin"] for one in told], kind="stable")
    assert [row for row, one in enumerate(told) if one["allocate"]] == sorted(order[:4].tolist())
    assert told[order[4]]["why"][1] == "it is above 0, but others come before, and top is 4: not allocated"
    alike = [{"campaign_id": "cheap", "journey": [], "top": 2} for _ in range(5)]
    assert [one["allocate"] for one in answers(journeys, *alike)] == [True, True, False, False, False]
    both = answers(journeys, {**questions[0], "top": 4, "budget_left": 5.0}, *questions[1:])
    assert [row for row, one in enumerate(both) if one["allocate"]] == sorted(order[:2].tolist())


def test_equals_at_the_price_are_bought_as_far_as_the_budget_goes(journeys: Journeys) -> None:
    alike = [{"campaign_id": "dear", "journey": [], "budget_left": 5.0} for _ in range(4)]
    told = answers(journeys, *alike)
    assert [one["allocate"] for one in told] == [True, True, False, False]
    assert [one["margin"] for one in told] == [0.0] * 4
    assert told[0]["why"][1] == "it is 0, and the budget pays for it: allocated"
    assert told[3]["why"][1] == "it is 0, and the budget ends before it: not allocated"
    assert max(channel["value"] for channel in told[0]["channels"]) == pytest.approx(2.0 * told[0]["lambda"])


def test_campaigns_that_are_told_two_things_are_refused(journeys: Journeys) -> None:
    with pytest.raises(
        QuestionError, match=r"instances\[1\].budget_left: 2.0, where instances\[0\].budget_left says 1.0"
    ):
        journeys.questions(
            {"instances": [{"campaign_id": "cheap", "journey": [], "budget_left": part} for part in (1, 2)]}
        )


def tensors(questions: list[dict[str, Any]], channels: int = CHANNELS) -> dict[str, Any]:
    """The same questions as V2 has them, padded to the longest."""
    longest = max(len(one["journey"]) for one in questions)

    def column(name: str, missing: Any, kind: type) -> Any:
        rows = [[step.get(name, missing) for step in one["journey"]] for one in questions]
        return np.array([row + [missing] * (longest - len(row)) for row in rows], kind)

    return {
        "campaign_id": np.array([one["campaign_id"].encode() for one in questions], object),
        "user_id": np.array([one["user_id"].encode() for one in questions], object),
        "channel": column("channel", "", object),
        "clicked": column("clicked", False, bool),
        "cost": column("cost", 0.0, float),
        "seconds_ago": column("seconds_ago", 0.0, float),
        "converted_seconds_ago": column("converted_seconds_ago", np.nan, float),
        "costs": np.full((len(questions), channels), np.nan),
    }


def test_tensors_say_the_same(journeys: Journeys) -> None:
    _, questions = asked(some_users())
    questions[0]["journey"] = questions[0]["journey"][:3]
    said = [one | {"bundle": "b"} for one in answers(journeys, *questions)]
    inputs = tensors(questions)
    got = journeys.answer(journeys.of_tensors(inputs))
    assert got == [{key: one[key] for key in one if key != "bundle"} for one in said]
    nobody = journeys.answer(journeys.of_tensors({name: one for name, one in inputs.items() if name != "user_id"}))
    assert nobody == [one | {"user_id": None} for one in got]
    unsaid = np.full(len(questions), np.nan)
    money: dict[str, Any] = {"budget_left": unsaid, "lambda": unsaid, "top": np.full(len(questions), -1)}
    assert journeys.answer(journeys.of_tensors(inputs | money)) == got
    money = {"budget_left": unsaid.copy(), "top": np.array([3] * len(questions))}
    money["budget_left"][5] = 4.0
    spoken = [{**one, "top": 3} | ({"budget_left": 4.0} if row == 5 else {}) for row, one in enumerate(questions)]
    assert journeys.answer(journeys.of_tensors(inputs | money)) == answers(journeys, *spoken)
    assert sum(one["allocate"] for one in answers(journeys, *spoken)) == 2
    outputs = {one.name: one for one in journeys.outputs(said)}
    assert [one["name"] for one in journeys.output_types()] == list(outputs)
    assert outputs["value"].shape == [len(questions), CHANNELS]
    assert outputs["value"].data[:CHANNELS] == [one["value"] for one in said[0]["channels"]]
    assert outputs["channels"].data == list(journeys.bundle.channels)
    assert outputs["allocate"].data == [one["allocate"] for one in said]
    assert {one["name"] for one in journeys.input_types()} == {*inputs, "budget_left", "lambda", "top"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gender": np.zeros(12)}, "inputs.gender: unknown input; use campaign_id, user_id, channel"),
        ({"click_nb": np.zeros(12)}, "inputs.click_nb: how many clicks there will have been before a conversion; it "),
        ({"cost": None}, "inputs.cost: missing; send all of campaign_id, channel, clicked, cost, seconds_ago"),
        ({"clicked": np.zeros((12, 3))}, "inputs.clicked: float64; send BOOL"),
        ({"cost": np.array([[b"1"]], object)}, "inputs.cost: BYTES; send FP64"),
        ({"cost": np.zeros((12, 2))}, "inputs.cost: shape [12, 2]; send [12, "),
        ({"user_id": np.array([b"ann"], object)}, "inputs.user_id: shape [1]; send [12]"),
        (dict.fromkeys(("channel", "clicked", "cost", "seconds_ago")), "inputs.channel: missing; send all of"),
        ({"costs": np.zeros((12, 3))}, "inputs.costs: shape [12, 3]; send [12, 10]"),
        ({"top": np.ones(12)}, "inputs.top: float64; send INT64"),
        ({"top": np.full(12, -2)}, "instances[0].top: -2; give how many"),
        ({"lambda": np.ones((12, 1))}, "inputs.lambda: shape [12, 1]; send [12]"),
        ({"budget_left": np.arange(12)}, "instances[1].budget_left: 1.0, where instances[0].budget_left says 0.0"),
        ({"campaign_id": np.array([], object)}, "inputs.campaign_id: no question; send a name each"),
        ({"campaign_id": np.array([b"\xff"] * 12, object)}, "inputs.campaign_id: not UTF-8; send text"),
    ],
)
def test_tensors_that_do_not_fit_are_named(journeys: Journeys, change: dict[str, Any], says: str) -> None:
    _, questions = asked(some_users())
    inputs = {name: one for name, one in (tensors(questions) | change).items() if one is not None}
    with pytest.raises(QuestionError) as told:
        journeys.of_tensors(inputs)
    assert str(told.value).startswith(says)
