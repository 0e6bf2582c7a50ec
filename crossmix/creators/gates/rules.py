"""No plan breaks a rule: told from catalogue and brief by `matrix.check`, which knows no solver."""

from __future__ import annotations

from crossmix.creators.gates.case import CRITERIA, Case, Rows
from crossmix.verdicts import FAIL, PASS, Criterion


def rules(case: Case) -> Rows:
    """Rules broken by all plans together: none."""
    broken = [f"{one.name}: {breach}" for one in case.played for breach in one.broken]
    detail = broken[0] if broken else f"{len(case.played)} briefs, every rule kept"
    more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
    yield case.gate("creators.rules", float(len(broken)), "= 0", FAIL if broken else PASS, detail + more)


CRITERIA.register(Criterion(name="creators.rules", judge=rules))
