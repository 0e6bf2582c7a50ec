"""Silence of an arm with hardly any users, or with nearly all of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serving.experiment.guardrails import _enough


@pytest.mark.parametrize(
    ("weight", "cycles"), [(1e-300, 15), (1e-18, 15), (1 - 1e-16, 2), (1.0, 15), (0.0, 15), (0.5, 6)]
)
def test_how_long_a_silence_luck_does_not_explain(weight: float, cycles: int) -> None:
    """Half of the users: 1/2 - 1/4 a cycle by luck, so that 14 days at 1 % take 5.2: ln(0.01 / 14) / ln(1/4)."""
    experiment = SimpleNamespace(weights={"policy": weight}, days=14)
    outcomes: Any = SimpleNamespace(part_AT=np.array([[weight] * 3, [1 - weight] * 3]), experiment=experiment)
    assert _enough(outcomes, 0.01) == cycles
