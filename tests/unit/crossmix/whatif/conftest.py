"""One fitted market, its scene and the answer to every question about it, for all tests of what-if."""

from __future__ import annotations

import pytest

from crossmix import whatif
from crossmix.market.model import Market
from crossmix.whatif.scene import Scene
from tests.support.markets import make_market
from tests.support.scenes import LIMITED, P


@pytest.fixture(scope="session")
def market() -> Market:
    return make_market(platforms=P)


@pytest.fixture(scope="session")
def scene(market: Market) -> Scene:
    return whatif.make_scene(market, "c0")


@pytest.fixture(scope="session")
def answer(market: Market) -> whatif.WhatIf:
    scene = whatif.make_scene(market, "c0", change=LIMITED["max"], draws=40)
    return whatif.ask(
        scene,
        [("+30%", 1.3 * scene.budget), ("mine", 0.8 * scene.budget)],
        [("cpa", 1e-3), ("roas", 1e-3), ("roas", 2.0)],
        simulated_cycles=10,
    )
