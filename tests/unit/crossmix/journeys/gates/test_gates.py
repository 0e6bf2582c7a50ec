"""Every gate passes what it should, and one planted failure of each is caught."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from crossmix.journeys.answer import Answer
from crossmix.journeys.bundled import Singles
from crossmix.journeys.calibration import Told
from crossmix.journeys.campaign import Campaign
from crossmix.journeys.gates.case import Case, judged
from crossmix.journeys.gates.played import Block, lead, student
from crossmix.journeys.layout import Layout
from crossmix.journeys.leak import leak
from crossmix.journeys.log import Events
from crossmix.journeys.logged import ROBUST, SNIPS, Earning, Logged
from crossmix.journeys.score import Figure
from crossmix.journeys.settings import Journeys, JourneysGates
from crossmix.journeys.simulate import Played
from crossmix.journeys.table import tabulate
from crossmix.journeys.told import Told as Channels
from crossmix.registered import declared
from crossmix.verdicts import FAIL, INSUFFICIENT, NOT_APPLICABLE, PASS, Gate, passed
from tests.support.journeys_run import learned


def _played(name: str, per_cost: float, spent: float = 0.99) -> Played:
    return Played(name, per_cost * spent, 1.0, spent, 1.0, 10, 0.1)


def _block(response: float, log: float = 1.0, eq17: float = 1.2, spent: float = 0.99, own: float = 0.5) -> Block:
    others = {"log": log, "eq. 17": eq17, "best, own clicks": own, "oracle": 9.0}
    return Block((*(_played(name, one) for name, one in others.items()), _played("response", response, spent)))


def _earning(value: float, spent: float = 1.0, *, effective: float = 400.0) -> Earning:
    figure = Figure(value, value - 0.1, value + 0.1)
    return Earning(
        per_cost={SNIPS: figure, ROBUST: figure}, spent=Figure(spent, spent - 0.02, spent + 0.02), effective=effective,
        enough=effective >= 50, needed=9_000,
    )  # fmt: skip


def _logged(log: float = 1.0, response: float = 3.0, eq17: float = 1.2, own: float = 2.0, **settings: float) -> Logged:
    policies = {"eq. 17": _earning(eq17), "best, own clicks": _earning(own), "response": _earning(response, **settings)}
    return Logged(exposures=5_000, log=Figure(log, log - 0.05, log + 0.05), policies=policies)


PACED = Campaign(
    budget=10.0, spend=9.8, asked=10.1, expected=9.7, exposures=50, fullest=0.99,
    shadow=0.5, found=0.6, bought=1.2, due=1.0,
)  # fmt: skip

TOLD = Told(
    clicks=5_000,
    conversions=900,
    auc=Figure(0.70, 0.69, 0.71),
    own_auc=Figure(0.67, 0.66, 0.68),
    reference_auc=Figure(0.69, 0.68, 0.70),
    lead=Figure(0.01, 0.005, 0.015),
    slope=1.02,
    slope_error=0.02,
    conversion_slope=1.1,
    conversion_slope_error=0.1,
    click_ratio=Figure(1.01, 0.97, 1.05),
    conversion_ratio=Figure(0.98, 0.90, 1.06),
    value_ratio=Figure(1.04, 0.93, 1.15),
)

GOOD = Case(
    settings=Journeys(),
    learned=frozenset({1, 2, 3}),
    stopped=frozenset({4, 5}),
    tested=frozenset({6, 7}),
    held_out=frozenset({4, 5, 6, 7}),
    leak=0.0,
    imitation=Figure(-0.05, -0.07, -0.03),
    told=Channels(1_000, 0.7, 0.4, 0.3, 0.5),
    response=TOLD,
    blocks=(_block(3.0), _block(3.3), _block(2.8)),
    paced={"c": PACED},
    logged=None,
    latency_ms=3.0,
)


def verdicts(case: Case) -> dict[str, Gate]:
    return {gate.name: gate for gate in judged(case)}


def test_what_is_sound_passes_every_gate() -> None:
    gates = judged(GOOD)
    assert {gate.verdict for gate in gates} == {PASS}
    assert passed(gates)
    assert {gate.name for gate in gates if not gate.required} == {"journey.value.own_clicks"}
    found = {gate.name for gate in gates}
    for name in declared("crossmix.journeys.gates"):
        assert any(one == name or one.startswith(f"{name}.") for one in found), name


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("journey.causal", {"leak": 0.01}),
        ("journey.apart", {"tested": frozenset({6, 1})}),
        ("journey.apart", {"tested": frozenset({6, 4})}),
        ("journey.apart", {"stopped": frozenset({1, 5})}),
        ("journey.apart", {"held_out": frozenset({1, 4, 5, 6, 7})}),
        ("journey.imitation", {"imitation": Figure(-0.01, -0.03, 0.01)}),
        ("journey.response.auc", {"response": replace(TOLD, lead=Figure(0.002, -0.001, 0.005))}),
        ("journey.response.slope", {"response": replace(TOLD, slope=0.8)}),
        ("journey.response.clicks", {"response": replace(TOLD, click_ratio=Figure(1.2, 1.15, 1.25))}),
        ("journey.response.conversions", {"response": replace(TOLD, conversion_ratio=Figure(0.7, 0.62, 0.78))}),
        ("journey.response.value", {"response": replace(TOLD, value_ratio=Figure(1.9, 1.2, 2.6))}),
        ("journey.value.log", {"blocks": (_block(1.1, 1.0, 0.2), _block(0.9, 1.0, 0.2), _block(1.0, 1.0, 0.2))}),
        ("journey.value.eq17", {"blocks": (_block(1.3, 0.2), _block(1.1, 0.2), _block(1.2, 0.2))}),
        (
            "journey.value.spent",
            {"blocks": (_block(9.0, spent=0.05), _block(9.1, spent=0.06), _block(9.2, spent=0.05))},
        ),
        ("journey.budget", {"paced": {"c": PACED, "d": replace(PACED, spend=10.2)}}),
        ("journey.budget", {"paced": {"c": PACED, "d": replace(PACED, spend=9.0)}}),
        ("journey.budget", {"paced": {"c": replace(PACED, fullest=1.01)}}),
        ("journey.budget", {"paced": {"c": replace(PACED, asked=19.5)}}),
        ("journey.budget", {"paced": {"c": replace(PACED, shadow=1.3, bought=0.4)}}),
        ("journey.budget", {"blocks": (_block(3.0), _block(3.2, spent=1.1), _block(3.1))}),
        ("journey.latency", {"latency_ms": 51.0}),
    ],
)
def test_one_planted_failure_of_each_gate_is_caught(name: str, planted: dict[str, object]) -> None:
    case = replace(GOOD, **planted)
    found = verdicts(case)
    assert found[name].verdict == FAIL
    assert {one.name for one in found.values() if one.verdict == FAIL} == {name}
    assert not passed(judged(case))


def test_a_log_without_propensities_or_world_cannot_tell_value() -> None:
    case = replace(GOOD, blocks=())
    gate = verdicts(case)["journey.value"]
    assert (gate.verdict, gate.value, gate.required) == (INSUFFICIENT, None, True)
    assert "propensities" in gate.detail
    assert not passed(judged(case))
    aside = replace(case, settings=Journeys(gates=JourneysGates(required=("journey.causal", "journey.response"))))
    assert passed(judged(aside))


def test_a_log_of_one_campaign_and_without_a_world_is_told_as_that() -> None:
    gate = verdicts(replace(GOOD, paced={"c": PACED}, blocks=()))["journey.budget"]
    assert gate.detail == "of all budgets of 1 campaign, settled as served; their prices were 104.1 % of the expected"


def test_a_budget_for_which_nothing_was_asked_is_told_by_nothing() -> None:
    silent = replace(PACED, spend=0.0, asked=0.0, expected=0.0, exposures=0, fullest=0.0, bought=0.0, due=0.0)
    gate = verdicts(replace(GOOD, paced={"c": PACED, "d": silent}))["journey.budget"]
    assert (gate.verdict, gate.value) == (INSUFFICIENT, None)
    assert "no exposure of d was asked for" in gate.detail


def test_a_lead_over_own_clicks_that_is_not_clear_is_told_and_refuses_nothing() -> None:
    case = replace(GOOD, blocks=(_block(3.0, own=3.0), _block(3.3, own=3.4), _block(2.8, own=2.7)))
    gate = verdicts(case)["journey.value.own_clicks"]
    assert (gate.verdict, gate.required) == (FAIL, False)
    assert "reported, not required" in gate.detail
    assert passed(judged(case))
    asked = JourneysGates(required=("journey", "journey.value.own_clicks"))
    assert not passed(judged(replace(case, settings=Journeys(gates=asked))))


def test_a_log_with_propensities_tells_value_by_both_estimates() -> None:
    case = replace(GOOD, blocks=(), logged=_logged())
    found = verdicts(case)
    assert passed(judged(case))
    assert found["journey.value.log"].value == pytest.approx(2.0)
    # Intervals of the two are taken as independent: hypot(0.1, 0.05) and hypot(0.1, 0.1).
    assert "+2.000 [+1.888, +2.112]" in found["journey.value.log"].detail
    assert "+1.800 [+1.659, +1.941]" in found["journey.value.eq17"].detail
    assert not found["journey.value.own_clicks"].required


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("journey.value.log", _logged(log=2.95)),
        ("journey.value.eq17", _logged(eq17=2.9)),
        ("journey.value.spent", _logged(response=9.0, spent=0.05)),
    ],
)
def test_one_planted_failure_of_value_by_propensities_is_caught(name: str, planted: Logged) -> None:
    case = replace(GOOD, blocks=(), logged=planted)
    assert {one.name for one in judged(case) if one.verdict == FAIL} == {name}
    assert not passed(judged(case))


def test_one_estimate_above_and_one_level_is_no_lead() -> None:
    own = _earning(3.0)
    level = replace(own, per_cost=dict(own.per_cost) | {SNIPS: Figure(3.0, 0.5, 5.5)})
    logged = _logged()
    case = replace(GOOD, blocks=(), logged=replace(logged, policies=dict(logged.policies) | {"response": level}))
    assert verdicts(case)["journey.value.log"].verdict == FAIL


def test_propensities_that_hold_little_of_the_choice_are_too_few() -> None:
    gate = verdicts(replace(GOOD, blocks=(), logged=_logged(effective=40.0)))["journey.value"]
    assert (gate.verdict, gate.value, gate.required) == (INSUFFICIENT, None, True)
    assert "an effective sample of 40 of what the model would choose; 9,000 exposures" in gate.detail


def test_where_the_channel_is_independent_of_the_journey_imitation_is_told_and_not_asked() -> None:
    case = replace(GOOD, imitation=Figure(0.0, -0.001, 0.001), told=Channels(1_000, 0.15, 0.0, -0.001, 0.001))
    gate = verdicts(case)["journey.imitation"]
    assert (gate.verdict, gate.value) == (NOT_APPLICABLE, 0.0)
    assert "independent" in gate.detail
    assert passed(judged(case))


def test_a_few_clicks_are_too_few() -> None:
    found = verdicts(replace(GOOD, response=replace(TOLD, clicks=199)))
    assert {found[name].verdict for name in ("journey.response.auc", "journey.response.slope")} == {INSUFFICIENT}


def test_a_few_conversions_are_too_few_and_the_gate_says_how_many_are_missing() -> None:
    """An interval of +- 0.45 by 40 conversions is one of +- 0.15 by 360; without any it takes (1.96 / 0.15)^2 = 171."""
    for ratio, count, missing in ((Figure(1.2, 0.75, 1.65), 40, "320 conversions"), (None, 0, "171 conversions")):
        case = replace(GOOD, response=replace(TOLD, conversions=count, conversion_ratio=ratio, value_ratio=None))
        found = verdicts(case)
        for name in ("journey.response.conversions", "journey.response.value"):
            assert (found[name].verdict, found[name].value) == (INSUFFICIENT, None)
            assert "are missing" in found[name].detail
        assert f"some {missing} are missing" in found["journey.response.conversions"].detail
        assert not passed(judged(case))


@pytest.mark.parametrize(
    ("name", "change", "missing"),
    [
        ("journey.response.slope", {"slope": 0.2, "slope_error": 0.4}, "some 5,489 clicks"),  # 200 (0.8 / 0.15)^2
        ("journey.response.slope", {"slope": 0.65, "slope_error": 0.13}, "some 401 clicks"),
        ("journey.response.clicks", {"click_ratio": Figure(1.34, 1.09, 1.59)}, "some 356 clicks"),
    ],
)
def test_what_is_so_unsure_that_a_model_that_knows_nothing_would_pass_is_not_told(
    name: str, change: dict[str, object], missing: str
) -> None:
    case = replace(GOOD, response=replace(TOLD, clicks=200, **change))
    gate = verdicts(case)[name]
    assert (gate.verdict, gate.value) == (INSUFFICIENT, None)
    assert f"{missing} are missing" in gate.detail
    assert not passed(judged(case))


def test_a_slope_that_is_surely_off_fails_however_unsure_it_is() -> None:
    gate = verdicts(replace(GOOD, response=replace(TOLD, slope=0.2, slope_error=0.3)))["journey.response.slope"]
    assert (gate.verdict, gate.value) == (FAIL, 0.2)


@pytest.mark.parametrize(
    ("spent", "verdict", "says"),
    [
        (Figure(0.30, -0.40, 0.96), INSUFFICIENT, "more exposures with a propensity"),
        (Figure(1.05, 0.85, 1.25), INSUFFICIENT, "some 15,000 exposures"),  # 5,000 x (0.2 / 0.1)^2 are 20,000
        (Figure(1.80, 0.95, 2.65), INSUFFICIENT, "are missing for an interval of +- 0.150"),
        (Figure(1.80, 1.50, 2.10), FAIL, "1.800 [1.500, 2.100]"),
        (Figure(0.80, 0.70, 0.90), FAIL, "0.800 [0.700, 0.900]"),
        (Figure(1.00, 0.96, 1.04), PASS, "1.000 [0.960, 1.040]"),
    ],
)
def test_money_spent_by_propensities_is_told_where_its_interval_tells(spent: Figure, verdict: str, says: str) -> None:
    logged = _logged()
    own = replace(logged.policies["response"], spent=spent)
    case = replace(GOOD, blocks=(), logged=replace(logged, policies=dict(logged.policies) | {"response": own}))
    gate = verdicts(case)["journey.value.spent"]
    assert gate.verdict == verdict
    assert says in gate.detail
    assert passed(judged(case)) == (verdict == PASS)


def test_leads_are_paired_by_block() -> None:
    """Blocks differ by far more than players do; the lead's interval knows only the differences 1.0, 1.1, 0.9."""
    blocks = [_block(11.0, 10.0), _block(2.1, 1.0), _block(5.9, 5.0)]
    found = lead(blocks, "log")
    assert found.value == pytest.approx(1.0)
    assert found.high - found.value == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)
    assert student([1.0, 3.0]).value == 2.0


