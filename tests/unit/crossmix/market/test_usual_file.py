"""`crossmix.market.usual_file`: what is written is what is read."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from crossmix.market import usual_file
from crossmix.market.level_evidence import Usual
from crossmix.market.model import Market
from tests.support.markets import make_market


@pytest.fixture(params=["lognormal", "empirical"])
def market(request: pytest.FixtureRequest) -> Market:
    made = make_market(seed=3, campaigns=3, platforms=4)
    if request.param == made.price_kind:
        return made
    return replace(made, price_kind=request.param, price=torch.linspace(0.5, 2.0, 17).repeat(3, 4, 1))


def same(one: Usual, other: Usual) -> None:
    assert type(one.price) is type(other.price)
    for field in fields(Usual):
        if field.name not in ("price", "days"):
            assert torch.equal(getattr(one, field.name), getattr(other, field.name)), field.name
    assert one.days == other.days
    for field in fields(one.price):
        assert torch.equal(getattr(one.price, field.name), getattr(other.price, field.name)), field.name


def test_it_comes_back_as_it_was(market: Market, tmp_path: Path) -> None:
    named = usual_file.Named.of(market)
    (tmp_path / "usual.npz").write_bytes(usual_file.as_bytes(named))
    read = usual_file.load(tmp_path / "usual.npz")
    assert (read.campaigns, read.platforms) == (("c0", "c1", "c2"), tuple(market.platforms))
    same(read.usual, Usual.of(market))
    assert usual_file.as_bytes(read) == usual_file.as_bytes(named)


def test_rows_are_those_of_the_campaigns_asked_for(market: Market) -> None:
    named = usual_file.Named.of(market)
    same(named.of_campaigns(["c2", "c0"]), Usual.of(market, torch.tensor([2, 0])))
    with pytest.raises(KeyError, match="c9"):
        named.of_campaigns(["c9"])


def test_what_is_no_such_file_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "usual.npz"
    with pytest.raises(usual_file.UsualError, match=r"usual\.npz: not what this version reads as usual"):
        usual_file.load(file)
    for content in (b"", b"PK\x03\x04nothing"):
        file.write_bytes(content)
        with pytest.raises(usual_file.UsualError, match=r"usual\.npz: .* train again"):
            usual_file.load(file)
