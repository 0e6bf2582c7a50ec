"""A plan's split is the nearest within its limits, and what has nothing keeps exactly nothing."""

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix.config import laptop
from crossmix.constraints import project
from crossmix.market.fit.log import Log
from crossmix.market.fit.plan import plan_of, within
from crossmix.schema import Meta


@pytest.mark.parametrize("platforms", [4, 6])
@pytest.mark.parametrize("most", [1.0, 0.02])
def test_what_has_nothing_keeps_exactly_nothing(platforms: int, most: float) -> None:
    """In hundreds of random splits, limits free or held to a probe where nothing is spent."""
    rng = np.random.default_rng(7)
    share_CP = rng.gamma(3, 1, (400, platforms))
    share_CP[:, -1] = 0
    share_CP[200:, 0] = 0
    share_CP /= share_CP.sum(1, keepdims=True)
    crumbs = 0
    for share_1P in share_CP[:, None]:
        low, high = torch.zeros(1, platforms), torch.ones(1, platforms)
        high[:, -1] = most
        projected = project(torch.tensor(share_1P, dtype=torch.float32), low, high).numpy()
        crumbs += int((projected[share_1P == 0] > 0).any())
        split_1P = within(share_1P, low, high).numpy()
        assert (split_1P[share_1P == 0] == 0).all()
        assert split_1P.sum() == pytest.approx(1, abs=1e-6)
        assert split_1P == pytest.approx(share_1P, abs=1e-6)
    # The projection alone leaves crumbs.
    assert crumbs > 0


def test_a_split_without_zeros_is_its_projection() -> None:
    """To the last bit, and so is one that a minimum or the others' maxima give what it had not."""
    rng = np.random.default_rng(8)
    share_CP = rng.dirichlet(np.full(5, 2.0), 200)
    low, high = torch.zeros(200, 5), torch.full((200, 5), 0.6)
    expected = project(torch.tensor(share_CP, dtype=torch.float32), low, high)
    assert torch.equal(within(share_CP, low, high), expected)
    share_CP = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0]])
    low, high = torch.tensor([[0.0, 0.0, 0.05], [0.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 1.0], [0.45, 0.45, 1.0]])
    split_CP = within(share_CP, low, high)
    assert split_CP[:, 2].tolist() == pytest.approx([0.05, 0.225])


def probed(seen_CP: np.ndarray, high_CP: np.ndarray) -> tuple[torch.Tensor, float]:
    """The most of each cell in a plan's limits, and the probe."""
    platforms, campaigns = tuple("abc"[: seen_CP.shape[1]]), tuple("xyz"[: len(seen_CP)])
    meta = Meta(
        source="spend", generated=False, currency="USD", platforms=platforms, campaigns=campaigns, start="2025-01-06",
        cycle_hours=24, cycles=30, first_cycle={"train": 0, "validation": 20, "test": 25},
        modalities=(), provenance={}, weekday_pattern=False, digest="0",
    )  # fmt: skip
    rows = [(t, c, p) for t in range(30) for c, p in np.argwhere(seen_CP).tolist()]
    frame = pd.DataFrame(rows, columns=["cycle", "c", "p"]).assign(
        split="train", holdout=False, price_paid=1.0, clicked=False, converted=False, revenue=0.0
    )
    planned = np.broadcast_to(seen_CP / seen_CP.sum(1, keepdims=True), (30, *seen_CP.shape)).astype(float)
    config = laptop()
    none = np.full(seen_CP.shape, np.nan)
    found = plan_of(config, Log(meta, frame), planned, none, high_CP, ~seen_CP)
    return found.limits.maximum_P, config.limits.probe


def test_what_was_never_tried_gets_a_probe_where_the_rest_has_room() -> None:
    seen = np.array([[True, True, False], [True, True, False]])
    high, probe = probed(seen, np.full(seen.shape, np.nan))
    assert high[:, 2].tolist() == pytest.approx([probe, probe])
    assert (high[:, :2] == 1).all()


def test_there_is_nothing_to_hold_a_probe_to_where_the_rest_has_no_room() -> None:
    """Two that may have 45 % each leave a tenth of the money for what was never tried; 50 % leave none."""
    seen = np.array([[True, True, False], [True, True, False]])
    high, probe = probed(seen, np.array([[0.45, 0.45, np.nan], [0.5, 0.5, np.nan]]))
    assert high[0].tolist() == pytest.approx([0.45, 0.45, 1.0])
    assert high[1].tolist() == pytest.approx([0.5, 0.5, probe])
