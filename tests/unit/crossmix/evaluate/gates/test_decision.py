"""The gates of a decision, on changes whose certainty is made up."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from crossmix.config import laptop
from crossmix.evaluate.gates.case import Case
from crossmix.evaluate.gates.decision import decision
from crossmix.evaluate.gates.fidelity import MOST_ALLOWED, _need
from crossmix.verdicts import Gate
from tests.unit.crossmix.evaluate.decision.test_judged import TRIED, Judged, backtested, judge, judged, made, probing


def gates(*judged: Judged, proved: tuple[bool, ...] = (), cycle_hours: int = 24) -> dict[str, Gate]:
    decided = SimpleNamespace(campaigns=judged, proved=proved or tuple(one.sure(0.95) for one in judged), withheld=())
    market = SimpleNamespace(currency="EUR", cycle_hours=cycle_hours)
    case = SimpleNamespace(config=laptop(), required=laptop().gates.required_of_history, decided=decided, market=market)
    case.gate = partial(Case.gate, case)
    return {gate.name: gate for gate in decision(case)}  # type: ignore[arg-type]


def test_a_sure_change_passes_both_and_both_are_required() -> None:
    found = gates(judge())
    assert {name: (gate.verdict, gate.required) for name, gate in found.items()} == {
        "decision.gain": ("pass", True),
        "decision.weeks": ("pass", True),
    }
    assert found["decision.gain"].value == 1
    assert "gained in 8 of them" in found["decision.weeks"].detail
    assert "of the way" not in found["decision.gain"].detail
    assert "by going 50% of the way to the best split" in gates(judge(made(part=0.5)))["decision.gain"].detail
    known = gates(judge(replace(made(), new=0.0)))["decision.gain"].detail
    assert known.endswith(", by the best split among the platforms that were tried")


def test_a_change_that_lacks_days_says_how_many() -> None:
    one = judge(known=0.2)
    found = gates(one)["decision.gain"]
    assert found.verdict == "insufficient data"
    assert found.detail.endswith(f"; about {one.more():,} more days")


def test_spend_that_never_moved_needs_money_moved_on_purpose() -> None:
    found = gates(judge(known=10.0))["decision.gain"]
    assert found.verdict == "insufficient data"
    assert found.detail.endswith("spend on a, b moved too little to tell what more of it earns: only money moved on "
                                 "purpose can")  # fmt: skip


def test_budgets_that_only_moved_together_need_money_moved_on_purpose() -> None:
    found = gates(judge(common=0.25))["decision.gain"]
    assert (found.verdict, found.value) == ("insufficient data", 1)
    assert found.detail.endswith("; budgets (a, b) only ever moved together: whether money or demand moved revenue, "
                                 "only money moved on purpose can tell")  # fmt: skip


def test_what_a_probe_would_earn_is_told_and_proves_nothing() -> None:
    new = np.array([False, True])
    found = gates(judge(probing(99.0), new))
    assert {name: (gate.verdict, gate.value) for name, gate in found.items()} == {
        "decision.gain": ("insufficient data", 0),
        "decision.weeks": ("insufficient data", 0),
    }
    gain = found["decision.gain"].detail
    assert "; 30.00 EUR of it is borrowed, what a probe of a, never tried, may bring; it rests on" in gain
    assert all(gate.detail.endswith("; it rests on what a platform earns that was never tried, which is borrowed from "
                                    "others: try it first") for gate in found.values())  # fmt: skip
    sure = gates(judge(probing(101.0), new))
    assert {gate.verdict for gate in sure.values()} == {"pass"}
    assert sure["decision.gain"].detail.endswith("; 30.00 EUR of it is borrowed, what a probe of a, never tried, may "
                                                 "bring")  # fmt: skip
    more = gates(judge(probing(101.0, share=0.03), new))["decision.gain"]
    assert more.verdict == "insufficient data"
    assert more.detail.endswith("a was never tried, and what it earns is borrowed from others: try it first")


def test_a_change_that_surely_loses_fails() -> None:
    worse = (float(np.log(0.7)), float(np.log(1.4)))
    found = gates(judge(level_W=(worse,) * 8))
    assert {gate.verdict for gate in found.values()} == {"fail"}
    contradicted = gates(judge(off=(-0.9, 0.9), off_error=0.02))["decision.weeks"]
    assert contradicted.verdict == "fail"
    said = "; money moved in the 8 held-out weeks answered otherwise than in the time before them: on a +70.00 was "
    assert said in contradicted.detail


def test_two_fits_that_differ_prove_nothing_and_the_one_of_more_data_is_not_refused() -> None:
    """By the time before the held-out weeks the change loses 20; all of the history says 20 more, or 20 less too."""
    earlier = (np.array([100.0, 100.0]), np.array([130.0, 50.0]))
    for gain, verdict in ((20.0, "insufficient data"), (-20.0, "fail")):
        found = gates(judged(made(gain=gain), backtested(), 0, TRIED, earlier=earlier))["decision.weeks"]
        assert (found.verdict, found.value) == (verdict, 0)
        assert found.detail.startswith("-20.00 EUR per cycle at the levels of 8 held-out weeks, by the fit of the time "
                                       "before them, 90 % interval [-20.00, -20.00]; gained in 0 of them")  # fmt: skip
        said = "the fit on all of the history, which knows those weeks too, says otherwise"
        assert (said in found.detail) == (gain > 0)
        assert "more days" not in found.detail


def test_too_few_weeks_say_how_many_days_more() -> None:
    found = gates(judge(level_W=((0.0, 0.0),) * 3))["decision.weeks"]
    # One week is missing, and 56 of 182 days are held out.
    assert (found.verdict, found.value) == ("insufficient data", None)
    assert found.detail == "3 held-out weeks, 4 needed; about 23 more days"


def test_a_campaign_of_which_nothing_is_sure_does_not_hold_up_another() -> None:
    sure, unsure = judge(), judge(known=10.0)
    assert gates(sure, unsure)["decision.gain"].verdict == "pass"
    both = gates(unsure, unsure)
    assert both["decision.gain"].verdict == "insufficient data"
    assert all(", of 2 campaigns together, 90 % interval" in gate.detail for gate in both.values())
    assert not any("together" in gate.detail for gate in gates(sure, unsure).values())


@pytest.mark.parametrize(("margin", "bound"), [(0.01, 0.05), (0.12, 0.12), (0.6, MOST_ALLOWED)])
def test_fidelity_is_asked_for_as_far_as_the_gain_needs(margin: float, bound: float) -> None:
    decided = SimpleNamespace(margin=margin, test=SimpleNamespace(cycles=26))
    case = SimpleNamespace(config=laptop(), decided=decided, market=SimpleNamespace(cycle_hours=168))
    need = _need(case)  # type: ignore[arg-type]
    assert need is not None
    assert need == (pytest.approx(bound), 182)
    assert _need(SimpleNamespace(decided=None)) is None  # type: ignore[arg-type]
