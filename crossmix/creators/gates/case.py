"""What a criterion of creators may look at, and the list of criteria: each is a function that its file registers.

    CRITERIA.register(Criterion(name="creators.rules", judge=rules))

`creators.gates.required` names gates, or prefixes of their names that end before a dot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crossmix.artifacts.creators import PlayedBrief
from crossmix.config.creators import Creators
from crossmix.creators.calibration import Calibration
from crossmix.registered import Registered
from crossmix.verdicts import Criterion, Gate, is_required


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that is judged."""

    settings: Creators
    played: tuple[PlayedBrief, ...]
    """Every brief with its plan."""
    calibration: Calibration | None
    """`None`: there are too few past results to hold some out."""
    judged_by: str
    """What the effects are that plans are judged by, for the table."""

    def gate(self, name: str, value: float | None, threshold: str, verdict: str, detail: str) -> Gate:
        """A row of the table, required where the config says so."""
        return Gate(name, value, threshold, verdict, is_required(name, self.settings.gates.required), detail)


def judged(case: Case) -> tuple[Gate, ...]:
    """Every criterion's rows, in the order of files."""
    return tuple(gate for criterion in CRITERIA.all() for gate in criterion.judge(case))


CRITERIA: Registered[Criterion[Case]] = Registered("gate", "crossmix.creators.gates")

Rows = Iterable[Gate]