class Peeking(torch.nn.Module):
    """An encoder that adds what the next step is."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, feature_BTF: Tensor, real_BT: Tensor) -> Tensor:
        later = torch.cat([feature_BTF[:, 1:], feature_BTF[:, -1:]], 1)
        hidden: Tensor = self.inner(feature_BTF + later, real_BT)
        return hidden


class Answering:
    """A bundle that is the model itself, or one that reads what is marked as padding."""

    def __init__(self, peeks: bool) -> None:
        self.peeks = peeks

    def run(self, step_UTF: Singles, real_UT: Singles) -> Answer:
        clicks_U = (step_UTF.sum(2) * (1.0 if self.peeks else real_UT)).sum(1).astype(float)
        return Answer(*(clicks_U[:, None] for _ in Answer.__slots__))


def test_an_encoder_that_sees_the_next_step_is_caught() -> None:
    one = learned()
    assert leak(one.ready, one.response, Answering(peeks=False)) < 1e-4
    net = one.response.net
    sound = net.encoder
    net.encoder = Peeking(sound)
    try:
        assert leak(one.ready, one.response, Answering(peeks=False)) > 1e-3
    finally:
        net.encoder = sound


def test_a_bundle_that_sees_the_next_step_is_caught() -> None:
    one = learned()
    assert leak(one.ready, one.response, Answering(peeks=True)) > 1e-3


def test_a_feature_that_knows_a_later_time_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a user stays away after a step is known from the next one's time alone."""
    one = learned()
    features = Layout.features

    def later(layout: Layout, events: Events) -> np.ndarray:
        made = features(layout, events)
        away_R = np.where(events.has_next_R, np.diff(events.seconds_R, append=0.0), 0.0)
        made[:, layout.index("log_gap")] = np.log1p(np.maximum(away_R, 0.0))
        return made

    monkeypatch.setattr(Layout, "features", later)
    table = tabulate(one.log, one.response.layout, one.response.layout.features(one.log), one.ready.scaler)
    assert leak(replace(one.ready, table=table), one.response, Answering(peeks=False)) > 1e-3
