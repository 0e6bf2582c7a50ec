"""The fitted market: its parameters with standard errors, where they may lie, and the file they live in.

Contract: docs/design.md#market. `market.json` is versioned and readable; `bank.npz` beside it holds the resampled
contexts. A parameter or an action outside its domain is an error, so that no NaN starts on its way.

Shapes: C campaigns, P platforms, K + 1 price knots, D + 1 delays, N contexts, G groups of them, R resampled responses.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossmix import fading
from crossmix.constraints import InfeasibleError, Limits
from crossmix.constraints import check as check_limits
from crossmix.market.price import EmpiricalPrice, LogNormalPrice, Price

VERSION = 2
SERVED = "served"
"""Folder beside market.json with the market that answers are made of, where that is another: fitted on all periods."""

DUE = "cvr_due"
"""Name in `Market.path` of the conversion rate over the clicks that a cycle's conversions are due of."""

# Scalar parameters per campaign and platform: name -> (unit, meaning).
PARAMETERS: dict[str, tuple[str, str]] = {
    "requests": ("requests per cycle", "mean auction requests of an average weekday"),
    "requests_sd": ("ln", "cycle-to-cycle deviation of log requests beyond weekday and Poisson"),
    "ctr": ("clicks per impression", "click probability of a cycle's first impression"),
    "cvr": ("conversions per click", "conversion probability of a click"),
    "value": ("currency per conversion", "mean revenue of a conversion"),
    "value_cv": ("ratio", "coefficient of variation of a conversion's revenue"),
    "saturation": ("1", "kappa: the k-th win of N requests responds at exp(-kappa k / N)"),
    "pacing": ("ratio", "relative error with which the platform paces a cycle's spend, standard deviation"),
    "bid_dispersion": ("ln", "deviation of the log bid between requests of a cycle: the price of exploring bids"),
    "ctr_drift": ("ln", "stationary deviation of the AR(1) log-drift of the click rate"),
    "cvr_drift": ("ln", "stationary deviation of the AR(1) log-drift of the conversion rate"),
    "price_drift": ("ln", "stationary deviation of the AR(1) log-drift of the price"),
    "ctr_persistence": ("1 per cycle", "AR(1) coefficient of the click-rate drift"),
    "cvr_persistence": ("1 per cycle", "AR(1) coefficient of the conversion-rate drift"),
    "price_persistence": ("1 per cycle", "AR(1) coefficient of the price drift"),
    "price_level": ("ratio", "price of an impression over its cost curve: 1; its error is the curve's"),
    "usual_share": ("ratio", "share of requests won around which `elasticity` and `bend` hold"),
    "elasticity": ("1", "d ln conversions / d ln wins at the usual share; 0: conversions follow clicks"),
    "bend": ("1", "by how much the elasticity falls per ln of wins, at the usual share"),
}

NEUTRAL = {"price_level": 1.0, **fading.NEUTRAL}
"""What a market is without parameters that came later: files of before them have none."""

DOMAIN: dict[str, tuple[float, float]] = {
    "requests": (0, math.inf),
    "requests_sd": (0, 5),
    "ctr": (0, 1),
    "cvr": (0, 1),
    "value": (0, math.inf),
    "value_cv": (0, math.inf),
    "saturation": (0, math.inf),
    "pacing": (0, 1),
    "bid_dispersion": (0, math.inf),
    "ctr_drift": (0, 5),
    "cvr_drift": (0, 5),
    "price_drift": (0, 5),
    "ctr_persistence": (0, 1),
    "cvr_persistence": (0, 1),
    "price_persistence": (0, 1),
    "price_level": (1e-6, math.inf),
    "usual_share": (0, 1),
    "elasticity": (0, 5),
    "bend": (0, 5),
}
"""Closed range of every scalar parameter (`PARAMETERS`); deviations of logarithms beyond 5 are factors of 150."""

LARGEST = 1e12
"""Amounts beyond this leave single precision no room."""


class DomainError(ValueError):
    """A number that no market can have; the message names field, place, value and remedy."""


