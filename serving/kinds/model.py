"""A kind as a KServe model: questions are read on the event loop, and answered on a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from kserve import InferRequest
from kserve.errors import InvalidInput

from serving.allocation.question import QuestionError
from serving.kinds.answering import Answering, Predictions
from serving.kinds.champion import KindChampion, NoChampionError
from serving.protocol.predictor import Served, plain, tensors, written


class KindModel(Served):
    """The model of a kind.

    Args:
        champion: which bundle of it serves.
    """

    def __init__(self, champion: KindChampion) -> None:
        super().__init__(champion.kind, None)
        self.champion = champion

    def missing(self) -> NoChampionError | None:
        """Why no bundle serves."""
        return None if self.champion.ready else self.champion.absent()

    async def predict(
        self, payload: Any, headers: Mapping[str, str] | None = None, response_headers: dict[str, str] | None = None
    ) -> Any:
        """Answer a V1 body or, where the kind takes tensors, a V2 request."""
        with self.champion.using() as held:
            answering = held.answering
            try:
                questions = _read(payload, answering, self.name)
                answering.admit(questions)
                try:
                    loop = asyncio.get_running_loop()
                    predictions: Predictions = await loop.run_in_executor(answering.pool, answering.answer, questions)
                finally:
                    answering.leave(questions)
            except QuestionError as error:
                raise InvalidInput(str(error)) from None
            named = [one | {"bundle": held.digest, "version": held.version} for one in predictions]
            return written(payload, self.name, named, headers, response_headers, answering.outputs)

    def get_input_types(self) -> list[dict[str, Any]]:
        with self.champion.using() as held:
            return held.answering.input_types()

    def get_output_types(self) -> list[dict[str, Any]]:
        with self.champion.using() as held:
            return held.answering.output_types()


def _read(payload: Any, answering: Answering, name: str) -> Any:
    if isinstance(payload, InferRequest):
        outputs = [str(row["name"]) for row in answering.output_types()]
        if not outputs:
            raise QuestionError(f"inputs: model {name} answers V1 alone; POST /v1/models/{name}:predict")
        return answering.of_tensors(tensors(payload, outputs))
    return answering.questions(plain(payload))
