"""What a kind plugs in: questions of a request, and answers to them from one loaded bundle."""

# Hooks that do nothing are for those that need none.
# ruff: noqa: B027

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

Predictions = list[dict[str, Any]]


class BusyError(RuntimeError):
    """More is asked than can be answered soon: 503."""


class Answering(ABC):
    """Answers from one bundle.

    Questions are read on the event loop: that has to be quick. They are answered on a thread, where it may take as
    long as it takes.
    """

    pool: Executor | None = None
    """Threads that answer, where answers take so long that nobody else may wait behind them; `None`: the loop's."""

    def admit(self, questions: Sequence[Any]) -> None:
        """Called on the event loop before the questions wait for a thread; `leave` is called once for each such call.

        Raises:
            BusyError: too many wait; `leave` is then not called.
        """

    def leave(self, questions: Sequence[Any]) -> None:
        """Called on the event loop when they are answered, or given up."""

    @abstractmethod
    def questions(self, payload: Any) -> Sequence[Any]:
        """Questions of a V1 body.

        Raises:
            QuestionError: naming instance, field, value and remedy.
        """

    @abstractmethod
    def answer(self, questions: Sequence[Any]) -> Predictions:
        """An answer per question, in order.

        Raises:
            QuestionError: a question that has no answer.
            BusyError: too much is waiting, or an answer did not come in time.
        """

    def of_tensors(self, inputs: Mapping[str, Any]) -> Sequence[Any]:
        """Questions of a V2 request's inputs, by name; raises `QuestionError`.

        Not asked where `output_types` are none.
        """
        raise NotImplementedError("V1 alone is answered")

    def outputs(self, predictions: Predictions) -> list[Any]:
        """KServe's `InferOutput`s of a V2 answer; not asked where `output_types` are none."""
        raise NotImplementedError("V1 alone is answered")

    def input_types(self) -> list[dict[str, Any]]:
        """Inputs of V2, for the model's metadata."""
        return []

    def output_types(self) -> list[dict[str, Any]]:
        """Outputs of V2, for the model's metadata; none: the kind answers V1 alone."""
        return []

    def warm(self) -> None:
        """Have ready what the first answer needs; called before the bundle serves."""

    def close(self) -> None:
        """Give back what it holds; nobody asks any more."""