@dataclass(frozen=True, slots=True)
class Market:
    """Everything the simulator needs, as float32 tensors."""

    campaigns: tuple[str, ...]
    platforms: tuple[str, ...]
    currency: str
    generated: bool
    cycle_hours: int
    digest: str
    """Of the data it was fitted from."""
    value: dict[str, Tensor]
    """`PARAMETERS` name -> (C, P)."""
    error: dict[str, Tensor]
    """Standard errors, same names and shapes."""
    provenance: dict[str, str]
    """`PARAMETERS` name -> real, approximated, ... """
    price_kind: str
    """empirical or lognormal."""
    price: Tensor
    """Cost curve: the competing price in the order in which requests are won, which bids that differ from request to
    request blur; knots (C, P, K + 1), or mu and sigma (C, P, 2); currency per impression."""
    price_law: Tensor
    """The competing price itself, quantiles (C, P, K + 1)."""
    volume_week: Tensor
    """Requests by weekday over their mean, (C, P, 7)."""
    response_week: Tensor
    """Click probability by weekday over its mean, (C, P, 7)."""
    delay: Tensor
    """Probability that a conversion arrives d cycles after its impression, (C, P, D + 1)."""
    minimum: Tensor
    """(C, P) shares of the cycle budget."""
    maximum: Tensor
    step: Tensor
    freeze: Tensor
    """(C, P) bools."""
    budget: Tensor
    """Planned budget per cycle, (C,), currency."""
    static: Tensor
    """The plan's own split, (C, P)."""
    control: Tensor
    """Historical average split of spend, (C, P)."""
    horizon: int
    """Cycles of the plan."""
    context: Tensor
    """Fused contexts of past cycles, (C, N, 512)."""
    context_rate: Tensor
    """Click-rate multiplier of each context, (C, N, P), mean about 1."""
    context_group: Tensor
    """Group of like contexts that each belongs to, (C, N), whole numbers."""
    cycle_group: Tensor
    """Group of every training cycle, (C, T)."""
    cold_context: Tensor
    """Context before the first cycle, (C, 512)."""
    present_context: Tensor
    """Context of the log's last cycle, (C, 512): where a bundle starts."""
    response: Tensor
    """Resampled click and conversion multipliers of single impressions by group of contexts, (C, G, P, R, 2)."""
    response_mean: Tensor
    """Mean predicted click probability of those impressions, (C, G, P)."""
    path: dict[str, Tensor] = field(default_factory=dict)
    """What the fitted cycles were like: requests, level, ctr and cvr multipliers (smoothed), of a spend history those
    of value too, each (T, C, P). cvr is over the clicks of the same cycle, `DUE`, where conversions of a history come
    late, over those that they are due of."""
    scenario: dict[str, Any] = field(default_factory=dict)
    """Of a shifted market: `shifts`, a list in the order of `crossmix.market.shift.shift` calls; of a task of the log's
    strata: `task`. Plain names and numbers."""
    strata: dict[str, Any] = field(default_factory=dict)
    """How the log's periods and regions differ from all this, as `crossmix.market.fit.strata.Strata.plain` gives it."""
    untried: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))
    """Cells that never delivered in what was fitted on, (C, P) bools; what is said of them is borrowed from others."""
    shared: dict[str, Tensor] = field(default_factory=dict)
    """Parameter -> part of its errors' variance that a campaign's platforms have in common, (C, P), 0 to 1; (C,):
    alike on all platforms; none of what is not named."""

    most: Tensor = field(default_factory=lambda: torch.zeros(0))
    """Of a spend history the most that a week spent per cycle, by platform and last on all together, (C, P + 1),
    currency; empty: supply is known, or nobody told."""
    ended: tuple[str | None, ...] = ()
    """ISO 8601 date of each campaign's last cycle with spend, where it is over; `()`: none is."""

    def __post_init__(self) -> None:
        cells = self.static.shape
        neutral = {name: torch.full(cells, level, dtype=self.static.dtype) for name, level in NEUTRAL.items()}
        usual: dict[str, dict[str, Any]] = {
            "value": neutral,
            "error": {name: torch.zeros_like(one) for name, one in neutral.items()},
            "provenance": dict.fromkeys(NEUTRAL, "assumed"),
        }
        for name, given in usual.items():
            if not given.keys() <= getattr(self, name).keys():  # a whole table stays the one that was passed
                object.__setattr__(self, name, given | getattr(self, name))
        if not self.untried.numel():
            object.__setattr__(self, "untried", torch.zeros(cells, dtype=torch.bool))

    @property
    def of_totals(self) -> bool:
        """Whether it was fitted to totals, whose response to money is known as an elasticity; no auctions were seen."""
        return bool((self.value["elasticity"] > 0).any())

    @property
    def running(self) -> list[int]:
        """Slots of the campaigns that spend today: those that are not over, or all where all are."""
        slots = range(len(self.campaigns))
        return [slot for slot in slots if not self.ended or self.ended[slot] is None] or list(slots)

    def prices(self, campaign_B: Tensor) -> Price:
        """Price model of a batch of campaigns, (B, P)."""
        table = self.price[campaign_B]
        if self.price_kind == "lognormal":
            return LogNormalPrice(table[..., 0], table[..., 1])
        return EmpiricalPrice.of(table)

    def limits(self, campaign: int) -> Limits:
        return Limits(self.minimum[campaign], self.maximum[campaign], self.freeze[campaign], self.step[campaign])


