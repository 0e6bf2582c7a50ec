"""Gates and verdicts, whatever is judged: pass, fail, insufficient data (with the number needed), not applicable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

PASS, FAIL, INSUFFICIENT, NOT_APPLICABLE = "pass", "fail", "insufficient data", "not applicable"

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Gate:
    """One row of the table that the Kubeflow UI, MLflow and the console all show."""

    name: str
    value: float | None
    threshold: str
    verdict: str
    required: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion(Generic[C]):
    """A rule that judges a case, and the name that its gates have or begin with."""

    name: str
    judge: Callable[[C], Iterable[Gate]]


def is_required(name: str, required: tuple[str, ...]) -> bool:
    """Whether a gate, or a prefix of its name that ends before a dot, is listed."""
    return any(name == prefix or name.startswith(prefix + ".") for prefix in required)


def passed(gates: Iterable[Gate]) -> bool:
    """Whether every required gate passed or did not apply."""
    return all(gate.verdict in (PASS, NOT_APPLICABLE) for gate in gates if gate.required)
