"""A user world fitted on a log: users' own liking of clicking and of buying, and of each channel beside it.

Clicks of exposures and conversions of clicks each have log-odds b_c + s z_u + r z_uc with standard normal z: b, s and r
are those of the largest marginal likelihood (empirical Bayes: s and r are how far users are shrunken towards all), the
posterior of every user integrated on a grid (penalised modes would halve r where a user saw a channel a few times).

The response model's heads see the posterior of a model of that family too (`law`, whose link and users' distribution
are learned): its lead over own clicks is favoured here by how the world is made. The two share no code on purpose: a
world that changed with the model under test would judge it by itself, and played figures would move with it.

Shapes: U users, C channels, K cells of users who are alike on a channel, I and J grid points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from crossmix.journeys.log import Events
from crossmix.journeys.world import Floats, Ints, World, WorldError

ROUNDS, MOST = 200, 5.0
"""Of the search; the largest s and r where none is given, in log-odds."""
OWN_I, APART_J = np.linspace(-3.5, 3.5, 15), np.linspace(-3.0, 3.0, 9)
"""Grid of a user's own effect and of its own x channel effects, in standard deviations."""
LEAST_EXPOSURES = 200
"""Exposures below which no world is fitted."""


def fitted(log: Events, value_C: Floats, rng: np.random.Generator, spread: float = MOST) -> World:
    """A semi-synthetic world of a log's users: give it users that nothing else is fitted or judged on.

    A user of the world is one draw from the posterior of a real user, for clicks and for conversions: posterior means
    would be too alike. The two are drawn apart, each from what the user did, so that a user who clicks often buys often
    in the world as far as its own conversions say so. What an exposure costs is drawn from what the log paid for those
    of its channel, whoever the user is. Conversions without a click have a rate per channel. No fatigue is fitted.

    Args:
        value_C: revenue of one conversion, currency.
        spread: largest s and r of clicks and of conversions. Where an order stands on all clicks before it, a user's
            clicks convert all or none, and any spread is too small for the likelihood.

    Raises:
        WorldError: fewer than `LEAST_EXPOSURES`, or nobody clicked, or everybody did.
    """
    if len(log) < LEAST_EXPOSURES or log.clicked_R.all() or not log.clicked_R.any():
        raise WorldError(
            f"world: {len(log)} exposures with {int(log.clicked_R.sum())} clicks of users that nobody else sees; a "
            f"fitted world needs {LEAST_EXPOSURES} exposures, of which some were clicked"
        )
    names, user_N = np.unique(log.user_R, return_inverse=True)
    C = len(log.channels)
    shape = (len(names), C)
    cell_N = user_N * C + log.channel_R
    sold_N = log.converted_R & log.clicked_R
    shown_UC, clicks_UC, sold_UC = (
        np.bincount(cell_N, of_N, len(names) * C).reshape(shape).astype(float)
        for of_N in (np.ones(len(log)), log.clicked_R, sold_N)
    )
    shown_C, clicks_C = shown_UC.sum(0), clicks_UC.sum(0)
    rest_C = np.bincount(log.channel_R, log.converted_R & ~log.clicked_R, C)
    paid = np.sort(log.cost_R)
    prices_C = [np.sort(log.cost_R[log.channel_R == at]) for at in range(C)]
    prices_C = [one if len(one) else paid for one in prices_C]
    return World(
        label="semi-synthetic: effects fitted on real users, of the response model's own prior family",
        channels=log.channels,
        cost_C=np.array([one.mean() for one in prices_C]),
        value_C=value_C,
        share_C=shown_C / shown_C.sum(),
        activity_U=shown_UC.sum(1) / len(log),
        click_UC=drawn_chances(shown_UC, clicks_UC, rng, spread),
        conversion_UC=drawn_chances(clicks_UC, sold_UC, rng, spread),
        otherwise_C=rest_C / np.maximum(shown_C - clicks_C, 1),
        prices_C=tuple(prices_C),
    )


def drawn_chances(tried_UC: Floats, hits_UC: Floats, rng: np.random.Generator, spread: float = MOST) -> Floats:
    """Fit b, s and r, and draw every user's chances from its posterior, (U, C).

    Args:
        tried_UC: how often a user tried on a channel.
        hits_UC: how often that was a hit; where all were or none was, nothing tells users apart and the rate is all's.
    """
    rate = hits_UC.sum() / max(tried_UC.sum(), 1.0)
    if not 0 < rate < 1:
        return np.full(tried_UC.shape, rate)
    U, C = tried_UC.shape
    counts = Counts.of(tried_UC, hits_UC)
    b_C, s, r = _likeliest(counts, float(logit(rate)), C, spread)
    own_UI, apart_KIJ, _, _ = counts.posterior(b_C, s, r)
    own_U = (rng.random((U, 1)) > own_UI.cumsum(1)).sum(1).clip(max=len(OWN_I) - 1)
    apart_UCJ = apart_KIJ[counts.cell_UC, own_U[:, None]]
    apart_UC = (rng.random((U, C, 1)) > apart_UCJ.cumsum(2)).sum(2).clip(max=len(APART_J) - 1)
    # A cell of the grid by its posterior, and a place in it.
    z_U = OWN_I[own_U] + (rng.random(U) - 0.5) * (OWN_I[1] - OWN_I[0])
    z_UC = APART_J[apart_UC] + (rng.random((U, C)) - 0.5) * (APART_J[1] - APART_J[0])
    return np.asarray(expit(b_C + s * z_U[:, None] + r * z_UC))


