"""The router as a KServe model: which arm a user is in, and that arm's answer.

An instance has `user_id` beside `campaign_id` (V2: an input `user_id` BYTES [B]). The arm is a hash of the user
(`serving.assignment.arms`): sticky, the same on every replica, written to `assignments` once per user under a keyed
hash of the id. The answer names the arm in its body and, where all of a request's questions have one arm, in the header
`x-crossmix-arm`. Predictors are called in this process, or over V1 where `remote` names their addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from kserve import InferRequest
from kserve.errors import InvalidInput

from crossmix.metrics import ARMS
from crossmix.state import Layout
from serving.allocation.answer import Answerer
from serving.allocation.question import Question, QuestionError, of_instances, of_tensors, text
from serving.allocation.task import begins_of
from serving.assignment.arms import ExperimentError
from serving.assignment.users import check, hashed
from serving.http.client import AsyncClient, AwayError, RefusedError
from serving.kinds.champion import NoChampionError
from serving.live.live import Live
from serving.protocol.predictor import (
    Predictions,
    Served,
    input_types,
    missing_of,
    output_types,
    plain,
    tensors,
    written,
)

ARM_HEADER = "x-crossmix-arm"


class Arms(Protocol):
    """Where an arm's answers come from."""

    async def answer(self, questions: Sequence[Question], raw: Sequence[Mapping[str, Any]]) -> Predictions:
        """Answers in order; each question names its arm. `raw` are the V1 instances, for the wire."""
        ...


class Here:
    """Predictors of this process."""

    def __init__(self, answerer: Answerer) -> None:
        self.answerer = answerer

    async def answer(self, questions: Sequence[Question], raw: Sequence[Mapping[str, Any]]) -> Predictions:
        return self.answerer.answer(questions, "policy")


class Elsewhere:
    """Predictors at other addresses, by the V1 protocol.

    Args:
        urls: arm to base URL, as http://policy-predictor.
        token: sent as a bearer token; `None`: none.
    """

    def __init__(self, urls: Mapping[str, str], token: str | None = None, seconds: float = 5.0) -> None:
        self.urls = dict(urls)
        self._client = AsyncClient(token, seconds)

    async def answer(self, questions: Sequence[Question], raw: Sequence[Mapping[str, Any]]) -> Predictions:
        answers: dict[int, dict[str, Any]] = {}
        for arm in sorted({str(question.arm) for question in questions}):
            # The policy's predictor has the version on trial too.
            url = self.urls.get(arm, self.urls[ARMS[0]])
            rows = [row for row, question in enumerate(questions) if question.arm == arm]
            body = {"instances": [dict(raw[row]) for row in rows]}
            try:
                answer = await self._client.post(f"{url.rstrip('/')}/v1/models/{arm}:predict", body)
            except RefusedError as error:
                if error.status not in (400, 422):
                    raise PredictorAwayError(f"predictor {arm} at {url}: status {error.status}") from error
                raise QuestionError(error.sentence or f"predictor {arm}: status {error.status}") from None
            except AwayError as error:
                raise PredictorAwayError(f"predictor {arm} at {url}: {error}") from error
            answers.update(zip(rows, answer["predictions"], strict=True))
        return [answers[row] for row in range(len(questions))]

    async def close(self) -> None:
        await self._client.close()


class PredictorAwayError(RuntimeError):
    """A predictor that cannot be reached: 503."""


