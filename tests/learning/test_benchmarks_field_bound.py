"""`benchmarks.field_bound`: readers who know a law weigh it exactly; what is told of them is of the same histories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import poisson

from benchmarks._field_kinds import KINDS, Kind
from benchmarks._field_posterior import PLANTED, POINTS, WIDE, Families, Laws, Seen, elasticity, hill, power, seen
from benchmarks._field_worlds import World, world
from benchmarks.field_bound import EITHER, FAMILY, FAR, OTHER, PRODUCT, TODAY, history, of_kind, readers, table

LONG = 900
"""Days after which a history tells nearly all."""


def long(family: str, **changes: Any) -> World:
    return world("plain", 3, Kind(0.01, family, days=LONG, **changes))


def bought(conversions: list[float], spend: list[float]) -> Seen:
    """A platform of two clicks per unit of money."""
    money = np.array(spend)
    return Seen(money, 2 * money, np.array(conversions), 1.0, 50.0)


def by_hand(one: Seen, per_click_TG: np.ndarray[Any, Any]) -> float:
    """ln of the mean likelihood over the grid, the level's logarithm integrated by a sum."""
    level = np.linspace(-12, 12, 481)
    expected = one.clicks[:, None, None] * per_click_TG[:, :, None] * np.exp(level)
    likely = poisson.logpmf(one.conversions[:, None, None], expected).sum(0)
    return float(logsumexp(likely) - np.log(per_click_TG.shape[1]) + np.log(level[1] - level[0]))


@pytest.mark.parametrize("laws", [PLANTED, WIDE])
def test_the_evidence_of_two_laws_differs_as_an_integral_by_hand_says(laws: Laws) -> None:
    one = bought([3.0, 0.0, 9.0, 4.0, 14.0], [20.0, 10.0, 60.0, 45.0, 80.0])
    half, k = (
        grid.ravel() for grid in np.meshgrid(np.linspace(*laws.half, POINTS), np.linspace(*laws.exponent, POINTS))
    )
    x = one.spend[:, None] / one.reference
    bends = by_hand(one, x ** (k - 1) / (x**k + half**k))
    fades = by_hand(one, one.clicks[:, None] ** (np.linspace(*laws.faded, POINTS) - 1))
    assert hill(one, laws).evidence - power(one, laws).evidence == pytest.approx(bends - fades, abs=1e-6)


@pytest.mark.parametrize(("family", "fading", "low", "high"), [("hill", False, 0.999, 1), ("power", True, 0, 0.001)])
def test_a_long_history_tells_the_family(family: str, fading: bool, low: float, high: float) -> None:
    assert low <= Families.of(seen(long(family, fading=fading))).probability <= high


@pytest.mark.parametrize(
    ("law", "family", "fading"), [(hill, "hill", False), (power, "power", True), (elasticity, "power", False)]
)
def test_of_a_long_history_each_law_expects_what_the_world_earns(law: Any, family: str, fading: bool) -> None:
    made = long(family, fading=fading)
    platforms = seen(made)
    for factor in (0.5, 1.0, 2.0):
        told = sum(float(law(one).revenue(factor * made.today_CP[0, p])) for p, one in enumerate(platforms))
        assert told == pytest.approx(made.revenue(factor * made.today_CP), rel=0.05)


def test_who_knows_the_family_loses_next_to_nothing_and_who_believes_the_other_loses() -> None:
    made = long("hill")
    regret = {who: made.regret(split) for who, split in readers(made, hill=True, bent=True).items()}
    assert regret[FAMILY] < 0.002
    assert regret[EITHER] == pytest.approx(regret[FAMILY], abs=1e-4)
    assert regret[OTHER] > 5 * regret[FAMILY]


@pytest.mark.parametrize("kind", ["holes", "weekly"])
def test_a_world_that_no_bound_is_worked_out_of_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind}: a bound is worked out of one campaign's days alone"):
        seen(world(kind, 1, KINDS[kind]))


@pytest.mark.slow
def test_a_history_is_split_by_everyone() -> None:
    played = history("hill-56-days", 41000)
    assert played["refused"] is None
    assert set(played["regret"]) == {PRODUCT, TODAY, FAMILY, OTHER, EITHER, FAR}
    assert all(-1e-6 < loss < 1 for loss in played["regret"].values())
    assert played["regret"][TODAY] == pytest.approx(
        world("hill-56-days", 41000).regret(world("hill-56-days", 41000).today_CP)
    )


def test_means_are_over_the_histories_that_the_product_answers() -> None:
    def one(refused: str | None, **regret: float) -> dict[str, Any]:
        named = {PRODUCT: "product", TODAY: "today", FAR: "far"}
        told = {who: regret[short] for who, short in named.items() if short in regret}
        return {"kind": "hill", "refused": refused, "regret": told, "probability of Hill": 0.5}

    row = of_kind(
        [
            one(None, product=0.02, today=0.05, far=0.01),
            one("too short", today=0.9, far=0.8),
            one(None, product=0.04, today=0.03, far=0.02),
        ]
    )
    assert (row["histories"], row["refused"]) == (3, 1)
    assert row["regret"][FAR]["mean"] == pytest.approx(0.015)
    assert row["product over bound"] == pytest.approx(2.0)
    assert row["product less bound"]["mean"] == pytest.approx(0.015)
    assert row["worse than today"] == {PRODUCT: 1, TODAY: 0, FAR: 0}
    told = table({"seeds": [1, 3], "kinds": {"hill": row, "steady": of_kind([one("too short")])}})
    assert "3.00 [" in told
    assert "2.00" in told
    assert "every history was refused" in told
