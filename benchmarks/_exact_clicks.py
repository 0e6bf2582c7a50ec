"""Exact Bayesian answers: the mean chance of a click of users with such a journey, in a world whose law is known.

    E[p_uc | k, n] = sum_i w_i(k, n) sum_j v_cij p_cij / sum_j v_cij

with p_cij the chances of users of kind i who like channel c as j, v and w what exposures n and clicks k make of the
law's weights. Nobody is tired, so that a journey is its counts by channel.

Shapes: U users, C channels, S journeys, I kinds of users, J likings, K cells of journeys that are alike on a channel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossmix.config import Demo
from crossmix.journeys.log import Events
from crossmix.journeys.world import Floats, Ints, World, planted
from crossmix.sources import demo_world
from crossmix.sources.demo_world import CEILING, LIKING, TASTE

KINDS = (-0.8, 0.8)
"""Additions to the log of click probability of users of two kinds, as many of each."""


@dataclass(frozen=True, slots=True)
class Truth:
    """A world and its users' law."""

    world: World
    chance_CIJ: Floats
    log_user_I: Floats
    log_liking_J: Floats


def truth(demo: Demo, *, kinds: bool = False) -> Truth:
    """A planted world; with `kinds` the same but for its users, who click rarely or often and nothing between."""
    world = planted(demo)
    made = demo_world.world(replace(demo, creatives=demo.campaigns))
    lift_UC = np.exp(made.click_U[:, None] + made.click_UP)
    # The median is of users below the ceiling.
    base_C = np.median(world.click_UC / lift_UC, axis=0)
    z_I, z_J = np.linspace(-4.5, 4.5, 46), np.linspace(-4.0, 4.0, 21)
    user_I, log_user_I, log_liking_J = TASTE * z_I, -(z_I**2) / 2, -(z_J**2) / 2
    if kinds:
        user_I, log_user_I = np.array(KINDS), np.zeros(2)
        rng = np.random.default_rng([demo.seed, 11])
        lift_UC = np.exp(rng.choice(KINDS, (demo.users, 1)) + made.click_UP)
        base_C = made.ctr_CP[0] / (made.activity_U @ lift_UC.mean(1))
        world = replace(world, label="users of two kinds", click_UC=np.minimum(base_C * lift_UC, CEILING))
    chance_CIJ = np.minimum(base_C[:, None, None] * np.exp(user_I[:, None] + LIKING * z_J), CEILING)
    return Truth(world, chance_CIJ, _weighed(log_user_I), _weighed(log_liking_J))


def counts(log: Events) -> tuple[Floats, Floats]:
    """Of each exposure, the user's exposures and clicks up to and with it by channel, (R, C) each."""
    own_RC = np.eye(len(log.channels))[log.channel_R]
    before_RC = np.concatenate([np.zeros((1, own_RC.shape[1])), np.cumsum(own_RC, axis=0)])
    clicked_RC = np.concatenate([before_RC[:1], np.cumsum(own_RC * log.clicked_R[:, None], axis=0)])
    return tuple(one[1:] - one[log.first_R] for one in (before_RC, clicked_RC))


def exact(known: Truth, shown_SC: Floats, clicks_SC: Floats) -> Floats:
    """The answer of each journey, (S, C)."""
    channel_SC = np.broadcast_to(np.arange(shown_SC.shape[1], dtype=float), shown_SC.shape)
    rows = np.stack([channel_SC.ravel(), shown_SC.ravel(), clicks_SC.ravel()], axis=1)
    cells_K3, cell = np.unique(rows, axis=0, return_inverse=True)
    cell_SC: Ints = cell.reshape(shown_SC.shape)
    chance_KIJ = known.chance_CIJ[cells_K3[:, 0].astype(int)]
    n_K11, k_K11 = cells_K3[:, 1, None, None], cells_K3[:, 2, None, None]
    log_KIJ = k_K11 * np.log(chance_KIJ) + (n_K11 - k_K11) * np.log1p(-chance_KIJ) + known.log_liking_J
    total_KI = np.exp(log_KIJ).sum(-1)
    mean_KI = (np.exp(log_KIJ) * chance_KIJ).sum(-1) / total_KI
    log_SI = known.log_user_I + sum(np.log(total_KI)[cell_S] for cell_S in cell_SC.T)
    user_SI = np.exp(log_SI - log_SI.max(1, keepdims=True))
    user_SI /= user_SI.sum(1, keepdims=True)
    return np.stack([(user_SI * mean_KI[cell_S]).sum(1) for cell_S in cell_SC.T], axis=1)


def _weighed(log: Floats) -> Floats:
    return np.asarray(log - np.log(np.exp(log).sum()))
