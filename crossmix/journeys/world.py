"""User worlds: who clicks on which channel, known exactly, so that what a policy earns can be told without bias.

Two makers: `planted` takes the generated log's own effects (`crossmix/sources/demo_world.py`), `fitted` the effects of
real users, drawn from their posterior; the second is semi-synthetic and says so in `label`.

    p(click | u, c) = min(click_UC exp(-fatigue tired_UC), CEILING)
    tired <- tired exp(-days / recovery), + 1 with every exposure of the user on the channel

Shapes: U users, C channels, B users asked about, N exposures of a log, I and J grid points of `fitted`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from crossmix.config import Demo
from crossmix.journeys.log import NEVER, Events
from crossmix.sources.demo_world import CEILING, world

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FATIGUE, RECOVERY = 0.5, 3.0
"""Of worlds with fatigue: what one exposure takes from the log of click probability on its channel, and the days after
which 1 / e of that is left. Ours; no source plants them."""
ROUNDS = 60
"""Of EM in `fitted`."""
OWN_I, APART_J = np.linspace(-3.5, 3.5, 15), np.linspace(-3.0, 3.0, 9)
"""Grid of a user's own effect and of its own x channel effects, in standard deviations."""
LEAST_EXPOSURES = 200
"""Exposures below which no world is fitted."""


class WorldError(ValueError):
    """A world cannot be made; the message says what is missing."""


class UserWorld(Protocol):
    """What a simulation may ask of a world. The oracle alone asks for `click` before it decides."""

    @property
    def label(self) -> str: ...
    @property
    def channels(self) -> tuple[str, ...]: ...
    @property
    def users(self) -> int: ...
    @property
    def cost_C(self) -> Floats: ...
    @property
    def value_C(self) -> Floats: ...
    @property
    def share_C(self) -> Floats: ...
    @property
    def activity_U(self) -> Floats: ...
    @property
    def otherwise_C(self) -> Floats: ...
    @property
    def recovery(self) -> float: ...

    def click(self, user_B: Ints, tired_BC: Floats) -> Floats: ...
    def conversion(self, user_B: Ints) -> Floats: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A world held as tables."""

    label: str
    """What it is made of; shown wherever its figures are."""
    channels: tuple[str, ...]
    cost_C: Floats
    """Of one exposure, currency; known before it is bought."""
    value_C: Floats
    """Revenue of one conversion, currency."""
    share_C: Floats
    """The log's policy: its shares of exposures, the same for every user. Sums to 1."""
    activity_U: Floats
    """The log's chance that an exposure is this user's. Sums to 1."""
    click_UC: Floats
    """Click probability without fatigue."""
    conversion_UC: Floats
    """Conversion probability given a click."""
    otherwise_C: Floats
    """Conversion probability of an exposure that was not clicked; some logs have such conversions."""
    fatigue: float = 0.0
    recovery: float = RECOVERY
    """Days."""

    @property
    def users(self) -> int:
        """How many there are."""
        return len(self.click_UC)

    def click(self, user_B: Ints, tired_BC: Floats) -> Floats:
        """Click probability of some users on every channel, (B, C)."""
        return np.asarray(self.click_UC[user_B] * np.exp(-self.fatigue * tired_BC))

    def conversion(self, user_B: Ints) -> Floats:
        """Conversion probability given a click, (B, C)."""
        return np.asarray(self.conversion_UC[user_B])

    def of(self, user_B: Ints) -> World:
        """The same world of some of its users, in their order."""
        activity = self.activity_U[user_B]
        return replace(
            self,
            activity_U=activity / activity.sum(),
            click_UC=self.click_UC[user_B],
            conversion_UC=self.conversion_UC[user_B],
        )

    def on(self, order: list[int]) -> World:
        """The same world with its channels in this order, those that it names alone."""
        share = self.share_C[order]
        return replace(
            self,
            channels=tuple(self.channels[at] for at in order),
            cost_C=self.cost_C[order],
            value_C=self.value_C[order],
            share_C=share / share.sum(),
            click_UC=self.click_UC[:, order],
            conversion_UC=self.conversion_UC[:, order],
            otherwise_C=self.otherwise_C[order],
        )

    def tiring(self, fatigue: float = FATIGUE, recovery: float = RECOVERY) -> World:
        """The same world with fatigue (recovery in days)."""
        return replace(self, fatigue=fatigue, recovery=recovery, label=f"{self.label}, with fatigue")


