"""An answer takes no more processor time than allowed; wall time on a shared machine is somebody else's too."""

from __future__ import annotations

from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, PASS, Criterion


def latency(case: Case) -> Rows:
    """99th percentile."""
    largest, users = case.settings.gates.latency_ms, case.settings.gates.questions
    verdict = PASS if case.latency_ms <= largest else FAIL
    detail = f"{users} users' journeys to probabilities, channel and allocation, whole milliseconds, rounded up"
    yield case.gate("journey.latency", case.latency_ms, f"<= {largest:g} ms at the 99th percentile", verdict, detail)


CRITERIA.register(Criterion(name="journey.latency", judge=latency))
