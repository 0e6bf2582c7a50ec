"""Settings of creator matrices: the catalogue that is generated, predictor, solver, the seed's walk, what is judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from crossmix.config.values import STRICT, Fraction, Name, NonNegative, NonNegativeInt, Positive, PositiveInt


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
    """Wall seconds that a plan may take, looked at between steps; what is best by then is returned with its bound. The
    relaxation comes first and is finished however long it takes, so that a plan may be later."""
    grace: Positive = 20.0
    """Wall seconds beyond `seconds` after which a worker that has not answered is ended."""
    near: PositiveInt = 70
    """Creators near break-even that are solved whole in a step."""
    large: tuple[Fraction, PositiveInt] = (0.04, 12)
    """From which share of the budget on a price is large, and how many large creators of each channel and tier are
    decided together, whole, while all others count in parts."""
    nodes: PositiveInt = 2_000
    """Of the tree of that search; it has half of the time that is left."""
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
    episodes: PositiveInt = 4_000
    """Walks that training takes, an update a step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoCreators:
    """Size of the generated catalogue (source `demo-creators`), which is labelled generated."""

    __pydantic_config__ = STRICT
    creators: PositiveInt = 2_000
    """Creators of the catalogue."""
    seed: int = 0
    """Of the catalogue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Briefs:
    """The briefs that gates judge on: drawn for the catalogue, by `crossmix.creators.sampled`."""

    __pydantic_config__ = STRICT
    count: Annotated[int, Field(ge=5)] = 20
    """Briefs judged on."""
    seed: int = 0
    """Of the first; each has its own."""
    least_budget: Positive = 30.0
    """Budgets are log-uniform from here, in mean prices of the catalogue."""
    most_budget: Positive = 300.0
    """To here, in mean prices."""
    audience_error: NonNegative = 0.3
    """Deviation of the log of the audience that a plan is judged by from the planner's: nobody knows it."""
    training: PositiveInt = 20
    """Other briefs, drawn the same way, that the walk learns on (`agent` ddpg)."""
    bootstrap: Annotated[int, Field(ge=100)] = 2_000
    """Resamples behind each interval over briefs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatorsGates:
    """What must be shown before a planner is registered."""

    __pydantic_config__ = STRICT
    required: tuple[Name, ...] = ("creators",)
    """Gate names, or prefixes ending before a dot, that must pass."""
    share: Fraction = 0.98
    """Least mean share of the dual bound over briefs. Of 12 fresh generated catalogues of 2,000 the least was 0.993,
    the mean 0.996 (`benchmarks/creators_drawn.json`); `agent` ddpg reaches less than this."""
    least_share: Fraction = 0.92
    """Least share of the dual bound of any brief; of 72 on those catalogues the least was 0.978."""
    slope: tuple[Positive, Positive] = (0.9, 1.1)
    """Between which the slope of held-out log results on their predictions must lie, give or take twice its error."""
    coverage: Fraction = 0.05
    """How far the share of held-out results within the predicted 80 % interval may lie off 0.8, beyond chance."""
    results: PositiveInt = 100
    """Held-out past results below which calibration is not judged."""
    seconds: Positive = 2.0
    """Most processor seconds that a plan may take, the start of its process left out; the solver ends by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Creators:
    """Creator matrices (task `creators`); the seed names DDPG and no sizes, so that all here are ours."""

    __pydantic_config__ = STRICT
    agent: Literal["solver", "ddpg"] = "solver"
    """What plans: the solver; or the seed's walk by a trained actor, its matrix projected onto the rules."""
    demo: DemoCreators = field(default_factory=DemoCreators)
    """Size of the generated catalogue."""
    effects: Effects = field(default_factory=Effects)
    """The predictor of what a creator gives."""
    solver: Solver = field(default_factory=Solver)
    """The solver's time and size."""
    walk: Walk = field(default_factory=Walk)
    """DDPG on the seed's walk, where `agent` names it."""
    briefs: Briefs = field(default_factory=Briefs)
    """The briefs that gates judge on."""
    gates: CreatorsGates = field(default_factory=CreatorsGates)
    """What must be shown."""