def planted(demo: Demo, *, campaign: int = 0) -> World:
    """The generated log's users and one of its campaigns, on an average day.

    Kept of it: user and user x platform effects on clicks, user effects on conversions, rates, values and prices by
    platform, historical split, activity. Left out: drift, weekdays, creatives (their mean lift is in the rates), and
    the saturation of a day's supply.
    """
    # Nothing here depends on the creatives, and rendering them takes most of the time.
    made = world(replace(demo, creatives=demo.campaigns))
    lift_UC = np.exp(made.click_U[:, None] + made.click_UP)
    # As in the log: mean lift 1 over requests, and these come by activity, on every platform alike.
    click_UC = made.ctr_CP[campaign] * lift_UC / (made.activity_U @ lift_UC.mean(1))
    conversion_U = np.exp(made.conversion_U) / (made.activity_U @ np.exp(made.conversion_U))
    cost_C = np.exp(made.mu_CP[campaign] + made.sigma_CP[campaign] ** 2 / 2)
    share_C = made.share_DCP[:, campaign].mean(0) / cost_C
    return World(
        label="planted: the generated log's users",
        channels=made.platforms,
        cost_C=cost_C,
        value_C=made.value_CP[campaign],
        share_C=share_C / share_C.sum(),
        activity_U=made.activity_U,
        click_UC=np.minimum(click_UC, CEILING),
        conversion_UC=np.minimum(made.cvr_CP[campaign] * conversion_U[:, None], CEILING),
        otherwise_C=np.zeros(len(cost_C)),
    )


DAY = 86_400.0


def play_log(world: UserWorld, exposures: int, days: float, rng: np.random.Generator) -> tuple[Events, Floats]:
    """The log's policy at work: exposures by activity at uniform times, channels by its shares, whoever the user is.

    Returns:
        The log, and how tired everybody is at its end, (U, C). A conversion is known at once; its revenue is the mean.
    """
    count_U = rng.multinomial(exposures, world.activity_U)
    user_N = np.repeat(np.arange(world.users), count_U)
    seconds_N = rng.random(exposures) * days * DAY
    seconds_N = seconds_N[np.lexsort((seconds_N, user_N))]
    channel_N = rng.choice(len(world.channels), exposures, p=world.share_C)
    draw_N, again_N = rng.random(exposures), rng.random(exposures)
    clicked_N, converted_N = np.zeros(exposures, bool), np.zeros(exposures, bool)
    tired_UC, at_U = np.zeros((world.users, len(world.channels))), np.zeros(world.users)
    first_U = np.cumsum(count_U) - count_U
    for step in range(int(count_U.max(initial=0))):
        user = np.flatnonzero(count_U > step)
        row = first_U[user] + step
        tired_UC[user] *= np.exp(-(seconds_N[row] - at_U[user]) / DAY / world.recovery)[:, None]
        at_U[user] = seconds_N[row]
        here = np.arange(len(user)), channel_N[row]
        clicked_N[row] = draw_N[row] < world.click(user, tired_UC[user])[here]
        chance = np.where(clicked_N[row], world.conversion(user)[here], world.otherwise_C[channel_N[row]])
        converted_N[row] = again_N[row] < chance
        tired_UC[user, channel_N[row]] += 1
    tired_UC *= np.exp(-(days * DAY - at_U) / DAY / world.recovery)[:, None]
    log = Events(
        channels=world.channels,
        users=tuple(f"u{user:06d}" for user in range(world.users)),
        user_R=user_N,
        channel_R=channel_N,
        clicked_R=clicked_N,
        cost_R=world.cost_C[channel_N],
        seconds_R=seconds_N,
        converted_R=converted_N,
        known_R=np.where(converted_N, seconds_N, NEVER),
        revenue_R=np.where(converted_N, world.value_C[channel_N], 0.0),
        row_R=np.arange(exposures),
    )
    return log, tired_UC


