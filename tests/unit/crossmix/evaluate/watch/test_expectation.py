"""watch.npz: read as it was written, the same bytes each time; what is none is refused in a sentence."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from crossmix.evaluate.watch import expectation as expectation_module
from crossmix.evaluate.watch.expectation import Expectation, ExpectationError, _price
from crossmix.market.level_evidence import Usual
from crossmix.market.price import EmpiricalPrice, LogNormalPrice
from tests.support import watching


def same(one: Usual, other: Usual) -> None:
    for item in fields(Usual):
        mine, theirs = getattr(one, item.name), getattr(other, item.name)
        if isinstance(mine, torch.Tensor):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    assert one.days == other.days


def test_it_is_read_as_it_was_written() -> None:
    expectation = watching.expectation()
    data = expectation.as_bytes()
    found = Expectation.from_bytes(data)
    same(found.usual, expectation.usual)
    assert isinstance(found.usual.price, EmpiricalPrice)
    assert isinstance(expectation.usual.price, EmpiricalPrice)
    torch.testing.assert_close(found.usual.price.area, expectation.usual.price.area, rtol=0, atol=0)
    assert found.thresholds.largest == expectation.thresholds.largest
    assert found.thresholds.cooldown == 7
    assert found.thresholds.windows == (1,)
    np.testing.assert_array_equal(found.thresholds.scale_2WPQ, expectation.thresholds.scale_2WPQ)
    assert (found.law, found.budget, found.days) == (expectation.law, 0.5, 320)
    assert (found.campaigns, found.platforms) == (("c0", "c1"), ("p0", "p1", "p2"))
    np.testing.assert_allclose(found.quiet_IPQ, expectation.quiet_IPQ, rtol=1e-6)
    assert found.as_bytes() == data


def test_a_lognormal_price_is_kept_too() -> None:
    price = LogNormalPrice(torch.full((2, 3), 1.5).double(), torch.full((2, 3), 0.5).double())
    expectation = watching.expectation()
    found = Expectation.from_bytes(replace(expectation, usual=replace(expectation.usual, price=price)).as_bytes())
    assert isinstance(found.usual.price, LogNormalPrice)
    torch.testing.assert_close(found.usual.price.mu, price.mu, rtol=0, atol=0)


def test_prices_of_many_cells_are_integrated_as_those_of_a_few() -> None:
    knots = torch.rand((90, 5, 129), generator=torch.Generator().manual_seed(3), dtype=torch.float64).cumsum(-1)
    found, whole = _price({"price_knots": knots}), EmpiricalPrice.of(knots)
    assert isinstance(found, EmpiricalPrice)
    for name in ("knots", "area", "area2"):
        torch.testing.assert_close(getattr(found, name), getattr(whole, name), rtol=0, atol=0)


@pytest.mark.parametrize("cut", [0, 100, 3_000])
def test_what_cannot_be_read_is_refused(cut: int) -> None:
    with pytest.raises(ExpectationError, match=r"watch\.npz: cannot be read \(.*\); train anew"):
        Expectation.from_bytes(watching.expectation().as_bytes()[:cut])


@pytest.mark.parametrize(("name", "value"), [("later", 1.0), ("fade", "much")])
def test_a_law_of_other_settings_is_refused(name: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file of a later version may have them."""
    told = expectation_module.asdict
    monkeypatch.setattr(expectation_module, "asdict", lambda law: told(law) | {name: value})
    data = watching.expectation().as_bytes()
    with pytest.raises(ExpectationError, match=rf"watch\.npz: cannot be read \(law: .*{name}.*; train anew"):
        Expectation.from_bytes(data)
