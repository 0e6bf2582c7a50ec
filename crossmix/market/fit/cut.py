"""What is left of a normal where its figure is known to lie within bounds.

Of x ~ N(m, s^2) given low < x < high (Johnson, Kotz and Balakrishnan 1994, section 13.10.1), with a and b the bounds
less m over s, phi and Phi the standard normal's density and distribution:

    E x = m - s (phi(b) - phi(a)) / (Phi(b) - Phi(a))
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def cut(mean: npt.ArrayLike, deviation: npt.ArrayLike, low: float, high: float) -> tuple[Array, Array]:
    """Mean and standard deviation of a normal given that it lies between two bounds, of the figures' shape."""
    from scipy.stats import truncnorm

    m, s = (np.asarray(figure, float) for figure in (mean, deviation))
    law = truncnorm((low - m) / s, (high - m) / s, loc=m, scale=s)
    return np.asarray(law.mean()), np.asarray(law.std())