def check(market: Market) -> None:
    """Raise `DomainError` for the first parameter outside its domain."""
    for name, (low, high) in DOMAIN.items():
        _inside(market, f"value.{name}", market.value[name], low, min(high, LARGEST))
    if market.price_kind == "lognormal":
        _inside(market, "price (mu)", market.price[..., 0], -25, 25)
        _inside(market, "price (sigma)", market.price[..., 1], 1e-3, 5)
    else:
        _inside(market, "price", market.price, 0, LARGEST)
        _require(market, "price", market.price[..., -1], market.price[..., -1] > 0, "one quantile must be above 0")
        steps = market.price.diff(dim=-1)
        _require(market, "price", steps, steps >= 0, "quantiles must not fall; sort them")
    for name in ("volume_week", "response_week"):
        _inside(market, name, getattr(market, name), 0, LARGEST)
    _inside(market, "delay", market.delay, 0, 1)
    total = market.delay.sum(-1)
    _require(market, "delay", total, (total - 1).abs() < 1e-3, "probabilities must sum to 1")
    _inside(market, "budget", market.budget, 0, LARGEST)
    for name in ("context", "context_rate", "response"):
        if not bool(torch.isfinite(getattr(market, name)).all()):
            raise DomainError(f"market.{name}: it holds a number that is not finite; fit the market again")
    try:
        check_limits(market.minimum, market.maximum, market.platforms)
    except InfeasibleError as error:
        raise DomainError(f"market.{error}") from None


def check_action(action_BP: Tensor, shape: tuple[int, int]) -> None:
    """Raise `DomainError` for an action of another shape or with a number that is not finite."""
    if tuple(action_BP.shape) != shape:
        raise DomainError(f"action: got shape {tuple(action_BP.shape)}, want {shape} (rows, platforms)")
    wrong = ~torch.isfinite(action_BP)
    if bool(wrong.any()):
        row, column = wrong.nonzero()[0].tolist()
        raise DomainError(
            f"action: row {row}, platform {column} is {float(action_BP[row, column])}; "
            "give finite shares (has the learner diverged?)"
        )


def _inside(market: Market, name: str, table: Tensor, low: float, high: float) -> None:
    # Written so that NaN, which compares false, is outside.
    _require(market, name, table, (table >= low) & (table <= high), f"give a number in [{low:g}, {high:g}]")


def _require(market: Market, name: str, table: Tensor, fine: Tensor, remedy: str) -> None:
    if bool(fine.all()):
        return
    index = (~fine).nonzero()[0].tolist()
    where = market.campaigns[index[0]] + (f", {market.platforms[index[1]]}" if len(index) > 1 else "")
    raise DomainError(f"market.{name}: {float(table[tuple(index)]):g} of {where} is outside its domain; {remedy}")


_TABLES = (
    "price",
    "price_law",
    "volume_week",
    "response_week",
    "delay",
    "minimum",
    "maximum",
    "step",
    "freeze",
    "budget",
    "static",
    "control",
    "response_mean",
)
_GROUPS = ("context_group", "cycle_group")
_BANK = ("context", "context_rate", "cold_context", "present_context", "response")


