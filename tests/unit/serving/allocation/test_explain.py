"""What an arm's part of the supply earns, with the errors that its platforms share."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.response import Response
from serving.allocation import explain


def test_an_arms_interval_is_that_of_its_part_of_the_supply() -> None:
    """Revenue in proportion to money: what an arm of any part earns, and is unsure of, is the whole's."""
    covariance = np.array([[4.0, 2.0], [2.0, 9.0]])
    loadings, own = np.array([[1.0], [2.0]]), np.sqrt(np.diag(covariance))

    def ask(share_P: np.ndarray, budget: float) -> Response:
        money = share_P * budget
        one = np.ones(2)
        return Response(10 * money, money * own, 10 * one, own, money[:, None] * loadings)

    share = np.array([0.25, 0.75])
    for part in (1.0, 0.3):
        got = explain.response(ask, share, 8.0, part, None)
        assert got.revenue_P == pytest.approx(80 * share)
        assert got.total_se == pytest.approx(8 * np.sqrt(share @ covariance @ share), rel=1e-12)
