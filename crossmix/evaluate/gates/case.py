"""What a criterion may look at, and the list of criteria: each is a function that its file registers.

    CRITERIA.register(Criterion(name="policy.limits", judge=limits))

The rows of the gate table come in the order of files, then of lines. `gates.required`, of a spend history
`gates.required_of_history`, names gates, or prefixes of their names that end before a dot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossmix.bundle import Bundle
from crossmix.config import Config
from crossmix.evaluate.decision.table import Decided
from crossmix.evaluate.fidelity.impressions import Comparison
from crossmix.evaluate.gates.verdicts import required_of
from crossmix.evaluate.judge import Record
from crossmix.market.model import Market
from crossmix.registered import Registered
from crossmix.verdicts import Criterion, Gate, is_required


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that is judged."""

    config: Config
    market: Market
    """As fitted."""
    plan_from_spend: bool
    """The log came without a plan: its planned budgets are what it spent."""
    aggregate: bool
    """The log is a spend history, without single impressions."""
    fidelity: Comparison
    """The market against the held-out log."""
    records: Mapping[str, Record]
    """Every player's cycles in the `exact` market: the policy, the oracle, the competitors."""
    policies: Mapping[str, Mapping[str, Any]]
    """The same, summarised (`judge.summarise`)."""
    bundle: Bundle
    """The policy as it would be served."""
    decided: Decided | None = None
    """Of a spend history each campaign's recommended change; of impressions none."""

    @property
    def required(self) -> tuple[str, ...]:
        """The gates that must pass."""
        return required_of(self.config, aggregate=self.aggregate)

    def gate(self, name: str, value: float | None, threshold: str, verdict: str, detail: str) -> Gate:
        """A row of the table, required where the config says so."""
        return Gate(name, value, threshold, verdict, is_required(name, self.required), detail)


CRITERIA: Registered[Criterion[Case]] = Registered("gate", "crossmix.evaluate.gates")