def save(market: Market, folder: Path) -> None:
    """Write market.json and bank.npz."""
    cells = [
        {
            "campaign": campaign,
            "platform": platform,
            **{
                name: {"value": _number(market.value[name][c, p]), "se": _number(market.error[name][c, p])}
                for name in PARAMETERS
            },
        }
        for c, campaign in enumerate(market.campaigns)
        for p, platform in enumerate(market.platforms)
    ]
    document = {
        "version": VERSION,
        "digest": market.digest,
        "currency": market.currency,
        "generated": market.generated,
        "cycle_hours": market.cycle_hours,
        "horizon": market.horizon,
        "campaigns": market.campaigns,
        "platforms": market.platforms,
        "price_kind": market.price_kind,
        "units": {name: {"unit": unit, "meaning": meaning} for name, (unit, meaning) in PARAMETERS.items()},
        "provenance": market.provenance,
        "scenario": market.scenario,
        "parameters": cells,
        "strata": market.strata,
        "tables": {name: _rounded(getattr(market, name)) for name in (*_TABLES, "untried", "most")},
        "ended": market.ended,
        "shared": {name: _rounded(part) for name, part in market.shared.items()},
    }
    (folder / "market.json").write_text(json.dumps(document, indent=1))
    with (folder / "bank.npz").open("wb") as file:
        # Contexts are the bulk of the file and only steer a network: half precision serves them.
        half = {"context", "cold_context", "present_context"}
        banks: dict[str, Any] = {
            name: getattr(market, name).numpy().astype(np.float16 if name in half else np.float32) for name in _BANK
        }
        paths = {f"path_{name}": series.numpy() for name, series in market.path.items()}
        groups = {name: getattr(market, name).numpy() for name in _GROUPS}
        np.savez_compressed(file, **{**banks, **groups, **paths})


def load(folder: Path) -> Market:
    """Read what `save` wrote; raises ValueError for another format version."""
    document = json.loads((folder / "market.json").read_text())
    if document["version"] != VERSION:
        raise ValueError(f"market.json: version {document['version']} is unknown; fit the market again")
    shape = (len(document["campaigns"]), len(document["platforms"]))

    def grid(name: str, part: str) -> Tensor:
        numbers = [cell[name][part] for cell in document["parameters"] if name in cell]
        if not numbers:
            return torch.full(shape, NEUTRAL[name] if part == "value" else 0.0)
        return torch.tensor([float("nan") if x is None else x for x in numbers]).reshape(shape)

    tables = {name: torch.tensor(document["tables"][name]) for name in _TABLES}
    untried, most = document["tables"].get("untried", []), document["tables"].get("most", [])
    with np.load(folder / "bank.npz") as bank:
        banks = {name: torch.from_numpy(bank[name].astype(np.float32)) for name in _BANK}
        banks |= {name: torch.from_numpy(bank[name]) for name in _GROUPS}
        path = {name[5:]: torch.from_numpy(bank[name]) for name in bank.files if name.startswith("path_")}
    return Market(
        campaigns=tuple(document["campaigns"]),
        platforms=tuple(document["platforms"]),
        currency=document["currency"],
        generated=document["generated"],
        cycle_hours=document["cycle_hours"],
        digest=document["digest"],
        value={name: grid(name, "value") for name in PARAMETERS},
        error={name: grid(name, "se") for name in PARAMETERS},
        provenance=document["provenance"],
        price_kind=document["price_kind"],
        horizon=document["horizon"],
        scenario=document["scenario"],
        strata=document["strata"],
        path=path,
        untried=torch.tensor(untried, dtype=torch.bool),
        most=torch.tensor(most),
        ended=tuple(document.get("ended", ())),
        shared={name: torch.tensor(part) for name, part in document.get("shared", {}).items()},
        **tables,
        **banks,
    )


def load_served(folder: Path) -> Market:
    """The market that answers are made of: fitted on all periods, where the market step left one, else as judged.

    Raises as `load` does.
    """
    return load(folder / SERVED if (folder / SERVED / "market.json").exists() else folder)


def _number(value: Tensor) -> float | None:
    number = float(value)
    return float(f"{number:.7g}") if np.isfinite(number) else None


def _rounded(value: Tensor) -> Any:
    if value.dtype == torch.bool:
        return value.tolist()
    return json.loads(json.dumps(value.tolist()), parse_float=lambda text: float(f"{float(text):.7g}"))
