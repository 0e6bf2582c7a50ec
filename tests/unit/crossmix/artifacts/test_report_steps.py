"""The made-up run of the report's tests says nothing that no step writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ibis
import pytest

from crossmix.artifacts import Evaluation, GateTable, IngestReport, MarketReport
from crossmix.evaluate.gates.case import CRITERIA
from crossmix.ingest.clean import impression_rules, plan_rules
from crossmix.ingest.history_tables import outcome_rules
from crossmix.market.model import PARAMETERS
from crossmix.schema import CREATIVES, IMPRESSIONS, OUTCOMES, PLANS, SPLITS, Column, Meta
from crossmix.sources.rules import contract
from tests.support.report_steps import NAMES, demo


@pytest.fixture(scope="module", params=[True, False], ids=["passed", "failed"])
def steps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return demo(tmp_path_factory.mktemp("steps") / "run", passed=request.param)


def test_every_gate_belongs_to_a_criterion_and_every_criterion_has_one(steps: dict[str, Path]) -> None:
    names = [gate.name for gate in GateTable.load(steps["gate"]).gates]
    criteria = CRITERIA.names()
    owners = [next((one for one in criteria if f"{name}.".startswith(f"{one}.")), None) for name in names]
    assert None not in owners
    # A decision is judged of a spend history alone (tests/unit/crossmix/evaluate/gates/test_decision.py).
    assert set(owners) == set(criteria) - {"decision"}
    assert "fidelity.platform.search.cvr" in names
    assert "policy.beats.control" in names


def quarantine_codes() -> Iterator[str]:
    """Every code that cleaning can give a row."""

    def empty(columns: tuple[Column, ...]) -> ibis.Table:
        return ibis.table({column.name: column.kind for column in columns}, name="t")

    for columns in (IMPRESSIONS, CREATIVES, OUTCOMES, PLANS):
        yield from (rule.code for rule in contract(empty(columns), columns))
        yield from (f"{column.name}_{what}" for column in columns for what in ("wrong_type", "not_finite", "conflict"))
    yield from (rule.code for rule in impression_rules(empty(IMPRESSIONS)))
    yield from (rule.code for rule in outcome_rules(empty(OUTCOMES)))
    yield from (rule.code for rule in plan_rules(empty(PLANS), {"a": "a"}, ["c"]))


def test_every_quarantine_code_is_one_of_a_rule(steps: dict[str, Path]) -> None:
    told = IngestReport.load(steps["ingest"]).rows.quarantined
    codes = set(quarantine_codes())
    assert {"price_paid_negative", "unknown_platform", "clock_out_of_order", "impression_id_conflict"} <= codes
    assert set(told) <= codes
    assert "negative_price" not in codes  # what the fixture said once


def test_players_parameters_and_splits_are_the_real_ones(steps: dict[str, Path]) -> None:
    evaluation = Evaluation.load(steps["gate"])
    assert {name: result.label for name, result in evaluation.policies.items()} == NAMES
    assert evaluation.policies["policy"].oracle_ratio.mean == pytest.approx(0.975)
    assert set(MarketReport.load(steps["market"]).platforms[0].parameters) == set(PARAMETERS)
    assert tuple(IngestReport.load(steps["ingest"]).splits) == SPLITS
    assert Meta.load(steps["ingest"]).campaigns == evaluation.campaigns


def test_an_evaluation_of_before_is_read(steps: dict[str, Path]) -> None:
    content = Evaluation.load(steps["gate"]).plain()
    for result in content["policies"].values():
        assert result.pop("dynamic_reward")["mean"] > 0
    assert Evaluation.of(content).policies["policy"].dynamic_reward is None