class RouterModel(Served):
    """The router.

    Args:
        live: experiment, and the recorder of assignments.
        arms: where the arms' answers come from.
        on_answer: called with the predictions of each request: metrics.
    """

    def __init__(
        self, live: Live, arms: Arms, name: str = "router", on_answer: Callable[[Predictions], None] | None = None
    ) -> None:
        super().__init__(name, on_answer)
        self.live, self.arms = live, arms

    def missing(self) -> NoChampionError | None:
        """Why the server is not ready."""
        return missing_of(self.name, self.live)

    async def predict(
        self, payload: Any, headers: Mapping[str, str] | None = None, response_headers: dict[str, str] | None = None
    ) -> Any:
        """Put every user into an arm and answer from it; raises `NoChampionError` until the server is ready."""
        if (missing := self.missing()) is not None:
            raise missing
        try:
            questions, users, raw = _read(payload, self.live.bundle.layout)
            assigned = [self._assign(question, user) for question, user in zip(questions, users, strict=True)]
            sent = [dict(one) | {"arm": question.arm} for one, question in zip(raw, assigned, strict=True)]
            predictions = await self.arms.answer(assigned, sent)
        except QuestionError as error:
            raise InvalidInput(str(error)) from None
        taken = {one["arm"] for one in predictions}
        if response_headers is not None and len(taken) == 1:
            response_headers[ARM_HEADER] = taken.pop()
        if self.on_answer is not None:
            self.on_answer(predictions)
        return written(payload, self.name, predictions, headers, response_headers)

    def _assign(self, question: Question, user: str) -> Question:
        if question.arm is not None:
            raise QuestionError(f"{question.where}.arm: the router chooses the arm by user_id; leave it out")
        experiment, begins = self.live.experiment, self._begins(question)
        try:
            arm, bucket = experiment.arm_asked(user, begins), experiment.bucket(user)
        except ExperimentError as error:
            raise QuestionError(f"{question.where}.{error}") from None
        # A cycle in which the experiment began belongs to the one before: nobody is counted for it yet.
        if experiment.everybody is None and experiment.asked(begins) is experiment:
            user_hash = hashed(user, experiment.salt)
            self.live.recorder.assigned(
                experiment.id,
                user_hash,
                {
                    "experiment": experiment.id,
                    "user": user_hash,
                    # Of the experiment: a canary's users are the policy's.
                    "arm": experiment.arm(user),
                    "bucket": bucket,
                    "first_seen": self.live.clock(),
                },
            )
        return replace(question, arm=arm)

    def _begins(self, question: Question) -> datetime | None:
        """When the question's cycle begins; `None`: its campaign is not known. Raises `QuestionError`."""
        planned = self.live.snapshot.planned.get(question.campaign_id)
        if planned is None:
            return None
        running = planned.campaign.cycle(self.live.clock())
        return begins_of(planned.campaign, running if question.cycle is None else question.cycle, question)

    def get_input_types(self) -> list[dict[str, Any]]:
        user = {"name": "user_id", "datatype": "BYTES", "shape": [-1]}
        return [user, *(row for row in input_types(self.live.bundle.layout) if row["name"] != "arm")]

    def get_output_types(self) -> list[dict[str, Any]]:
        return output_types()


def _read(payload: Any, layout: Layout) -> tuple[list[Question], list[str], list[Mapping[str, Any]]]:
    """Questions, their users, and the V1 instances without the user."""
    if isinstance(payload, InferRequest):
        inputs = tensors(payload)
        if "user_id" not in inputs:
            raise QuestionError("inputs.user_id: missing; send the users' ids as BYTES, one per question")
        cells = inputs.pop("user_id").reshape(-1)
        users = [text(cell, "user_id") for cell in cells]
        questions = of_tensors(inputs, layout)
        if len(users) != len(questions):
            raise QuestionError(
                f"inputs.user_id: {len(users)} ids for {len(questions)} questions; send one per question"
            )
        # On the wire between router and predictors a V2 request is not needed: V1 says the same.
        raw: list[Mapping[str, Any]] = [_instance(question) for question in questions]
        return questions, [_user(user, f"inputs[{row}]") for row, user in enumerate(users)], raw
    payload = plain(payload)
    questions = of_instances(payload, layout, also=("user_id",))
    users = [_user(one.get("user_id"), f"instances[{row}]") for row, one in enumerate(payload["instances"])]
    raw = [{name: value for name, value in one.items() if name != "user_id"} for one in payload["instances"]]
    return questions, users, raw


def _user(raw: Any, where: str) -> str:
    try:
        return check(raw)
    except ValueError as error:
        raise QuestionError(f"{where}.{error}") from None


def _instance(question: Question) -> dict[str, Any]:
    change = question.change
    limits: dict[str, dict[str, Any]] = {}
    for name, values in (("min", change.minimum), ("max", change.maximum), ("step", change.step)):
        for platform, value in values.items():
            limits.setdefault(platform, {})[name] = value
    for flag, platforms in ((True, change.freeze), (False, change.unfreeze)):
        for platform in platforms:
            limits.setdefault(platform, {})["freeze"] = flag
    instance: dict[str, Any] = {
        "campaign_id": question.campaign_id,
        "cycle": question.cycle,
        "budget": question.budget,
        "limits": limits or None,
        "state": None if question.state_S is None else question.state_S.tolist(),
        "explore": question.explore,
    }
    return {name: value for name, value in instance.items() if value is not None}


__all__ = ["ARM_HEADER", "Arms", "Elsewhere", "Here", "PredictorAwayError", "RouterModel"]