def _likeliest(counts: Counts, mean: float, channels: int, spread: float) -> tuple[Floats, float, float]:
    """b, s and r of the largest likelihood with users' effects integrated out, and b_c - mean standard normal."""

    def loss(theta: Floats) -> tuple[float, Floats]:
        b_C, s, r = theta[:-2], float(theta[-2]), float(theta[-1])
        own_UI, apart_KIJ, p_KIJ, told = counts.posterior(b_C, s, r)
        # The gradient of a marginal likelihood is the posterior mean of the joint one's (Fisher's identity). Users of
        # one cell have the same posterior of z_uc, given z_u: their weights are added up before anything is summed.
        weight_KIJ = counts.added(own_UI)[:, :, None] * apart_KIJ
        pull_KIJ = weight_KIJ * (counts.hits_K[:, None, None] - counts.tried_K[:, None, None] * p_KIJ)
        slope_C = np.bincount(counts.channel_K, pull_KIJ.sum((1, 2)), channels) - (b_C - mean)
        slopes = [(pull_KIJ * OWN_I[:, None]).sum(), (pull_KIJ * APART_J).sum()]
        return -(told - ((b_C - mean) ** 2).sum() / 2), -np.append(slope_C, slopes)

    begin = np.append(np.full(channels, mean), np.minimum([0.7, 0.3], spread))
    bounds = [(None, None)] * channels + [(0.0, spread)] * 2
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ROUNDS})
    return found.x[:-2], float(found.x[-2]), float(found.x[-1])


@dataclass(frozen=True, slots=True)
class Counts:
    """Users' counts, with those that are alike on a channel (as many tries and hits) in one cell."""

    channel_K: Ints
    tried_K: Floats
    hits_K: Floats
    cell_UC: Ints
    """Which cell a user's counts are in."""

    @classmethod
    def of(cls, tried_UC: Floats, hits_UC: Floats) -> Counts:
        """Of a table."""
        channel_UC = np.broadcast_to(np.arange(tried_UC.shape[1], dtype=float), tried_UC.shape)
        rows = np.stack([channel_UC.ravel(), tried_UC.ravel(), hits_UC.ravel()], axis=1)
        cells, cell = np.unique(rows, axis=0, return_inverse=True)
        return cls(cells[:, 0].astype(np.int64), cells[:, 1], cells[:, 2], cell.reshape(tried_UC.shape))

    def added(self, own_UI: Floats) -> Floats:
        """Users' weights added up by cell, (K, I)."""
        total_KI = np.zeros((len(self.channel_K), own_UI.shape[1]))
        for cell_U in self.cell_UC.T:
            np.add.at(total_KI, cell_U, own_UI)
        return total_KI

    def posterior(self, b_C: Floats, s: float, r: float) -> tuple[Floats, Floats, Floats, float]:
        """On the grid: p(z_u = OWN_I), (U, I); p(z_uc = APART_J | z_u), (K, I, J); chance of a hit, (K, I, J).

        Last the log-likelihood of all counts, up to a constant.
        """
        p_KIJ = expit(b_C[self.channel_K, None, None] + s * OWN_I[:, None] + r * APART_J)
        n, k = self.tried_K[:, None, None], self.hits_K[:, None, None]
        joint_KIJ = k * np.log(p_KIJ) + (n - k) * np.log1p(-p_KIJ) - APART_J**2 / 2
        peak_KI1 = joint_KIJ.max(-1, keepdims=True)
        joint_KIJ = np.exp(joint_KIJ - peak_KI1)
        total_KI1 = joint_KIJ.sum(-1, keepdims=True)
        told_KI = (np.log(total_KI1) + peak_KI1)[..., 0]
        own_UI = told_KI[self.cell_UC].sum(1) - OWN_I**2 / 2
        peak_U1 = own_UI.max(1, keepdims=True)
        own_UI = np.exp(own_UI - peak_U1)
        total_U1 = own_UI.sum(1, keepdims=True)
        told = float((np.log(total_U1) + peak_U1).sum())
        return own_UI / total_U1, joint_KIJ / total_KI1, p_KIJ, told
