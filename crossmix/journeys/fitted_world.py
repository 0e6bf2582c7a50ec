"""A user world fitted on a log: users' own liking of clicking and of buying, and of each channel beside it.

Clicks of exposures and conversions of clicks each have log-odds b_c + s z_u + r z_uc with standard normal z: b, s and r
are found by EM (empirical Bayes: s and r are how far users are shrunken towards all), the posterior of every user
integrated on a grid (penalised modes would halve r where a user saw a channel a few times).

Shapes: U users, C channels, B users of a block, I and J grid points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, logit

from crossmix.journeys.log import Events
from crossmix.journeys.world import Floats, World, WorldError

ROUNDS, SETTLED = 60, 1e-3
"""Of EM: most rounds, and by how little s and r move where it ends."""
OWN_I, APART_J = np.linspace(-3.5, 3.5, 15), np.linspace(-3.0, 3.0, 9)
"""Grid of a user's own effect and of its own x channel effects, in standard deviations."""
LEAST_EXPOSURES = 200
"""Exposures below which no world is fitted."""


def fitted(log: Events, value_C: Floats, rng: np.random.Generator) -> World:
    """A semi-synthetic world of a log's users: give it users that nothing else is fitted or judged on.

    A user of the world is one draw from the posterior of a real user, for clicks and for conversions: posterior means
    would be too alike. The two are drawn apart, each from what the user did, so that a user who clicks often buys often
    in the world as far as its own conversions say so. What an exposure costs is drawn from what the log paid for those
    of its channel, whoever the user is. Conversions without a click have a rate per channel. No fatigue is fitted.

    Args:
        value_C: revenue of one conversion, currency.

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
        label="semi-synthetic: effects fitted on real users",
        channels=log.channels,
        cost_C=np.array([one.mean() for one in prices_C]),
        value_C=value_C,
        share_C=shown_C / shown_C.sum(),
        activity_U=shown_UC.sum(1) / len(log),
        click_UC=drawn_chances(shown_UC, clicks_UC, rng),
        conversion_UC=drawn_chances(clicks_UC, sold_UC, rng),
        otherwise_C=rest_C / np.maximum(shown_C - clicks_C, 1),
        prices_C=tuple(prices_C),
    )


def drawn_chances(tried_UC: Floats, hits_UC: Floats, rng: np.random.Generator) -> Floats:
    """Fit b, s and r, and draw every user's chances from its posterior, (U, C).

    Args:
        tried_UC: how often a user tried on a channel.
        hits_UC: how often that was a hit; where all were or none was, nothing tells users apart and the rate is all's.
    """
    rate = hits_UC.sum() / max(tried_UC.sum(), 1.0)
    if not 0 < rate < 1:
        return np.full(tried_UC.shape, rate)
    U, C = tried_UC.shape
    b_C = np.full(C, logit(rate))
    s, r = 0.7, 0.3
    for _ in range(ROUNDS):
        parts = [_posterior(tried_UC[at], hits_UC[at], b_C, s, r) for at in _blocks(U)]
        s2, r2, slope_C, curve_C = (sum(part[k] for part in parts) for k in range(4))
        b_C = b_C + np.clip(slope_C / (curve_C + 1.0), -1, 1)
        before, (s, r) = (s, r), (float(np.sqrt(s2 / U)), float(np.sqrt(r2 / (U * C))))
        if max(abs(s - before[0]), abs(r - before[1])) < SETTLED:
            break
    odds_UC = np.concatenate([_drawn(tried_UC[at], hits_UC[at], b_C, s, r, rng) for at in _blocks(U)])
    return np.asarray(expit(odds_UC))


def _blocks(users: int, size: int = 500) -> list[slice]:
    return [slice(first, first + size) for first in range(0, users, size)]


def _grid(tried_BC: Floats, hits_BC: Floats, b_C: Floats, s: float, r: float) -> tuple[Floats, Floats, Floats]:
    """Posterior on the grid: p(z_u = OWN_I), (B, I); p(z_uc = APART_J | z_u), (B, C, I, J); chance, (C, I, J)."""
    odds_CIJ = b_C[:, None, None] + s * OWN_I[:, None] + r * APART_J
    p_CIJ = expit(odds_CIJ)
    n, k = tried_BC[:, :, None, None], hits_BC[:, :, None, None]
    joint_BCIJ = k * np.log(p_CIJ) + (n - k) * np.log1p(-p_CIJ) - APART_J**2 / 2
    peak_BCI1 = joint_BCIJ.max(-1, keepdims=True)
    joint_BCIJ = np.exp(joint_BCIJ - peak_BCI1)
    total_BCI1 = joint_BCIJ.sum(-1, keepdims=True)
    own_BI = (np.log(total_BCI1) + peak_BCI1)[..., 0].sum(1) - OWN_I**2 / 2
    own_BI = np.exp(own_BI - own_BI.max(1, keepdims=True))
    return own_BI / own_BI.sum(1, keepdims=True), joint_BCIJ / total_BCI1, p_CIJ


def _posterior(tried_BC: Floats, hits_BC: Floats, b_C: Floats, s: float, r: float) -> tuple[Any, ...]:
    """Sums over a block of users: E (s z_u)^2, E (r z_uc)^2, gradient and curvature of b."""
    own_BI, apart_BCIJ, p_CIJ = _grid(tried_BC, hits_BC, b_C, s, r)
    weight_BCIJ = own_BI[:, None, :, None] * apart_BCIJ
    mean_BC = (weight_BCIJ * p_CIJ).sum((2, 3))
    curve_BC = (weight_BCIJ * p_CIJ * (1 - p_CIJ)).sum((2, 3))
    return (
        s**2 * (own_BI * OWN_I**2).sum(),
        r**2 * (weight_BCIJ * APART_J**2).sum(),
        (hits_BC - tried_BC * mean_BC).sum(0),
        (tried_BC * curve_BC).sum(0),
    )


def _drawn(tried_BC: Floats, hits_BC: Floats, b_C: Floats, s: float, r: float, rng: np.random.Generator) -> Floats:
    """Log-odds of one draw per user, (B, C): a cell of the grid by its posterior, and a place in it."""
    own_BI, apart_BCIJ, _ = _grid(tried_BC, hits_BC, b_C, s, r)
    B, C = tried_BC.shape
    own_B = (rng.random((B, 1)) > own_BI.cumsum(1)).sum(1).clip(max=len(OWN_I) - 1)
    apart_BCJ = apart_BCIJ[np.arange(B), :, own_B]
    apart_BC = (rng.random((B, C, 1)) > apart_BCJ.cumsum(2)).sum(2).clip(max=len(APART_J) - 1)
    z_B = OWN_I[own_B] + (rng.random(B) - 0.5) * (OWN_I[1] - OWN_I[0])
    z_BC = APART_J[apart_BC] + (rng.random((B, C)) - 0.5) * (APART_J[1] - APART_J[0])
    return np.asarray(b_C + s * z_B[:, None] + r * z_BC)
