"""The predictors as KServe models: `policy` (the champion bundle), `control` (the static split), `canary` (the version
on trial, where one is, else the champion).

V1 and V2 REST and gRPC, batched. What cannot be answered is `kserve.errors.InvalidInput`: 400 and INVALID_ARGUMENT.

V2 outputs, a row per question (B), a column per platform (P) in `platforms`' order: share, amount, marginal_roi,
marginal_roi_low, marginal_roi_high (NaN: not known) FP64; binding BYTES (empty: free); budget, expected_revenue,
log_density (NaN: not explored) FP64; cycle INT64; campaign_id, arm, bundle, allocation_id, degraded (JSON, empty: no)
BYTES; platforms BYTES [P].
"""

from __future__ import annotations

import inspect
import json
import math
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput
from kserve.metrics import PREDICT_HIST_TIME, get_labels
from kserve.model import InferenceVerb

from crossmix.metrics import EVERY_ARM
from crossmix.state import Layout
from serving.allocation import question
from serving.allocation.answer import Answerer
from serving.allocation.question import Question, QuestionError
from serving.kinds.champion import NoChampionError

if TYPE_CHECKING:
    from serving.live.live import Live

Predictions = list[dict[str, Any]]

_PER_PLATFORM = ("share", "amount", "marginal_roi", "marginal_roi_low", "marginal_roi_high")
_NUMBERS = ("budget", "expected_revenue", "log_density")
_TEXTS = ("campaign_id", "arm", "bundle", "allocation_id")
_LISTS = ("degraded", "notes")
"""As JSON; empty where there is none."""


class Served(Model):  # type: ignore[misc]
    """A KServe model that predicts and has no stage before or after.

    KServe's own call times four stages and looks up a histogram for each; of these models one has something to time.

    Args:
        name: on the endpoint's path.
        on_answer: called with the predictions of each request: metrics.
    """

    def __init__(self, name: str, on_answer: Callable[[Predictions], None] | None) -> None:
        super().__init__(name, return_response_headers=True)
        self.on_answer = on_answer
        self.ready = True
        self._seconds = PREDICT_HIST_TIME.labels(**get_labels(name))

    def load(self) -> bool:
        """Whether it can answer: nothing is loaded here."""
        return self.missing() is None

    def missing(self) -> NoChampionError | None:
        """Why it cannot answer; `None`: it can."""
        return None

    async def healthy(self) -> bool:
        """Whether it can answer."""
        return self.missing() is None

    async def __call__(
        self, body: Any, headers: Mapping[str, str] | None = None, verb: InferenceVerb = InferenceVerb.PREDICT
    ) -> tuple[Any, dict[str, str]]:
        """The response of `predict` and its headers; raises `NotImplementedError` for another verb."""
        if verb is not InferenceVerb.PREDICT:
            raise NotImplementedError(f"{self.name}: it predicts only; answers bring their reasons with them")
        response_headers: dict[str, str] = {}
        with self._seconds.time():
            response = self.predict(body, headers, response_headers)
            if inspect.isawaitable(response):
                response = await response
        return response, response_headers


class ArmModel(Served):
    """A predictor that serves one arm.

    Args:
        name: on the endpoint's path; also the arm.
        answerer: makes the answers.
        on_answer: called with the predictions of each request: metrics.
    """

    def __init__(self, name: str, answerer: Answerer, on_answer: Callable[[Predictions], None] | None = None) -> None:
        super().__init__(name, on_answer)
        self.answerer = answerer

    def missing(self) -> NoChampionError | None:
        """Why the server is not ready."""
        return missing_of(self.name, self.answerer.live)

    def predict(
        self, payload: Any, headers: Mapping[str, str] | None = None, response_headers: dict[str, str] | None = None
    ) -> Any:
        """Answer a V1 body or a V2 request; raises `NoChampionError` until the server is ready."""
        if (missing := self.missing()) is not None:
            raise missing
        try:
            questions = read(payload, self.answerer.live.bundle.layout)
            for one in questions:
                if one.arm not in (None, self.name):
                    raise QuestionError(
                        f"{one.where}.arm: {one.arm!r} is served by model {one.arm!r}; this is {self.name!r}"
                    )
            predictions = self.answerer.answer(questions, self.name)
        except QuestionError as error:
            raise InvalidInput(str(error)) from None
        if self.on_answer is not None:
            self.on_answer(predictions)
        return written(payload, self.name, predictions, headers, response_headers)

    def get_input_types(self) -> list[dict[str, Any]]:
        return input_types(self.answerer.live.bundle.layout)

    def get_output_types(self) -> list[dict[str, Any]]:
        return output_types()


def missing_of(name: str, live: Live) -> NoChampionError | None:
    """Why a model of the split cannot answer; `None`: it can."""
    why = live.awaited()
    return None if why is None else NoChampionError(f"model {name}: {why}")


def read(payload: Any, layout: Layout) -> list[Question]:
    """Questions of a V1 body or a V2 request; raises `QuestionError`."""
    if isinstance(payload, InferRequest):
        return question.of_tensors(tensors(payload), layout)
    return question.of_instances(plain(payload), layout)


def plain(payload: Any) -> Any:
    """A V1 body: KServe leaves bytes as they are where no content type says JSON, as curl's; raises `QuestionError`."""
    if not isinstance(payload, bytes):
        return payload
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise QuestionError(f'body: not JSON ({error}); send {{"instances": [{{...}}]}}, UTF-8') from None


