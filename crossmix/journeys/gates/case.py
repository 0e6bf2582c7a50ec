"""What a criterion of journeys may look at, and the list of criteria: each is a function that its file registers.

    CRITERIA.register(Criterion(name="journey.causal", judge=causal))

`journeys.gates.required` names gates, or prefixes of their names that end before a dot. What is costly is computed
before (`measured`), so that a criterion is a rule and no more.

Shapes: S judged steps of test users, K blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crossmix.config.journeys import Journeys
from crossmix.journeys.calibration import Told as Response
from crossmix.journeys.campaign import Campaign
from crossmix.journeys.gates.played import Block
from crossmix.journeys.logged import Logged
from crossmix.journeys.score import Figure
from crossmix.journeys.told import Told
from crossmix.registered import Registered
from crossmix.verdicts import Criterion, Gate, is_required


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that is judged."""

    settings: Journeys
    learned: frozenset[int]
    """Hashes of users that anything was fitted on, as the train step wrote them (`seen`)."""
    stopped: frozenset[int]
    """Of users that stopped and calibrated, likewise."""
    tested: frozenset[int]
    """Of users that are judged on."""
    held_out: frozenset[int]
    """Of users that ingest holds out of every fit."""
    leak: float
    """Largest change of what is said at a step by changing later ones; of features, log-odds and the bundle's
    probabilities."""
    imitation: Figure
    """MTORL's negative log-likelihood of the next channel less the cache mixture's, nats a step."""
    told: Told
    """Whether there is anything to imitate."""
    response: Response
    """How clicks, conversions and value are told on test users."""
    blocks: tuple[Block, ...]
    """Groups of test users that played in a planted world; empty where no world is known."""
    paced: Mapping[str, Campaign]
    """By name: test users settled as served, batch by batch, at prices that their exposures were sold at."""
    logged: Logged | None
    """What propensities say; `None` where the log has none."""
    latency_ms: float

    def gate(self, name: str, value: float | None, threshold: str, verdict: str, detail: str) -> Gate:
        """A row of the table, required where the config says so."""
        return Gate(name, value, threshold, verdict, is_required(name, self.settings.gates.required), detail)

    def reported(self, name: str, value: float | None, threshold: str, verdict: str, detail: str) -> Gate:
        """A row that is told, and required where the config names it in full."""
        return Gate(name, value, threshold, verdict, name in self.settings.gates.required, detail)


def judged(case: Case) -> tuple[Gate, ...]:
    """Every criterion's rows, in the order of files."""
    return tuple(gate for criterion in CRITERIA.all() for gate in criterion.judge(case))


CRITERIA: Registered[Criterion[Case]] = Registered("gate", "crossmix.journeys.gates")

Rows = Iterable[Gate]
