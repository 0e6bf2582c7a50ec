"""Settings of the planner; a section of the config can wrap them as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from crossmix.config.values import STRICT, Fraction, NonNegative, NonNegativeInt, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """The predictor of what a creator gives, and how cells saturate."""

    __pydantic_config__ = STRICT
    ridge: Positive = 1e-2
    """Prior precision of a standardised feature's coefficient, over the residual precision of one result."""
    least_results: PositiveInt = 40
    """Past results below which no predictor is fitted."""
    audience: Positive = 0.03
    """What a cell saturates towards where the brief does not say (`brief.audience`): this share of what all eligible
    creators of its channel would give together without overlap. An assumption: past results say nothing of overlap."""
    draws: PositiveInt = 1_000
    """Draws behind a plan's interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Solver:
    """How long the solver may take, and how much it looks at."""

    __pydantic_config__ = STRICT
    seconds: Positive = 1.5
    """Wall seconds that a plan may take; what is best by then is returned with its bound."""
    grace: Positive = 20.0
    """Wall seconds beyond `seconds` after which a worker that has not answered is ended."""
    near: PositiveInt = 70
    """Creators near break-even that are solved whole in a step."""
    step: Positive = 0.25
    """Wall seconds that the mixed-integer programme of a step may take."""
    steps: tuple[tuple[Fraction, Fraction], ...] = ((0.1, 1.0), (0.05, 1.0), (0.1, 0.5), (0.2, 1.0), (0.05, 0.5))
    """The steps by turns: from which share of the budget on a price is large, and the chance that a large creator which
    is bought is held; 1: all large ones are held as they are, bought or not."""
    seed: int = 0
    """Of those chances."""
    gap: Annotated[float, Field(ge=0, lt=1)] = 0.002
    """Relative gap at which the search ends early, and the mixed-integer programme of a step."""
    rounds: PositiveInt = 12
    """Rounds of columns and tangents that the relaxation may take."""
    pool: PositiveInt = 1_200
    """Creators that leftovers are spent on and swaps look at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reward:
    """The walk's reward of a cell: effect / scale x (1 + weights x spend-weighted traits), less the penalty.

    The seed names the traits and no weights; these are ours. A trait is standardised over the eligible creators.
    """

    __pydantic_config__ = STRICT
    quality: float = 0.05
    """Of the share of real followers."""
    interaction: float = 0.05
    """Of the log interaction rate."""
    price: float = 0.05
    """Of a low log price per follower."""
    content: float = 0.05
    """Of the content type's mean effect per cost."""
    penalty: NonNegative = 1.0
    """On the shortfall of all ratio rules together, as a share of the spend, at the end of the walk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """DDPG on the seed's MDP; the seed names the algorithm, the sizes are ours."""

    __pydantic_config__ = STRICT
    reward: Reward = field(default_factory=Reward)
    """What a cell pays."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of actor and critic."""
    actor_rate: Positive = 5e-4
    """Adam of the actor."""
    critic_rate: Positive = 1e-3
    """Adam of the critic."""
    discount: Annotated[float, Field(ge=0, le=1)] = 0.97
    """Of the return; 1 would do, for a walk ends, and learns more slowly."""
    tau: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Soft update of the targets."""
    noise: NonNegative = 0.4
    """Deviation of the exploring noise on the action's logit."""
    replay: PositiveInt = 100_000
    """Transitions kept."""
    batch: PositiveInt = 128
    """Transitions per update."""
    warm_up: NonNegativeInt = 500
    """Transitions before the first update."""
    actor_after: NonNegativeInt = 1_000
    """Updates of the critic before the actor's first."""
    seed: int = 0
    """Initial weights and exploration."""
