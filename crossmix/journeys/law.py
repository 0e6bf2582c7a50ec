"""The law of users' clicks: how far users differ, how far in what they like, and how surely a log tells so.

    p(click | u, c) = (1 + exp(-k eta))^(-1/k),  eta = a_c + s z_u + t z_uc;    z_uc ~ N(0, 1)
    density of z_u ~ exp(-z^2/2 + g_3 He_3(z) / sqrt(3!) + g_4 He_4(z) / sqrt(4!)) on the grid

A generalised linear mixed model (Breslow, Clayton, JASA 88, 1993) whose link and whose users' distribution are not
taken for granted: the link is Aranda-Ordaz's asymmetric one (Biometrika 68, 1981) turned about and scaled, so that a
small chance is exp(eta) for every k (1: logistic; the larger, the nearer to the logarithm), the distribution a normal
one with skew and kurtosis of its own (Efron's g-modelling, Biometrika 103, 2016). All numbers are those of the largest
posterior density of users' counts, the integrals on a grid. Their covariance is the inverse of the users' scores' outer
products and the prior's precision (Berndt, Hall, Hall, Hausman, 1974). So what is not known of the law's shape is part
of an answer's deviation, as far as this family goes.

Shapes: U users, C channels, K cells of users who are alike on a channel, I and J grid points of z_u and of z_uc, P
numbers of the law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial import hermite_e
from scipy.optimize import minimize
from torch import Tensor
from torch.nn import functional

from crossmix.journeys.log import Floats, JourneyError

USER, LIKING = np.linspace(-3.0, 3.0, 13), np.linspace(-2.4, 2.4, 5)
"""Grids of z_u and z_uc; likings are told by few exposures, so that few points hold them."""
SPREADS = (0.5, 0.3)
"""Where s and t begin; the log of each has a normal prior around that, of deviation 1."""
SHAPE = 0.3
"""Deviation of the normal prior of g_3 and of g_4, around 0."""
LINK = 1.0
"""Of that of log k, around 0: logistic where nothing is told."""
MEAN = 3.0
"""Of that of the channels' mean, around the log-odds of all clicks; a channel deviates from that by N(0, 1)."""
GRADIENTS = {"maxiter": 300, "ftol": 1e-12, "gtol": 1e-9}
"""Ends of the search by gradients; those are of a mean over users."""
STEPS, HALVINGS = 30, 10
"""Newton's after it, and of each."""
OFF = 0.1
"""Up to how many of its own deviations the next Newton step is long where a search has settled."""
EDGE = 1e-9


def size(channels: int) -> int:
    """P: the mean, each channel's deviation from it, log s, log t, log k, g_3, g_4."""
    return channels + 6


def begin(channels: int, mean: float = 0.0) -> Tensor:
    """The prior's middle, (P,)."""
    start = [mean, *[0.0] * channels, *np.log(SPREADS), 0.0, 0.0, 0.0]
    return torch.tensor(start, dtype=torch.float64)


def _precision(channels: int) -> Tensor:
    return torch.tensor([MEAN**-2, *[1.0] * (channels + 2), LINK**-2, SHAPE**-2, SHAPE**-2], dtype=torch.float64)


