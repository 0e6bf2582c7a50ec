"""The whole workflow on the real Criteo slice, at a small size: what it says of itself, and what it must not claim."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.real_data import SLICE
from tests.support.small_run import Ran, crossmix

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.skipif(
        not SLICE.exists(), reason="the Criteo slice is neither in $CROSSMIX_SHARED_DATA nor in ../shared/data"
    ),
]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    out = tmp_path_factory.mktemp("criteo") / "out"
    return crossmix(
        out,
        data__source="criteo",
        data__path=str(SLICE),
        fusion__train_rows="8000",
        gates__required=json.dumps(["fidelity.campaign", "policy.limits"]),
    )


def test_it_ends_with_an_answer(real: Ran) -> None:
    told = json.loads((real.out / "summary.json").read_text())
    failed = [gate for gate in told["gates"] if gate["required"] and gate["verdict"] in ("fail", "insufficient data")]
    assert real.status == (3 if failed else 0), real.screen
    assert (told["registry"] is None) == bool(failed)
    for gate in failed:
        assert gate["name"] in real.screen
    assert told["fusion"]["modalities"] == ["behaviour"]
    assert told["rows"] == {"ingested": 110_547, "quarantined": {}}


def test_few_conversions_are_insufficient_data_and_never_a_pass(real: Ran) -> None:
    [judged] = real.out.glob("steps/gate/*/evaluation.json")
    evaluation = json.loads(judged.read_text())
    told = {gate["name"]: gate for gate in json.loads((judged.parent / "gates.json").read_text())["gates"]}
    few = [
        name
        for name, metrics in evaluation["fidelity"]["deviations"].items()
        if name != "total" and metrics["cvr"]["conversions"] < 20
    ]
    assert len(few) >= 2, "several platforms of the slice have hardly a conversion"
    for name in few:
        for metric in ("ctr", "cvr", "roi"):
            assert told[f"fidelity.platform.{name}.{metric}"]["verdict"] == "insufficient data"
        assert "at least 20 needed" in told[f"fidelity.platform.{name}.cvr"]["detail"]
    # The slice came without a plan, so there is no spend to be held against one.
    assert told["fidelity.campaign.spend"]["verdict"] == "not applicable"


def test_the_report_says_what_is_real_approximated_and_missing(real: Ran) -> None:
    page = (real.out / "report.html").read_text()
    assert "no bids" in page
    assert "approximated" in page
    assert "missing" in page
    assert "Generated data" not in page


def test_no_path_of_a_run_is_in_its_bundle(real: Ran) -> None:
    [manifest] = real.out.glob("steps/gate/*/bundle/manifest.json")
    assert str(Path.home()) not in manifest.read_text()
    assert str(real.out) not in manifest.read_text()
