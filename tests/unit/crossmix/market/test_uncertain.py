"""How fitted parameters are drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix.market.model import Market, load, save
from crossmix.market.uncertain import drawn as draw
from crossmix.market.uncertain import parameters
from tests.support.markets import make_market


def of_totals(shared: dict[str, torch.Tensor]) -> Market:
    """A market whose elasticities have an error of 0.1."""
    market = make_market(platforms=3, campaigns=2)
    value = dict(market.value) | {"elasticity": torch.full((2, 3), 0.7), "bend": torch.full((2, 3), 0.2)}
    error = dict(market.error) | {"elasticity": torch.full((2, 3), 0.1), "bend": torch.full((2, 3), 0.02)}
    return replace(market, value=value, error=error, shared=shared)


def drawn(market: Market, name: str, slot: int = 0) -> np.ndarray:
    return np.asarray(draw(market, slot, 20_000, torch.Generator().manual_seed(3)).factor[name])


@pytest.mark.parametrize("part", [0.0, 0.4, 1.0])
def test_platforms_share_the_part_of_an_error_that_is_named(part: float) -> None:
    market = of_totals({"elasticity": torch.tensor([part, 0.0])})
    found = drawn(market, "elasticity")
    assert found.mean(0) == pytest.approx(np.ones(3), abs=0.005)
    assert found.std(0) == pytest.approx(np.full(3, 0.1 / 0.7), rel=0.03)
    apart = np.corrcoef(found.T)[np.triu_indices(3, 1)]
    assert apart == pytest.approx(np.full(3, part), abs=0.03)
    for alone in (drawn(market, "elasticity", slot=1), drawn(market, "bend")):
        assert np.corrcoef(alone.T)[np.triu_indices(3, 1)] == pytest.approx(np.zeros(3), abs=0.03)


def test_a_market_keeps_it_and_files_of_before_share_nothing(tmp_path: Path) -> None:
    save(of_totals({"bend": torch.tensor([0.25, 0.5])}), tmp_path)
    assert load(tmp_path).shared["bend"].tolist() == [0.25, 0.5]
    text = (tmp_path / "market.json").read_text()
    assert '"shared": {' in text
    (tmp_path / "market.json").write_text(text.replace('"shared": {', '"was": {'))
    assert load(tmp_path).shared == {}


def test_every_flight_is_in_a_market_of_its_own() -> None:
    market = of_totals({})
    error = dict(market.error) | {
        "ctr_drift": 0.2 * market.value["ctr_drift"],
        "ctr_persistence": torch.full((2, 3), 0.1),
    }
    found = parameters(replace(market, error=error), 1000, torch.Generator().manual_seed(5))
    assert all(table.shape == (2000, 3) for table in found.values())
    for slot in (0, 1):  # a flight's campaigns on end
        rows = {name: table[slot::2].double() for name, table in found.items()}
        for name, relative in (("ctr", 0.02), ("ctr_drift", 0.2), ("elasticity", 0.1 / 0.7)):
            fitted = market.value[name][slot].double()
            torch.testing.assert_close(rows[name].mean(0), fitted, rtol=0.03, atol=0.0)
            torch.testing.assert_close(rows[name].std(0), relative * fitted, rtol=0.1, atol=0.0)
        # Held where the response was fitted as a whole.
        assert (rows["requests"] == market.value["requests"][slot]).all()
    persistence = found["ctr_persistence"]
    assert persistence.min() >= 0
    assert persistence.max() < 1
    assert persistence.std() > 0.05
    # What has no error is as fitted.
    exact = parameters(replace(market, error={name: 0 * table for name, table in error.items()}), 2, torch.Generator())
    torch.testing.assert_close(exact["cvr_drift"], market.value["cvr_drift"].repeat(2, 1))
    torch.testing.assert_close(exact["value"], market.value["value"].repeat(2, 1))
