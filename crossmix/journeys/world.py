"""User worlds: who clicks on which channel, known exactly, so that what a policy earns can be told without bias.

Two makers: `planted` takes the generated log's own effects (`crossmix/sources/demo_world.py`), `fitted_world.fitted`
the effects of real users, drawn from their posterior; the second is semi-synthetic and says so in `label`.

    p(click | u, c) = min(click_UC exp(-fatigue tired_UC), CEILING)
    tired <- tired exp(-days / recovery), + 1 with every exposure of the user on the channel

Shapes: U users, C channels, B users asked about, N exposures of a log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crossmix.config import Demo
from crossmix.journeys.log import NEVER, Events
from crossmix.sources.demo_world import CEILING, world

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FATIGUE, RECOVERY = 0.5, 3.0
"""Of worlds with fatigue: what one exposure takes from the log of click probability on its channel, and the days after
which 1 / e of that is left. Ours; no source plants them."""


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
    def price(self, channel_B: Ints, luck_B: Floats) -> Floats: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A world held as tables."""

    label: str
    """What it is made of; shown wherever its figures are."""
    channels: tuple[str, ...]
    cost_C: Floats
    """Expected of one exposure, currency; known before it is bought."""
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
    prices_C: tuple[Floats, ...] = ()
    """What exposures of each channel were sold at, ascending, currency: what is paid is one of them, told when it is
    paid. None: what is expected is paid."""

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

    def price(self, channel_B: Ints, luck_B: Floats) -> Floats:
        """What exposures on these channels turn out to cost, (B,); `luck` in [0, 1) is the place among the prices."""
        if not self.prices_C:
            return np.asarray(self.cost_C[channel_B])
        drawn_CB = [pool[(luck_B * len(pool)).astype(int)] for pool in self.prices_C]
        return np.asarray(np.stack(drawn_CB)[channel_B, np.arange(len(channel_B))])

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
            prices_C=tuple(self.prices_C[at] for at in order) if self.prices_C else (),
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
        The log, and how tired everybody is at its end, (U, C). A conversion is known at once; its revenue is the mean,
        and so is the price of an exposure.
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
