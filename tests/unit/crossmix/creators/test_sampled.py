"""Briefs are the same for the same seed, fit the catalogue and can be met; the walk learns on others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crossmix import config
from crossmix.creators import effect, generated, sampled
from crossmix.creators.large import large
from crossmix.creators.reference import greedy
from crossmix.creators.relax import relax
from crossmix.schema import DataError

SETTINGS = config.load("laptop", ["task=creators", "data.source=demo-creators", "creators.briefs.count=5"]).creators
WORLD = generated.demo(500, seed=4)
MEAN_N = effect.fit(WORLD.catalogue).posterior(WORLD.catalogue).mean_N


@pytest.fixture(scope="module")
def judged() -> tuple[tuple[sampled.Drawn, ...], int]:
    return sampled.draw(WORLD.catalogue, MEAN_N, SETTINGS)


def test_briefs_can_be_met_and_their_bound_is_the_relaxations_or_below_it(
    judged: tuple[tuple[sampled.Drawn, ...], int],
) -> None:
    drawn, passed_over = judged
    assert len(drawn) == 5
    assert passed_over >= 0
    mean = WORLD.catalogue.price_N.mean()
    for one in drawn:
        assert 30 <= one.problem.brief.budget / mean <= 301
        assert one.problem.value(greedy(one.problem)) <= one.bound <= relax(one.problem).bound * (1 + 1e-9)
        assert one.audience_factor_C.shape == (one.problem.matrix.cells,)
    again, _ = sampled.draw(WORLD.catalogue, MEAN_N, replace(SETTINGS, briefs=replace(SETTINGS.briefs, count=2)))
    assert [one.problem.brief for one in drawn[:2]] == [one.problem.brief for one in again]
    other = replace(SETTINGS, briefs=replace(SETTINGS.briefs, seed=1, count=1))
    assert sampled.draw(WORLD.catalogue, MEAN_N, other)[0][0].problem.brief != drawn[0].problem.brief


def test_a_judged_bound_ends_by_its_tree_and_not_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ten times the wall time it is the same, bit for bit."""
    asked = []
    one = replace(SETTINGS, briefs=replace(SETTINGS.briefs, count=1, seed=1))

    def bound(times: float) -> float:
        def search(*given: Any, **limits: Any) -> Any:
            asked.append((limits["seconds"], limits["nodes"]))
            return large(*given, **limits | {"seconds": times * limits["seconds"]})

        monkeypatch.setattr(sampled, "large", search)
        return sampled.draw(WORLD.catalogue, MEAN_N, one)[0][0].bound

    assert bound(1.0) == bound(10.0)
    assert asked == [(sampled.GUARD_SECONDS, sampled.NODES)] * 2
    assert sampled.GUARD_SECONDS >= 600


def test_nobody_is_judged_on_a_brief_that_the_walk_learns_on(judged: tuple[tuple[sampled.Drawn, ...], int]) -> None:
    few = replace(SETTINGS, briefs=replace(SETTINGS.briefs, training=4))
    learned, _ = sampled.draw(WORLD.catalogue, MEAN_N, few, training=True)
    assert len(learned) == 4
    assert not {one.problem.brief.name for one in judged[0]} & {one.problem.brief.name for one in learned}


def test_tiers_follow_the_catalogue_and_equal_ones_are_one() -> None:
    tiers = sampled.tiers_of(WORLD.catalogue)
    assert list(tiers) == ["head", "mid", "tail"]
    assert (WORLD.catalogue.followers_N >= tiers["head"]).mean() == pytest.approx(0.04, abs=0.01)
    level = replace(WORLD.catalogue, followers_N=np.full(len(WORLD.catalogue), 5_000.0))
    assert sampled.tiers_of(level) == {"head": 5_000.0, "tail": 0.0}


def test_a_catalogue_that_meets_hardly_a_brief_is_refused_with_a_remedy() -> None:
    level = replace(WORLD.catalogue, followers_N=np.full(len(WORLD.catalogue), 5_000.0))
    with pytest.raises(DataError, match="only 0 of 50 briefs drawn for it can be met by any plan; add creators"):
        sampled.draw(level, MEAN_N, SETTINGS)
