"""What if the market moves: named scenarios on a fitted market (price shock, outage, holiday, ...).

A shift multiplies parameters of some platforms by a factor that depends on the flight's cycle. The policy is told
nothing: its state shows what delivery shows. The environment's `conditions`, which the oracle reads, are the shifted
ones. Drift, volume noise and contexts are drawn as without the shift, so that the same seed gives paired worlds.

`retrace`, the fidelity gates and `conditions.nominal` ignore scenarios: they ask whether the fit explains the log, or
what an advertiser would plan from it, and a scenario is a claim about the future that the log does not contain.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from crossmix.config import ConfigError
from crossmix.market.conditions import STORED, Conditions, nominal, scaled
from crossmix.market.mechanism import expected
from crossmix.market.model import Market
from crossmix.market.oracle import solve

PARAMETERS = ("requests", "level", "ctr", "cvr", "value")
"""What a shift can multiply: auction requests per cycle, prices, clicks per impression, conversions per click,
currency per conversion; named as in market.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A named kind of shift and its defaults."""

    meaning: str
    size_means: str
    """What `size` is, with its unit."""
    size: float
    low: float
    high: float
    """Sizes that make sense."""
    where: Literal["revenue", "spend", "all"]
    """Default platforms: those that earn half of the revenue, the one with most spend, or all."""
    during: Callable[[float], dict[str, float]]
    """Size -> factor of each affected parameter while the shift is on."""
    otherwise: dict[str, float]
    """Factors before and after, the warm-up window included; a parameter not named is unchanged."""
    ramp: int = 0
    duration: int | None = None
    """Cycles; `None`: for good."""


SCENARIOS: dict[str, Scenario] = {
    "price_shock": Scenario(
        meaning="Competitors bid more: the competing price rises.",
        size_means="factor on prices",
        size=1.5,
        low=0.01,
        high=100,
        where="revenue",
        during=lambda size: {"level": size},
        otherwise={},
    ),
    "ctr_collapse": Scenario(
        meaning="Users stop clicking: a creative wears out, a placement moves below the fold.",
        size_means="factor of the click rate that is left",
        size=0.4,
        low=0,
        high=1,
        where="spend",
        during=lambda size: {"ctr": size},
        otherwise={},
    ),
    "holiday": Scenario(
        meaning="A week of more traffic, dearer auctions, more buyers and fuller baskets.",
        size_means="power of all four factors (2 is twice as strong on the log scale)",
        size=1.0,
        low=0,
        high=5,
        where="all",
        during=lambda size: {
            "requests": 1.4**size,
            "level": 1.25**size,
            "cvr": 1.3**size,
            "value": 1.1**size,
        },
        otherwise={},
        duration=7,
    ),
    "outage": Scenario(
        meaning="A platform delivers nothing for some cycles.",
        size_means="factor of the requests that is left",
        size=0.0,
        low=0,
        high=1,
        where="spend",
        during=lambda size: {"requests": size},
        otherwise={},
        duration=3,
    ),
    "new_platform": Scenario(
        meaning="A platform that does not exist until `start`, warm-up included, then opens.",
        size_means="factor of its fitted requests once open",
        size=1.0,
        low=0.01,
        high=100,
        where="spend",
        during=lambda size: {"requests": size},
        otherwise={"requests": 0.0},
    ),
    "ramp": Scenario(
        meaning="The price shock, arriving little by little over seven cycles (a week of days).",
        size_means="factor on prices at the end of the ramp",
        size=1.5,
        low=0.01,
        high=100,
        where="revenue",
        during=lambda size: {"level": size},
        otherwise={},
        ramp=7,
    ),
    "cvr": Scenario(
        meaning="Clicks lead to other conversions than they did: a page that breaks, a rival's offer.",
        size_means="factor on the conversion rate",
        size=0.5,
        low=0,
        high=100,
        where="spend",
        during=lambda size: {"cvr": size},
        otherwise={},
    ),
    "value": Scenario(
        meaning="Conversions are worth something else: other baskets, other margins.",
        size_means="factor on the value of a conversion",
        size=0.6,
        low=0,
        high=100,
        where="all",
        during=lambda size: {"value": size},
        otherwise={},
    ),
    "requests": Scenario(
        meaning="There are more or fewer auctions than there were.",
        size_means="factor on requests",
        size=0.5,
        low=0,
        high=100,
        where="spend",
        during=lambda size: {"requests": size},
        otherwise={},
    ),
    "all": Scenario(
        meaning="Volume, click rate, conversion rate and value all move alike.",
        size_means="factor on each of the four",
        size=0.7,
        low=0,
        high=100,
        where="revenue",
        during=lambda size: dict.fromkeys(("requests", "ctr", "cvr", "value"), size),
        otherwise={},
    ),
    "gone": Scenario(
        meaning="A platform delivers nothing any more.",
        size_means="factor of the requests that is left",
        size=0.0,
        low=0,
        high=1,
        where="spend",
        during=lambda size: {"requests": size},
        otherwise={},
    ),
}


@dataclass(frozen=True, slots=True)
class Shift:
    """One shift as it stands in `Market.scenario["shifts"]`: plain numbers and names."""

    name: str
    platforms: tuple[str, ...]
    size: float
    start: int
    """First cycle of the flight that it moves."""
    ramp: int
    """Cycles that it takes to arrive, and to leave."""
    duration: int | None
    """Cycles at full size; `None`: for good."""
    during: dict[str, float]
    """Factors at full size."""
    otherwise: dict[str, float]
    """Factors before and after."""

    def weight(self, cycle: int) -> float:
        """How far the shift has arrived, 0 to 1.

        0 before `start`; k / (ramp + 1) in the k-th cycle of the ramp; 1 for `duration` cycles; back in as many steps.
        """
        arrived = (cycle - self.start + 1) / (self.ramp + 1)
        if self.duration is None:
            return min(max(arrived, 0.0), 1.0)
        left = (self.start + 2 * self.ramp + self.duration - cycle) / (self.ramp + 1)
        return min(max(min(arrived, left), 0.0), 1.0)

    def factor(self, parameter: str, cycle: int) -> float:
        """Factor of a parameter in a cycle: log-linear in the weight; linear where one end is 0, which has no log."""
        weight, before, full = self.weight(cycle), self.otherwise.get(parameter, 1.0), self.during.get(parameter, 1.0)
        if min(before, full) <= 0:
            return (1 - weight) * before + weight * full
        return math.exp((1 - weight) * math.log(before) + weight * math.log(full))


class Schedule:
    """All shifts of a market, as the environment asks for them.

    Args:
        market: its `scenario` and platforms.
        device: of the factors.
    """

    def __init__(self, market: Market, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.platforms = market.platforms
        self.shifts = shifts(market)

    def factor_P(self, parameter: str, cycle: int) -> Tensor:
        """Factor of one of `PARAMETERS` in a cycle of the flight (the warm-up is negative), (P,); shifts multiply."""
        factor = dict.fromkeys(self.platforms, 1.0)
        for item in self.shifts:
            here = item.factor(parameter, cycle)
            for platform in item.platforms:
                factor[platform] *= here
        return torch.tensor(list(factor.values()), device=self.device)

    def apply(self, conditions: Conditions, cycle: int) -> Conditions:
        """The conditions under the shifts.

        `conditions.requests` were drawn around a mean that `factor_P("requests", cycle)` has scaled already; here a
        platform whose factor is 0 loses its last request too, so that it delivers exactly nothing.
        """
        if not self.shifts:
            return conditions
        factors = {STORED.get(name, name): self.factor_P(name, cycle) for name in PARAMETERS}
        return scaled(conditions, **factors | {"requests": factors["requests"] > 0})


def shift(
    market: Market,
    name: str,
    *,
    platforms: Sequence[str] | str | None = None,
    size: float | None = None,
    start: int = 0,
    ramp: int | None = None,
    duration: int | float | None = None,
) -> Market:
    """A market in which a scenario happens; call it again to add another (factors multiply).

    | name           | parameter: factor at full size                        | platforms          | duration, ramp  |
    |----------------|-------------------------------------------------------|--------------------|-----------------|
    | `price_shock`  | prices: `size` = 1.5                                  | half of revenue    | for good, 0     |
    | `ctr_collapse` | CTR: `size` = 0.4                                     | most spend         | for good, 0     |
    | `holiday`      | requests 1.4, price 1.25, CVR 1.3, value 1.1; each to | all                | 7 cycles, 0     |
    |                | the power `size` = 1                                  |                    |                 |
    | `outage`       | requests: `size` = 0                                  | most spend         | 3 cycles, 0     |
    | `new_platform` | requests: 0 until `start`, then `size` = 1            | most spend         | for good, 0     |
    | `ramp`         | prices: `size` = 1.5                                  | half of revenue    | for good, 7     |
    | `cvr`          | conversion rate: `size` = 0.5                         | most spend         | for good, 0     |
    | `value`        | value per conversion: `size` = 0.6                    | all                | for good, 0     |
    | `requests`     | requests: `size` = 0.5                                | most spend         | for good, 0     |
    | `all`          | requests, CTR, CVR and value: `size` = 0.7            | half of revenue    | for good, 0     |
    | `gone`         | requests: `size` = 0                                  | most spend         | for good, 0     |

    "Half of revenue": the fewest platforms that together earn at least half of the expected revenue of the best split
    of the average cycle. "Most spend": the platform with most of that split's spend, over all campaigns; a shift that
    the best split would not notice tests nothing.

    Any scenario can come as a ramp: `shift(market, "ctr_collapse", ramp=7)`. The warm-up before cycle 0 is unshifted,
    except that a new platform is not there either. Limits and budgets stay as they are.

    Args:
        market: the fitted market; it is not changed.
        name: one of `SCENARIOS`.
        platforms: names of the platforms that move; `None`: the scenario's own.
        size: see the table; `None`: the scenario's own.
        start: first cycle of the flight that moves, 0 is the first.
        ramp: cycles on the way to the full size, evenly spaced in logs (in the number itself where it starts or ends
            at 0), and as many on the way back.
        duration: cycles at full size; `math.inf`: for good; `None`: the scenario's own.

    Raises:
        ConfigError: an unknown name or platform, or a number outside its domain.
    """
    if name not in SCENARIOS:
        raise ConfigError(f"scenario: {name!r} is unknown; use one of {', '.join(SCENARIOS)}")
    scenario = SCENARIOS[name]
    size = scenario.size if size is None else size
    # `not (a <= x <= b)` also refuses NaN.
    if isinstance(size, bool) or not isinstance(size, int | float) or not (scenario.low <= size <= scenario.high):
        raise ConfigError(
            f"size of {name}: {size!r} is out of range; give the {scenario.size_means}, from {scenario.low:g} to "
            f"{scenario.high:g}"
        )
    added = Shift(
        name=name,
        platforms=_platforms(market, scenario, platforms),
        size=float(size),
        start=_whole("start", start, 0),
        ramp=_whole("ramp", scenario.ramp if ramp is None else ramp, 0),
        duration=_duration(scenario.duration if duration is None else duration),
        during=scenario.during(float(size)),
        otherwise=dict(scenario.otherwise),
    )
    plain = {**asdict(added), "platforms": list(added.platforms)}
    return replace(market, scenario={**market.scenario, "shifts": [*market.scenario.get("shifts", []), plain]})


def shifts(market: Market) -> tuple[Shift, ...]:
    """The shifts of a market, in the order in which they were added."""
    return tuple(Shift(**{**item, "platforms": tuple(item["platforms"])}) for item in market.scenario.get("shifts", []))


def _platforms(market: Market, scenario: Scenario, asked: Sequence[str] | str | None) -> tuple[str, ...]:
    if asked is None:
        return _usual(market, scenario.where)
    named = [asked] if isinstance(asked, str) else list(asked)
    unknown = [name for name in named if name not in market.platforms]
    if unknown or not named:
        what = f"{unknown[0]!r} is not on this market" if unknown else "none is named"
        raise ConfigError(f"platforms: {what}; use one or more of {', '.join(market.platforms)}")
    return tuple(dict.fromkeys(named))


def _usual(market: Market, where: str) -> tuple[str, ...]:
    """Default platforms of a scenario, from the best split of the average cycle."""
    if where == "all":
        return market.platforms
    campaigns = torch.arange(len(market.campaigns))
    conditions = nominal(market, campaigns)
    best = solve(conditions, market.budget, market.minimum, market.maximum)
    outcome = expected(conditions, market.budget[:, None] * best.share_BP)
    if where == "spend":
        return (market.platforms[int(outcome.spend.sum(0).argmax())],)
    revenue_P = outcome.revenue.sum(0)
    order = revenue_P.argsort(descending=True)
    enough = int((revenue_P[order].cumsum(0) < 0.5 * revenue_P.sum()).sum()) + 1
    return tuple(market.platforms[int(p)] for p in order[:enough])


def _whole(field: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{field}: {value!r} is not a whole number of cycles; give {least} or more")
    return value


def _duration(value: Any) -> int | None:
    return None if value is None or value == math.inf else _whole("duration", value, 1)


__all__ = ["PARAMETERS", "SCENARIOS", "Scenario", "Schedule", "Shift", "shift", "shifts"]
