"""How long a plan takes, in processor time: wall time on a shared machine is somebody else's too."""

from __future__ import annotations

from crossmix.creators.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, PASS, Criterion


def seconds(case: Case) -> Rows:
    """Most processor seconds of a brief, from problem to plan."""
    slowest, limit = max(case.played, key=lambda one: one.seconds), case.settings.gates.seconds
    verdict = PASS if slowest.seconds <= limit else FAIL
    detail = f"{slowest.name}, the slowest of {len(case.played)} briefs"
    yield case.gate("creators.seconds", slowest.seconds, f"<= {limit:g}", verdict, detail)


CRITERIA.register(Criterion(name="creators.seconds", judge=seconds))
