"""Contexts and responses are resampled by similarity: like cycles with like."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.config import laptop
from crossmix.market.fit.contexts import contexts, marks, responses
from crossmix.market.fit.log import Log
from crossmix.schema import Meta
from crossmix.state import ALLOCATION

CYCLES, TRAIN, PER_CYCLE = 40, 32, 400


@pytest.fixture
def fused(tmp_path: Path) -> tuple[Log, Path, np.ndarray]:
    """A log whose cycles are of two kinds: in the odd ones half of the impressions are clicked four times as often."""
    rng = np.random.default_rng(0)
    kind_T = np.arange(CYCLES) % 2
    cycle = np.repeat(np.arange(CYCLES), PER_CYCLE)
    keen = (rng.random(len(cycle)) < 0.5) & (kind_T[cycle] == 1)
    frame = pd.DataFrame(
        {
            "cycle": cycle,
            "c": 0,
            "p": 0,
            "split": np.where(cycle < TRAIN, "train", "test"),
            "holdout": False,
        }
    )
    meta = Meta(
        source="demo", generated=True, currency="USD", platforms=("search",), campaigns=("c",), start="2025-01-06",
        cycle_hours=24, cycles=CYCLES, first_cycle={"train": 0, "validation": TRAIN, "test": TRAIN + 4},
        modalities=(), provenance={}, weekday_pattern=False, digest="0",
    )  # fmt: skip
    predictions = {"p_click": np.where(keen, 0.2, 0.05), "p_conversion": np.where(keen, 0.3, 0.1), "trained": False}
    pd.DataFrame({"impression_id": np.arange(len(cycle)).astype(str), **predictions}).to_parquet(
        tmp_path / "predictions.parquet"
    )
    centre = rng.standard_normal((2, ALLOCATION.context_size))
    fused_TD = centre[kind_T] + 0.3 * rng.standard_normal((CYCLES, ALLOCATION.context_size))
    table = {"campaign_id": "c", "cycle": np.arange(CYCLES), "context": list(fused_TD)}
    pd.DataFrame(table).to_parquet(tmp_path / "contexts.parquet")
    return Log(meta, frame), tmp_path, kind_T


def test_cycles_with_like_contexts_form_a_group(fused: tuple[Log, Path, np.ndarray]) -> None:
    log, folder, kind_T = fused
    found = contexts(laptop(), log, folder)
    group_T, kind = found.cycle_group_CT[0], kind_T[:TRAIN]
    assert len(group_T) == TRAIN
    for group in np.unique(group_T):
        assert len(set(kind[group_T == group])) == 1, "a group mixes both kinds"
    np.testing.assert_array_equal(found.group_CN[0], group_T[-found.bank_CND.shape[1] :])
    # The multiplier tells the cycle's mix: (0.2 + 0.05) / 2 = 0.125 against 0.05, over their mean.
    rate_N = found.rate_CNP[0, :, 0]
    assert rate_N[kind == 1].mean() / rate_N[kind == 0].mean() == pytest.approx(0.125 / 0.05, rel=0.15)


def test_responses_come_from_impressions_of_the_same_group(fused: tuple[Log, Path, np.ndarray]) -> None:
    log, folder, kind_T = fused
    found = contexts(laptop(), log, folder)
    table, mean = responses(log, folder, found.cycle_group_CT)
    for group in range(table.shape[1]):
        odd = kind_T[:TRAIN][found.cycle_group_CT[0] == group][0] == 1
        click, convert = table[0, group, 0, :, 0], table[0, group, 0, :, 1]
        assert click.mean() == pytest.approx(1)
        assert (click * convert).mean() == pytest.approx(1)
        assert len(np.unique(click.round(6))) == (2 if odd else 1)
        assert mean[0, group, 0] == pytest.approx(0.125 if odd else 0.05, rel=0.1)


def test_without_fused_contexts_there_is_one_group_and_no_effect(fused: tuple[Log, Path, np.ndarray]) -> None:
    log, _, _ = fused
    found = contexts(laptop(), log, None)
    table, _ = responses(log, None, found.cycle_group_CT)
    assert table.shape[1] == 1
    assert (table == 1).all()
    assert not found.bank_CND.any()
    assert (found.rate_CNP == 1).all()


def test_campaigns_without_fused_contexts_have_marks_of_their_own() -> None:
    """A state tells whose it is by its context alone; a mark is its campaign's, whoever else is there."""
    three, two = marks(["spring", "autumn", "brand"]), marks(["brand", "spring"])
    assert three.shape == (3, ALLOCATION.context_size)
    assert (three[[2, 0]] == two).all()
    likeness = three @ three.T / ALLOCATION.context_size
    assert likeness.diagonal() == pytest.approx(1)
    assert np.abs(likeness - np.eye(3)).max() < 0.25


def test_a_fit_of_several_campaigns_shows_marks_that_differ(fused: tuple[Log, Path, np.ndarray]) -> None:
    log, _, _ = fused
    names = ("spring", "autumn", "brand")
    several = replace(log, meta=replace(log.meta, campaigns=names))
    found = contexts(laptop(), several, None)
    assert found.bank_CND.shape == (3, 1, ALLOCATION.context_size)
    for shown in (found.bank_CND[:, 0], found.cold_CD, found.present_CD):
        np.testing.assert_array_equal(shown, marks(names))
    assert len({tuple(row) for row in found.present_CD}) == 3
