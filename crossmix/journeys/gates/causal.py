"""What is said at a step does not depend on later ones: they were changed, and it stayed."""

from __future__ import annotations

from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, PASS, Criterion

LEAST = 1e-4
"""Of log-odds; passes of other lengths sum in another order."""


def causal(case: Case) -> Rows:
    """Largest change."""
    detail = (
        "largest change of features, of log-odds and of the bundle's answers at a step when channels, clicks, costs "
        "and times after it are changed"
    )
    yield case.gate("journey.causal", case.leak, f"<= {LEAST:g}", PASS if case.leak <= LEAST else FAIL, detail)


CRITERIA.register(Criterion(name="journey.causal", judge=causal))
