"""Rewards by hand, of tensors and of arrays alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossmix import reward
from crossmix.config import Reward

WEIGHTS = Reward(roi=0.5, ctr=0.3, cvr=0.2, budget=0.4, excess=0.1)


def test_eq_3_and_its_part_in_money() -> None:
    roi, ctr, excess = torch.tensor([2.0, 1.0]), torch.tensor([0.1, 0.5]), torch.tensor([0.0, 0.25])
    assert reward.simulator(WEIGHTS, roi, ctr, excess).tolist() == pytest.approx([1.03, 0.55])
    assert reward.money(WEIGHTS, roi, excess).tolist() == pytest.approx([2.0, 0.8])


@pytest.mark.parametrize("of", [torch.tensor, np.array])
def test_eq_10_and_11(of) -> None:
    roi, ctr, cvr = of([2.0, 0.0]), of([0.1, 0.2]), of([0.05, 0.5])
    raw, high = of([[0.7, 0.3], [0.1, 0.9]]), of([[0.5, 0.2], [0.5, 0.95]])
    excess = reward.excess(raw, high)
    assert excess.tolist() == pytest.approx([0.2, 0.0])
    assert reward.online(WEIGHTS, roi, ctr, cvr).tolist() == pytest.approx([1.04, 0.16])
    assert reward.dynamic(WEIGHTS, roi, ctr, cvr, excess).tolist() == pytest.approx([1.02, 0.16])


def test_eq_10_of_delivered_amounts() -> None:
    amounts = {
        "planned": np.array([100.0, 50.0]),
        "spend": np.array([90.0, 0.0]),
        "impressions": np.array([1_000.0, 0.0]),
        "clicks": np.array([100.0, 0.0]),
        "conversions": np.array([5.0, 0.0]),
        "revenue": np.array([200.0, 0.0]),
    }
    told = reward.dynamic_of(WEIGHTS, amounts, np.array([0.2, 0.3]))
    assert told.tolist() == pytest.approx([0.5 * 2 + 0.3 * 0.1 + 0.2 * 0.05 - 0.02, -0.03])
