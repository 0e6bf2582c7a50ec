"""Briefs by V1: `{"instances": [{"brief": {...}}]}`, a plan each, solved in a process of its own.

A brief is what `crossmix plan` reads (`crossmix.creators.brief`). The answer is its plan with names
(`crossmix.creators.plan`), what binds in words, and whether the catalogue is generated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.bundle import BundleError
from crossmix.clock import Clock, wall
from crossmix.creators import brief as briefs
from crossmix.creators import words
from crossmix.creators.brief import Brief, BriefError
from crossmix.creators.solve import NoPlanError, PlanError
from crossmix.creators.worker import Worker
from crossmix.schema import DataError
from serving.allocation.question import QuestionError, instances, known_fields
from serving.fields import shown
from serving.kinds.answering import Answering, BusyError, Predictions

if TYPE_CHECKING:
    from crossmix.creators.plan import Plan
    from crossmix.creators.worker import Planner

MOST_BRIEFS = 16
"""Of a request: one is solved after the other, each for up to the solver's seconds."""
MOST_WAITING = 32
"""Briefs that wait at once; who comes then is asked to come again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One brief."""

    brief: Brief
    where: str
    """How messages name it, as instances[0]."""


class Creators(Answering):
    """Plans of a bundle.

    Args:
        planner: of the bundle (`crossmix.creators.bundled`).
        features, clock: not read.
    """

    pool: ThreadPoolExecutor

    def __init__(self, planner: Planner, features: Path | None = None, clock: Clock = wall) -> None:
        self.planner, self.worker = planner, Worker(planner)
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="plans")  # one process plans, one brief after the other
        self._waiting = 0

    def questions(self, payload: Any) -> Sequence[Asked]:
        """The briefs of a body."""
        found = instances(payload, '{"brief": {"budget": 100000, ...}}', MOST_BRIEFS)
        return [_asked(one, f"instances[{row}]") for row, one in enumerate(found)]

    def admit(self, questions: Sequence[Asked]) -> None:
        """Count who waits; the first is always let in."""
        if self._waiting and self._waiting + len(questions) > MOST_WAITING:
            raise BusyError(f"model creators: {self._waiting} briefs wait already; ask again in a while")
        self._waiting += len(questions)

    def leave(self, questions: Sequence[Asked]) -> None:
        """They wait no longer."""
        self._waiting -= len(questions)

    def answer(self, questions: Sequence[Asked]) -> Predictions:
        """A plan each, one after the other."""
        return [self._planned(one) for one in questions]

    def warm(self) -> None:
        """Start the process that plans; raises `BundleError` where it does not."""
        try:
            self.worker.start()
        except PlanError as error:
            raise BundleError(f"model creators: {error}") from None

    def close(self) -> None:
        """End it; who waits for a plan is told to ask again."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.worker.close()

    def _planned(self, asked: Asked) -> dict[str, Any]:
        try:
            plan = self.worker.plan(asked.brief)
        except BriefError as error:
            raise QuestionError(f"{asked.where}.{error}") from None
        except (DataError, NoPlanError) as error:
            raise QuestionError(f"{asked.where}.brief: {error}") from None
        except PlanError as error:
            raise BusyError(f"model creators: {asked.where}: {error}") from None
        return told(plan) | {"generated": self.planner.catalogue.generated}


def _asked(instance: Mapping[str, Any], where: str) -> Asked:
    known_fields(instance, ("brief",), where)
    brief = instance.get("brief")
    if not isinstance(brief, Mapping):
        raise QuestionError(f"{where}.brief: {shown(brief)}; send a brief, as brief.yaml of `crossmix plan --example`")
    try:
        return Asked(briefs.of(brief), where)
    except BriefError as error:
        raise QuestionError(f"{where}.{error}") from None


def told(plan: Plan) -> dict[str, Any]:
    """A plan as JSON can hold it, with its sentences."""
    sentences = {"binding": words.binding(plan), "margins": words.margins(plan), "distance": words.distance(plan)}
    return plan.plain() | {"words": sentences}