def redrawn(world: UserWorld, log: Events, rng: np.random.Generator) -> Events:
    """The same exposures of the world's users, with clicks and conversions as the world has them, nobody tired."""
    user = np.unique(log.user_R, return_inverse=True)[1]
    here = np.arange(len(log)), log.channel_R
    clicked_R = rng.random(len(log)) < world.click(user, np.zeros((len(log), len(world.channels))))[here]
    chance_R = np.where(clicked_R, world.conversion(user)[here], world.otherwise_C[log.channel_R])
    converted_R = rng.random(len(log)) < chance_R
    return replace(
        log,
        clicked_R=clicked_R,
        converted_R=converted_R,
        known_R=np.where(converted_R, log.seconds_R, NEVER),
        revenue_R=np.where(converted_R, world.value_C[log.channel_R], 0.0),
    )


def fitted(log: Events, value_C: Floats, rng: np.random.Generator) -> World:
    """A semi-synthetic world of a log's users: give it users that nothing else is fitted or judged on.

    A click's log-odds are b_c + s z_u + r z_uc with standard normal z; b, s and r are found by EM, the posterior of
    every user integrated on a grid (penalised modes would halve r where a user saw a channel a few times). A user of
    the world is one draw from the posterior of a real user: posterior means would be too alike. Conversions have a
    rate per channel, with a click and without; the first is shrunken towards the mean of all. No fatigue is fitted.

    Raises:
        WorldError: fewer than `LEAST_EXPOSURES`, or nobody clicked, or everybody did.
    """
    if len(log) < LEAST_EXPOSURES or log.clicked_R.all() or not log.clicked_R.any():
        raise WorldError(
            f"world: {len(log)} exposures with {int(log.clicked_R.sum())} clicks of users that nobody else sees; a "
            f"fitted world needs {LEAST_EXPOSURES} exposures, of which some were clicked"
        )
    names, user_N = np.unique(log.user_R, return_inverse=True)
    U, C = len(names), len(log.channels)
    shape = (U, C)
    shown_UC = np.bincount(user_N * C + log.channel_R, minlength=U * C).reshape(shape).astype(float)
    clicks_UC = np.bincount(user_N * C + log.channel_R, log.clicked_R, U * C).reshape(shape).astype(float)
    b_C = np.full(C, logit(log.clicked_R.mean()))
    s, r = 0.7, 0.3
    for _ in range(ROUNDS):
        parts = [_posterior(shown_UC[at], clicks_UC[at], b_C, s, r) for at in _blocks(U)]
        s2, r2, slope_C, curve_C = (sum(part[k] for part in parts) for k in range(4))
        b_C = b_C + np.clip(slope_C / (curve_C + 1.0), -1, 1)
        s, r = float(np.sqrt(s2 / U)), float(np.sqrt(r2 / (U * C)))
    odds_UC = np.concatenate([_drawn(shown_UC[at], clicks_UC[at], b_C, s, r, rng) for at in _blocks(U)])
    clicks_C, shown_C = clicks_UC.sum(0), shown_UC.sum(0)
    converted_C = np.bincount(log.channel_R, log.converted_R & log.clicked_R, C)
    rest_C = np.bincount(log.channel_R, log.converted_R & ~log.clicked_R, C)
    conversion_C = (converted_C + 20 * converted_C.sum() / clicks_C.sum()) / (clicks_C + 20)
    cost_C = np.bincount(log.channel_R, log.cost_R, C) / np.maximum(shown_C, 1)
    return World(
        label="semi-synthetic: effects fitted on real users",
        channels=log.channels,
        cost_C=np.where(shown_C > 0, cost_C, log.cost_R.mean()),
        value_C=value_C,
        share_C=shown_C / shown_C.sum(),
        activity_U=shown_UC.sum(1) / len(log),
        click_UC=expit(odds_UC),
        conversion_UC=np.broadcast_to(conversion_C, shape).copy(),
        otherwise_C=rest_C / np.maximum(shown_C - clicks_C, 1),
    )