def grids(theta_P: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log of the chance of a click and of none, (C, I, J) each, and of the weight of z_u, (I,)."""
    channels = len(theta_P) - 6
    user_I, liking_J = torch.from_numpy(USER), torch.from_numpy(LIKING)
    s, t, k = theta_P[-5:-2].exp()
    base_C = theta_P[0] + theta_P[1 : 1 + channels]
    eta_CIJ = base_C[:, None, None] + s * user_I[:, None] + t * liking_J
    click_CIJ = (eta_CIJ - functional.softplus(k * eta_CIJ) / k).clamp(max=-EDGE)
    bent_KI = [
        torch.from_numpy(hermite_e.hermeval(USER, [0.0] * n + [1.0]) / math.sqrt(math.factorial(n))) for n in (3, 4)
    ]
    log_I = -0.5 * user_I**2 + theta_P[-2] * bent_KI[0] + theta_P[-1] * bent_KI[1]
    return click_CIJ, (-torch.expm1(click_CIJ)).log(), torch.log_softmax(log_I, 0)


def log_liking() -> Tensor:
    """Log of the weight of z_uc, (J,)."""
    return torch.log_softmax(-0.5 * torch.from_numpy(LIKING) ** 2, 0)


@dataclass(frozen=True, slots=True)
class Cells:
    """Users' counts, with those that are alike on a channel (as many exposures and clicks) in one cell."""

    channel_K: Tensor
    shown_K: Tensor
    clicks_K: Tensor
    cell_CU: Tensor
    """Which cell a user's counts are in."""

    @classmethod
    def of(cls, shown_UC: Floats, clicks_UC: Floats) -> Cells:
        """Of a table."""
        channel_UC = np.broadcast_to(np.arange(shown_UC.shape[1], dtype=float), shown_UC.shape)
        rows = np.stack([channel_UC.ravel(), shown_UC.ravel(), clicks_UC.ravel()], axis=1)
        cells_K3, cell = np.unique(rows, axis=0, return_inverse=True)
        channel_K, shown_K, clicks_K = (torch.from_numpy(np.ascontiguousarray(one)) for one in cells_K3.T)
        return cls(channel_K.long(), shown_K, clicks_K, torch.from_numpy(cell.reshape(shown_UC.shape).T.copy()))

    def told(self, theta_P: Tensor) -> Tensor:
        """Log-likelihood of each user's clicks, (U,), but for a constant."""
        click_CIJ, not_CIJ, log_I = grids(theta_P)
        k_K11, n_K11 = self.clicks_K[:, None, None], self.shown_K[:, None, None]
        like_KIJ = k_K11 * click_CIJ[self.channel_K] + (n_K11 - k_K11) * not_CIJ[self.channel_K] + log_liking()
        each_KI = torch.logsumexp(like_KIJ, -1)
        total_UI = log_I.expand(self.cell_CU.shape[1], -1)
        for cell_U in self.cell_CU:
            total_UI = total_UI + each_KI[cell_U]
        return torch.logsumexp(total_UI, -1)


def likeliest(shown_UC: Floats, clicks_UC: Floats) -> tuple[Tensor, Tensor]:
    """The law of some users, (P,), and a root of its covariance, (P, P): its columns are independent unit moves.

    Up to some hundred exposures of a user the grids are fine enough; with more, a user is told more finely than they.

    Raises:
        JourneyError: no law was found that is likelier than those about it.
    """
    channels = shown_UC.shape[1]
    cells, precision_P = Cells.of(shown_UC, clicks_UC), _precision(channels)
    rate = float((clicks_UC.sum() + 0.5) / (shown_UC.sum() + 1))
    middle_P = begin(channels, math.log(rate / (1 - rate)))
    users = max(cells.cell_CU.shape[1], 1)

    def loss(theta: Floats) -> tuple[float, Floats]:
        theta_P = torch.tensor(theta, requires_grad=True)
        total = 0.5 * (precision_P * (theta_P - middle_P) ** 2).sum() - cells.told(theta_P).sum()
        (total / users).backward()  # type: ignore[no-untyped-call]
        assert theta_P.grad is not None
        return float(total.detach()) / users, theta_P.grad.numpy().copy()

    # A search by gradients may stop where their mean over users is small and their sum is not; Newton's steps on the
    # users' own scores go the rest of the way.
    found = minimize(loss, middle_P.numpy(), jac=True, method="L-BFGS-B", options=GRADIENTS)
    theta_P, value, slope_P = torch.tensor(found.x), float(found.fun), torch.tensor(found.jac)
    for step in range(STEPS + 1):
        score_UP = torch.func.jacfwd(cells.told)(theta_P)
        covariance_PP = torch.linalg.inv(score_UP.T @ score_UP + precision_P.diag())
        off = users * float(torch.sqrt(slope_P @ covariance_PP @ slope_P))
        if off <= OFF:
            return theta_P, torch.linalg.cholesky((covariance_PP + covariance_PP.T) / 2)
        moved_P = users * covariance_PP @ slope_P
        for half in range(HALVINGS if step < STEPS else 0):
            tried_P = theta_P - 0.5**half * moved_P
            new_value, new_slope = loss(tried_P.numpy())
            if new_value < value:
                theta_P, value, slope_P = tried_P, new_value, torch.tensor(new_slope)
                break
        else:
            break
    raise JourneyError(
        f"clicked: no law of users' clicks settles ({off:.2g} deviations off); drop users whose clicks are a "
        "machine's, or set data.sequence_length lower"
    )
