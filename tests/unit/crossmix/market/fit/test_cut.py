"""A normal of which bounds are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from crossmix.market.fit.cut import cut


@pytest.mark.parametrize(("mean", "deviation"), [(0.7, 0.1), (1.1, 0.24), (0.95, 0.05), (-0.3, 0.4), (2.5, 0.3)])
def test_its_moments_are_those_of_the_density_between_the_bounds(mean: float, deviation: float) -> None:
    law = norm(mean, deviation)
    whole, first, second = (quad(lambda x, k=k: x**k * law.pdf(x), 0, 1, epsabs=1e-14)[0] for k in range(3))
    found, spread = cut(mean, deviation, 0.0, 1.0)
    assert found == pytest.approx(first / whole, rel=1e-4)
    assert spread == pytest.approx(np.sqrt(second / whole - (first / whole) ** 2), rel=1e-3)


def test_what_is_well_within_the_bounds_stays() -> None:
    mean = np.array([[0.5, 0.62], [0.4, 0.7]])
    found, spread = cut(mean, np.full((2, 2), 0.02), 0.0, 1.0)
    np.testing.assert_allclose(found, mean, atol=1e-9)
    np.testing.assert_allclose(spread, 0.02, rtol=1e-9)