def _blocks(users: int, size: int = 500) -> list[slice]:
    return [slice(first, first + size) for first in range(0, users, size)]


def _grid(shown_BC: Floats, clicks_BC: Floats, b_C: Floats, s: float, r: float) -> tuple[Floats, Floats, Floats]:
    """Posterior on the grid: p(z_u = OWN_I), (B, I); p(z_uc = APART_J | z_u), (B, C, I, J); click, (C, I, J)."""
    odds_CIJ = b_C[:, None, None] + s * OWN_I[:, None] + r * APART_J
    p_CIJ = expit(odds_CIJ)
    n, k = shown_BC[:, :, None, None], clicks_BC[:, :, None, None]
    joint_BCIJ = k * np.log(p_CIJ) + (n - k) * np.log1p(-p_CIJ) - APART_J**2 / 2
    peak_BCI1 = joint_BCIJ.max(-1, keepdims=True)
    joint_BCIJ = np.exp(joint_BCIJ - peak_BCI1)
    total_BCI1 = joint_BCIJ.sum(-1, keepdims=True)
    own_BI = (np.log(total_BCI1) + peak_BCI1)[..., 0].sum(1) - OWN_I**2 / 2
    own_BI = np.exp(own_BI - own_BI.max(1, keepdims=True))
    return own_BI / own_BI.sum(1, keepdims=True), joint_BCIJ / total_BCI1, p_CIJ


def _posterior(shown_BC: Floats, clicks_BC: Floats, b_C: Floats, s: float, r: float) -> tuple[Any, ...]:
    """Sums over a block of users: E (s z_u)^2, E (r z_uc)^2, gradient and curvature of b."""
    own_BI, apart_BCIJ, p_CIJ = _grid(shown_BC, clicks_BC, b_C, s, r)
    weight_BCIJ = own_BI[:, None, :, None] * apart_BCIJ
    mean_BC = (weight_BCIJ * p_CIJ).sum((2, 3))
    curve_BC = (weight_BCIJ * p_CIJ * (1 - p_CIJ)).sum((2, 3))
    return (
        s**2 * (own_BI * OWN_I**2).sum(),
        r**2 * (weight_BCIJ * APART_J**2).sum(),
        (clicks_BC - shown_BC * mean_BC).sum(0),
        (shown_BC * curve_BC).sum(0),
    )


def _drawn(shown_BC: Floats, clicks_BC: Floats, b_C: Floats, s: float, r: float, rng: np.random.Generator) -> Floats:
    """Log-odds of one draw per user, (B, C): a cell of the grid by its posterior, and a place in it."""
    own_BI, apart_BCIJ, _ = _grid(shown_BC, clicks_BC, b_C, s, r)
    B, C = shown_BC.shape
    own_B = (rng.random((B, 1)) > own_BI.cumsum(1)).sum(1).clip(max=len(OWN_I) - 1)
    apart_BCJ = apart_BCIJ[np.arange(B), :, own_B]
    apart_BC = (rng.random((B, C, 1)) > apart_BCJ.cumsum(2)).sum(2).clip(max=len(APART_J) - 1)
    z_B = OWN_I[own_B] + (rng.random(B) - 0.5) * (OWN_I[1] - OWN_I[0])
    z_BC = APART_J[apart_BC] + (rng.random((B, C)) - 0.5) * (APART_J[1] - APART_J[0])
    return np.asarray(b_C + s * z_B[:, None] + r * z_BC)
