"""A kind's KServe model: answers by V1, refuses with a sentence, and never holds up the event loop."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from kserve import InferInput, InferRequest
from kserve.errors import InvalidInput

from serving.kinds.champion import KindChampion, NoChampionError
from serving.kinds.model import KindModel
from tests.support.kinds import ECHO, Echo, FakeRegistry

ONE = "1" * 64


@pytest.fixture
def champion(tmp_path: Path) -> KindChampion:
    made = KindChampion(ECHO, tmp_path, lambda: FakeRegistry(4, {4: ONE}))  # type: ignore[arg-type, return-value]
    made.refresh()
    return made


def ask(model: KindModel, payload: Any, headers: dict[str, str] | None = None) -> Any:
    return asyncio.run(model(payload, headers=headers))


def test_answers_name_bundle_and_version(champion: KindChampion) -> None:
    model = KindModel(champion)
    body = {"instances": [{"word": "a"}, {"word": "b"}]}
    answer, headers = ask(model, json.dumps(body).encode(), {"content-type": "application/json"})
    told = json.loads(answer)["predictions"]
    assert [one["said"]["word"] for one in told] == ["a", "b"]
    assert {(one["bundle"], one["version"]) for one in told} == {(ONE, 4)}
    assert headers["content-type"] == "application/json"
    assert asyncio.run(model.healthy())


def test_without_a_champion_it_is_not_ready_and_says_why(tmp_path: Path) -> None:
    champion = KindChampion(ECHO, tmp_path, FakeRegistry)  # type: ignore[arg-type]
    champion.refresh()
    model = KindModel(champion)
    assert not asyncio.run(model.healthy())
    with pytest.raises(NoChampionError, match="no champion of kind creators is registered"):
        ask(model, {"instances": [{}]})


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({"instances": []}, 'instances: missing or empty; send {"instances": [{"word": ...}]}'),
        ({"instances": [{}] * 5}, "instances: 5 questions; send 1 to 4 a request"),
        ({"instances": [3]}, "instances[0]: 3; send an object"),
        (b"{", "body: not JSON"),
    ],
)
def test_what_cannot_be_read_is_invalid(champion: KindChampion, payload: Any, says: str) -> None:
    with pytest.raises(InvalidInput) as told:
        ask(KindModel(champion), payload)
    assert says in str(told.value)


def test_a_kind_without_tensors_says_so(champion: KindChampion) -> None:
    request = InferRequest("creators", [InferInput("x", [1], "FP64", [1.0])])
    with pytest.raises(InvalidInput) as told:
        ask(KindModel(champion), request)
    assert str(told.value) == "inputs: model creators answers V1 alone; POST /v1/models/creators:predict"


def test_others_are_answered_while_one_is_being_solved(champion: KindChampion, tmp_path: Path) -> None:
    """The second answer frees the first: on one thread, with the event loop held, neither would ever come."""
    with champion.using() as held:
        slow = held.answering
    assert isinstance(slow, Echo)
    slow.block()
    other = KindChampion(ECHO, tmp_path / "b", lambda: FakeRegistry(1, {1: ONE}))  # type: ignore[arg-type, return-value]
    other.refresh()
    body = {"instances": [{"word": "a"}]}

    async def both() -> tuple[Any, Any]:
        first = asyncio.create_task(KindModel(champion)(body))
        while not slow.asked.is_set():
            await asyncio.sleep(0.001)
        second = await KindModel(other)(body)
        slow.free()
        return await first, second

    first, second = asyncio.run(asyncio.wait_for(both(), 60))
    assert first[0]["predictions"][0]["version"] == 4
    assert second[0]["predictions"][0]["version"] == 1
