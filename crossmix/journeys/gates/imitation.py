"""MTORL tells the log's next channel better than a cache mixture does, where journeys tell anything of it."""

from __future__ import annotations

from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, NOT_APPLICABLE, PASS, Criterion


def imitation(case: Case) -> Rows:
    """Difference of negative log-likelihoods; its interval by user lies below 0."""
    found = case.imitation
    detail = f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}] nats a step against the cache mixture"
    verdict = PASS if found.high < 0 else FAIL
    if not case.told.learnable:
        verdict, detail = NOT_APPLICABLE, f"{detail}. {case.told.sentence}"
    yield case.gate("journey.imitation", found.value, "95 % interval below 0", verdict, detail)


CRITERIA.register(Criterion(name="journey.imitation", judge=imitation))