def tensors(request: InferRequest, known: Sequence[str] | None = None) -> dict[str, Any]:
    """Inputs by name.

    Args:
        known: outputs that may be asked for; `None`: those of the split.

    Raises:
        QuestionError: an input that is no array of its datatype and shape, or is there twice; an output that is asked
            for and is none, or twice.
    """
    outputs = [one.name for one in request.request_outputs or ()]
    known = OUTPUTS if known is None else known
    for name in outputs:
        if name not in known:
            raise QuestionError(f"outputs.{name[:80]}: unknown output; use {', '.join(known)}")
    if len(set(outputs)) != len(outputs):
        raise QuestionError(f"outputs.{_twice(outputs)}: asked for twice; name each output once")
    arrays: dict[str, Any] = {}
    for one in request.inputs:
        if one.name in arrays:
            raise QuestionError(f"inputs.{one.name[:80]}: there twice; send each input once")
        try:
            arrays[one.name] = one.as_numpy()
        except (ValueError, TypeError, OverflowError, struct.error, InvalidInput) as error:
            problem = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise QuestionError(
                f"inputs.{one.name}: not {one.datatype} of shape {list(one.shape)} ({problem}); "
                "send that many such values"
            ) from None
    return arrays


def _twice(names: list[str]) -> str:
    return next(name for name in names if names.count(name) > 1)


def written(
    payload: Any,
    model: str,
    predictions: Predictions,
    headers: Mapping[str, str] | None,
    response_headers: dict[str, str] | None,
    as_tensors: Callable[[Predictions], list[InferOutput]] | None = None,
) -> Any:
    """Predictions in the protocol of the request: V1 as JSON bytes, or as an object for a CloudEvent to hold.

    Args:
        as_tensors: outputs of V2; `None`: those of the split.
    """
    if not isinstance(payload, InferRequest):
        body = {"predictions": predictions}
        if response_headers is None or headers is None or is_cloud_event(headers):
            return body
        response_headers["content-type"] = "application/json"
        return orjson.dumps(body)
    outputs, binary = (as_tensors or _outputs)(predictions), payload.use_binary_outputs
    if payload.request_outputs:
        by_name = {one.name: one for one in outputs}
        outputs = [by_name[one.name] for one in payload.request_outputs]
        for one in payload.request_outputs:  # KServe forgets the whole request's choice for those that are named
            if one.binary_data is None and binary:
                one.parameters = {**(one.parameters or {}), "binary_data": True}
    version = predictions[0].get("version")
    return InferResponse(
        payload.id or str(uuid.uuid4()),
        model,
        outputs,
        model_version=None if version is None else str(version),
        use_binary_outputs=binary,
        requested_outputs=payload.request_outputs or None,
    )


def is_cloud_event(headers: Mapping[str, str]) -> bool:
    return "ce-specversion" in headers or "cloudevents" in headers.get("content-type", "")


def input_types(layout: Layout) -> list[dict[str, Any]]:
    """Inputs of V2, for the model's metadata."""
    rows = (
        ("campaign_id", "BYTES", [-1]),
        ("arm", "BYTES", [-1]),
        ("cycle", "INT64", [-1]),
        ("budget", "FP64", [-1]),
        ("limits", "BYTES", [-1]),
        ("state", "FP32", [-1, layout.size]),
        ("explore", "BOOL", [-1]),
    )
    return [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in rows]


def output_types() -> list[dict[str, Any]]:
    """Outputs of V2, for the model's metadata."""
    rows = [(name, "FP64", [-1, -1]) for name in _PER_PLATFORM] + [("binding", "BYTES", [-1, -1])]
    rows += [(name, "FP64", [-1]) for name in _NUMBERS] + [("cycle", "INT64", [-1])]
    rows += [(name, "BYTES", [-1]) for name in (*_TEXTS, *_LISTS, "platforms")]
    return [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in rows]


OUTPUTS = tuple(row["name"] for row in output_types())


def _outputs(predictions: Predictions) -> list[InferOutput]:
    parts = [part for one in predictions for part in one["allocation"]]
    shape = [len(predictions), len(predictions[0]["allocation"])]
    columns: dict[str, list[float]] = {
        "share": [part["share"] for part in parts],
        "amount": [part["amount"] for part in parts],
        "marginal_roi": [_number(part["marginal_roi"]) for part in parts],
        "marginal_roi_low": [_number((part["marginal_roi_interval"] or (None, None))[0]) for part in parts],
        "marginal_roi_high": [_number((part["marginal_roi_interval"] or (None, None))[1]) for part in parts],
    }
    outputs = [InferOutput(name, shape, "FP64", data) for name, data in columns.items()]
    outputs.append(InferOutput("binding", shape, "BYTES", [part["binding"] or "" for part in parts]))
    rows = shape[:1]
    for name in _NUMBERS:
        outputs.append(InferOutput(name, rows, "FP64", [_number(one[name]) for one in predictions]))
    outputs.append(InferOutput("cycle", rows, "INT64", [one["cycle"] for one in predictions]))
    for name in _TEXTS:
        outputs.append(InferOutput(name, rows, "BYTES", [one[name] for one in predictions]))
    for name in _LISTS:
        lists = [json.dumps(one[name]) if one[name] else "" for one in predictions]
        outputs.append(InferOutput(name, rows, "BYTES", lists))
    platforms = [part["platform"] for part in predictions[0]["allocation"]]
    outputs.append(InferOutput("platforms", shape[1:], "BYTES", platforms))
    return outputs


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def models(answerer: Answerer, on_answer: Callable[[Predictions], None] | None = None) -> list[ArmModel]:
    """One predictor per arm."""
    return [ArmModel(arm, answerer, on_answer) for arm in EVERY_ARM]


__all__ = [
    "ArmModel",
    "Served",
    "input_types",
    "is_cloud_event",
    "models",
    "output_types",
    "plain",
    "read",
    "tensors",
    "written",
]
