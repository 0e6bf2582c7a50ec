"""Which broken feeds the guard stops, and which honest worlds: `python -m benchmarks.guard [--json] [--run OUT]`.

Flights of a run's market are played cycle by cycle, policy (70 % of users) and control (30 %, the static split) side
by side in one world. What each reports is tested by the server's own tests (`crossmix.market.plausible`) after every
cycle; the policy is the run's bundle, and its state is made of what was reported and is believed, as
`serving.feedback.statistics` makes it, the money that returns included.

| poison, from day 15 on    | what is reported                                                   |
|---------------------------|--------------------------------------------------------------------|
| zero on all, on the top   | no conversions, no revenue                                         |
| x100 on all, x5 on the top | revenue so many times                                              |
| swapped                   | the two largest platforms' figures, each under the other's name    |
| counted twice             | every figure of the top platform twice                             |
| x1.5, x2 on the top       | revenue so many times, in both arms: within the law, not found     |

The top platform has most of the policy's spend before.

A flight is an advertiser: all campaigns of the market. Stopped is one with a cell held within so many cycles; blocked
is an honest one with any cell held in 30 cycles. Revenue is the policy arm's true one over the ten cycles of a hold,
over that of the same world without poison; without the guard every report is believed. The seeds are of this benchmark
alone; nothing was chosen on them. Parts have Clopper and Pearson's 95 % interval, revenue the mean's over flights (t).
Every world is played in blocks of 40 flights, all worlds of one before the next. `--resume FILE` keeps what is done:
a run that was cut off goes on from it, and one of more flights adds to it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from benchmarks._begun import begun
from benchmarks._machine import machine
from benchmarks._resumed import Resumed
from benchmarks.guardrails import part
from crossmix import bundle as bundles
from crossmix.config import Config
from crossmix.feedback import AMOUNTS, Feedback
from crossmix.ledger.quarantine import ALL, ARRIVALS, doubt
from crossmix.market.conditions import scaled_market
from crossmix.market.environment import MarketEnvironment
from crossmix.market.level_evidence import Usual
from crossmix.market.model import Market
from crossmix.market.plausible import suspects
from crossmix.market.shift import shift

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Poison = Callable[[dict[str, Array], tuple[int, int]], None]
SEED = 41_000_000
"""Of the first world: far from those of training, judging, calibration, tests and the other benchmarks."""
DAY, CYCLES = 15, 30
"""First poisoned cycle, and a flight's cycles."""
HOLD = 10
BEFORE = 20
"""Cycles of the flight before it is looked at: what was clicked in them still converts."""
PARTS = {"policy": 0.7, "control": 0.3}
AT_ONCE = 40
"""Advertisers played side by side, of one seed; a world's are several such blocks."""
ROWS = 8
"""Newest cycles that are tested, beside those that conversions come from: others were tested before."""
_CLICKS, _SPEND, _PLANNED = 1, 4, 5
"""Of `History.past`."""


def _times(name: str, factor: float, only_top: bool) -> Poison:
    def act(report: dict[str, Array], top: tuple[int, int]) -> None:
        column: Any = top[0] if only_top else slice(None)
        report[name][:, column] = report[name][:, column] * factor

    return act


def _zero(only_top: bool) -> Poison:
    def act(report: dict[str, Array], top: tuple[int, int]) -> None:
        for name in ("conversions_TCP", "revenue_TCP"):
            _times(name, 0.0, only_top)(report, top)

    return act


def _swap(report: dict[str, Array], top: tuple[int, int]) -> None:
    for table in report.values():
        table[:, list(top)] = table[:, list(top[::-1])]


def _twice(report: dict[str, Array], top: tuple[int, int]) -> None:
    for name in report:
        _times(name, 2.0, True)(report, top)


POISONS: dict[str, Poison] = {
    "zero on all": _zero(False),
    "zero on the top": _zero(True),
    "x100 on all": _times("revenue_TCP", 100.0, False),
    "x5 on the top": _times("revenue_TCP", 5.0, True),
    "swapped": _swap,
    "counted twice": _twice,
}
ARMS_POISONED = {"both arms": ("policy", "control"), "the policy's": ("policy",)}
WITHIN: dict[str, Poison] = {f"x{size:g} on the top": _times("revenue_TCP", size, True) for size in (1.5, 2.0)}


@dataclass
class Arm:
    """An arm's flights: the world, what it reported, what of it is believed."""

    environment: MarketEnvironment
    rows: list[NDArray[np.float32]]
    """Of `History.past`, the warm-up's first, (6, B, P) each; what is not believed is 0."""
    told: list[NDArray[np.float32]] = field(default_factory=list)
    reports: list[dict[str, Array]] = field(default_factory=list)
    days: list[NDArray[np.int64]] = field(default_factory=list)
    doubts: list[NDArray[np.int64]] = field(default_factory=list)
    """How much of each cell is not believed (`quarantine.doubt`), (B, P) each."""
    revenue: list[Array] = field(default_factory=list)
    """True, (B,) each."""

    @classmethod
    def begin(cls, world: Market, config: Config, flights: int, seed: int, name: str) -> Arm:
        size = PARTS[name]
        own = replace(scaled_market(world, requests=size), budget=world.budget * size)
        many = len(world.campaigns)
        made = MarketEnvironment(
            own,
            config,
            campaign_B=torch.arange(flights * many) % many,
            cycles=CYCLES,
            mechanism="counts",
            seed=seed,
            whole=True,
        )
        made.luck.manual_seed(2 * seed + 1 + list(PARTS).index(name))
        window = config.window
        return cls(made, [made.history.past(age).numpy().copy() for age in range(window - 1, -1, -1)])

    def believe(self, guarded: bool) -> None:
        """Put what was reported and is believed in the place of what happened, for the state and the money."""
        history, config = self.environment.history, self.environment.config
        doubts = [np.zeros_like(self.rows[0][0], np.int64)] * config.window + self.doubts
        if not guarded:
            doubts = [np.zeros_like(one) for one in doubts]
        row_TQBP, doubt_TBP = np.stack(self.rows), np.stack(doubts)
        spent_TBP = np.where(doubt_TBP < ALL, row_TQBP[:, _SPEND], row_TQBP[:, _PLANNED])
        history.spent_BP = torch.from_numpy(spent_TBP[config.window :].sum(0))
        row_TQBP, doubt_TBP = row_TQBP[-config.window :], doubt_TBP[-config.window :]
        weight_T = config.decay ** np.arange(config.window, dtype=np.float32)[::-1]
        weight_TBP = weight_T[:, None, None] * (doubt_TBP == 0)
        clicks_BP, conversions_BP, revenue_BP = np.einsum("tbp,tqbp->qbp", weight_TBP, row_TQBP[:, _CLICKS:_SPEND])
        guessed_TBP = (doubt_TBP == ARRIVALS) & (clicks_BP > 0)
        for q, total_BP in ((_CLICKS + 1, conversions_BP), (_CLICKS + 2, revenue_BP)):
            rate_BP = total_BP / np.maximum(clicks_BP, 1e-9)
            row_TQBP[:, q] = np.where(guessed_TBP, row_TQBP[:, _CLICKS] * rate_BP, row_TQBP[:, q])
        known_TBP = (doubt_TBP == 0) | guessed_TBP
        row_TQBP *= known_TBP[:, None]
        for age, row_QBP in enumerate(row_TQBP[::-1]):
            history.ring_WQBP[(history.cycles - 1 - age) % config.window] = torch.from_numpy(row_QBP)
        # The last win rate and price that are believed.
        win, price = history.win_rate_BP.numpy().copy(), history.log_price_BP.numpy().copy()
        seen = np.zeros(win.shape, bool)
        for age, report in enumerate(self.reports[: -config.window - 1 : -1]):
            requests, won, spend = (report[f"{name}_TCP"] for name in ("requests", "impressions", "spend"))
            good = ~seen & known_TBP[-1 - age]
            win = np.where(good, won / np.maximum(requests, 1e-12), win)
            paid = good & (won > 0) & (spend > 0)
            price = np.where(paid, np.log(np.maximum(spend, 1e-8) / np.maximum(won, 1e-8)), price)
            seen |= good
        history.win_rate_BP, history.log_price_BP = torch.from_numpy(win).float(), torch.from_numpy(price).float()

    def play(self, share_BP: torch.Tensor, poison: Poison | None, top: tuple[int, int]) -> None:
        """One cycle, and its report."""
        environment = self.environment
        self.days.append(environment.weekday_B.numpy().copy())
        outcome = environment.step(share_BP).outcome
        due = environment.history.past(0).numpy()
        values = (outcome.spend, outcome.requests, outcome.impressions, outcome.clicks, due[2], due[3])
        report = {name: np.asarray(value).astype(float) for name, value in zip(AMOUNTS, values, strict=True)}
        if poison is not None:
            poison(report, top)
        self.revenue.append(outcome.revenue.double().sum(1).numpy())
        self.told.append(outcome.planned.numpy().copy())
        names = ("impressions", "clicks", "conversions", "revenue", "spend")
        row = [*(report[f"{name}_TCP"] for name in names), outcome.planned.numpy()]
        self.rows.append(np.stack(row).astype(np.float32))
        self.reports.append(report)
        self.doubts.append(np.zeros(outcome.spend.shape, np.int64))

    def feedback(self, name: str, newest: int) -> Feedback:
        first = max(len(self.reports) - newest, 0)
        amounts: dict[str, Any] = {key: np.stack([one[key] for one in self.reports[first:]]) for key in AMOUNTS}
        cycle_T = np.arange(first, len(self.reports))
        batch = self.environment.batch
        return Feedback(
            campaigns=tuple(map(str, range(batch))),
            platforms=self.environment.market.platforms,
            cycle_TC=np.tile(cycle_T[:, None] + BEFORE, (1, batch)),
            weekday_TC=np.stack(self.days[first:]),
            part_TC=np.full((len(cycle_T), batch), PARTS[name]),
            told_TCP=np.stack(self.told[first:]).astype(float),
            **amounts,
        )


class Flights:
    """Both arms of some advertisers under a bundle, cycle by cycle."""

    def __init__(
        self, world: Market, fitted: Market, bundle: bundles.Bundle, config: Config, flights: int, seed: int
    ) -> None:
        self.bundle, self.settings, self.flights = bundle, config.serving.guard, flights
        self.many = len(world.campaigns)
        self.usual = Usual.of(fitted, torch.arange(flights * self.many) % self.many)
        self.both = {name: Arm.begin(world, config, flights, seed, name) for name in PARTS}
        self.slot = {name: p for p, name in enumerate(world.platforms)}
        self.first_F = np.full(flights, CYCLES)

    def again(self) -> Flights:
        """The same, to go on otherwise."""
        market = self.both["policy"].environment.market
        shared = (self.bundle, self.usual, market)
        return deepcopy(self, {id(one): one for one in shared})

    def play(
        self,
        until: int,
        *,
        poison: Poison | None = None,
        arms: tuple[str, ...] = ("policy", "control"),
        guarded: bool = True,
    ) -> Flights:
        """Up to cycle `until`; `poison` in `arms`. What the guard holds it does after every cycle."""
        top = self.top if poison is not None else (0, 1)
        for cycle in range(len(self.both["policy"].reports), until):
            for name, arm in self.both.items():
                arm.believe(guarded)
                environment = arm.environment
                share = environment.static_BP
                if name == "policy":
                    seen = environment.observe()
                    low, high = (edge.expand_as(share).numpy() for edge in (seen.low_BP, seen.high_BP))
                    share = torch.from_numpy(self.bundle.allocate(seen.state_BS.numpy(), low, high))
                arm.play(share, poison if name in arms else None, top)
            if guarded:
                self._hold(cycle)
        return self

    def _hold(self, cycle: int) -> None:
        newest = ROWS + self.usual.delay_DCP.shape[0] + 6
        reported = {name: arm.feedback(name, newest) for name, arm in self.both.items()}
        for one in suspects(self.usual, reported, self.settings):
            row, p, arm = int(one.campaign), self.slot[one.platform], self.both[one.arm]
            for number in range(max(one.first - BEFORE, 0), one.cycle - BEFORE + 1):
                arm.doubts[number][row, p] = max(arm.doubts[number][row, p], doubt(one.cause, one.quantity))
            self.first_F[row // self.many] = min(self.first_F[row // self.many], cycle)

    @property
    def top(self) -> tuple[int, int]:
        """The two platforms with most of the policy's spend before `DAY`."""
        spent_P = np.sum([one["spend_TCP"] for one in self.both["policy"].reports[:DAY]], (0, 1))
        first, second = np.argsort(-spent_P)[:2].tolist()
        return first, second

    @property
    def revenue_TF(self) -> Array:
        """True, of the policy arm, by cycle and flight."""
        revenue_TB = np.stack(self.both["policy"].revenue)
        return revenue_TB.reshape(len(revenue_TB), self.flights, self.many).sum(2)


def ratios(played: Flights, quiet: Flights) -> list[float]:
    """Revenue of the ten cycles of a hold over the quiet world's, of each flight."""
    span = slice(DAY, DAY + HOLD)
    found: list[float] = (played.revenue_TF[span].sum(0) / quiet.revenue_TF[span].sum(0)).tolist()
    return found


def mean(ratio_F: Sequence[float] | Array) -> dict[str, Any]:
    """The mean over flights, and its interval."""
    each_F = np.array(ratio_F)
    wide = float(stats.t.ppf(0.975, len(each_F) - 1) * each_F.std(ddof=1) / np.sqrt(len(each_F)))
    middle = float(each_F.mean())
    return {
        "mean": middle,
        "ci95": [middle - wide, middle + wide],
        "worst": float(each_F.min()),
        "flights": len(each_F),
    }


def honest(market: Market) -> Iterator[tuple[str, Market]]:
    yield "quiet", market
    for name in ("price_shock", "ctr_collapse", "holiday", "outage", "ramp", "new_platform"):
        yield name, shift(market, name, start=DAY)
    odd = torch.arange(len(market.platforms)) % 2 == 1
    for name in ("cvr", "value", "requests"):
        yield f"{name} x2 and x0.5 by turns", scaled_market(market, **{name: torch.where(odd, 2.0, 0.5)})


def measure(
    run: Path | None, source: str, data: str | None, flights: int, worlds: str, file: Path | None
) -> dict[str, Any]:
    """Everything, or `worlds` alone: honest or poisoned.

    Args:
        flights: of a world; a multiple of `AT_ONCE` is played.
        file: where every finished part is kept, and taken from; `None`: nowhere.
    """
    before = os.getloadavg()
    config, fitted, bundle, kept = begun(run, source, data, file, SEED, AT_ONCE)
    blocks = [_block(kept, number, fitted, bundle, config, worlds) for number in range(-(-flights // AT_ONCE))]

    def every(part_of: str) -> list[Any]:
        return [one for block in blocks for one in block[part_of]]

    result: dict[str, Any] = {"benchmark": "guard", "generated": fitted.generated, "flights": len(blocks) * AT_ONCE}
    if worlds != "poisoned":
        result["honest"] = {
            name: {"blocked": part(np.array(every(f"honest: {name}")) < CYCLES)} for name, _ in honest(fitted)
        }
    if worlds != "honest":
        result |= _poisoned(every)
    return result | {"cpu seconds": kept.seconds, "machine": machine(before)}


def _block(
    kept: Resumed, number: int, fitted: Market, bundle: bundles.Bundle, config: Config, worlds: str
) -> dict[str, list[Any]]:
    """`AT_ONCE` flights of every world, by the world's name: the cycle of each in which something was first held
    (`CYCLES`: never), and each one's revenue, where that is asked."""
    found: dict[str, list[Any]] = {}

    def take(name: str, make: Callable[[], list[Any]]) -> None:
        found[name] = kept.part(f"{number}: {name}", make)
        print(f"block {number + 1}: {name}", file=sys.stderr, flush=True)

    def begun(world: Market) -> Flights:
        return Flights(world, fitted, bundle, config, AT_ONCE, SEED + number)

    for name, world in honest(fitted) if worlds != "poisoned" else ():
        take(f"honest: {name}", lambda world=world: begun(world).play(CYCLES).first_F.tolist())  # type: ignore[misc]
    if worlds == "honest":
        return found
    before_it = cache(lambda: begun(fitted).play(DAY))
    quiet = cache(lambda: before_it().again().play(DAY + HOLD))

    def unguarded(poison: Poison) -> list[float]:
        # Without the guard an arm sees its own reports alone: the other's matter nothing.
        return ratios(before_it().again().play(DAY + HOLD, poison=poison, guarded=False), quiet())

    def guarded(poison: Poison, arms: tuple[str, ...]) -> list[tuple[int, float]]:
        held = before_it().again().play(DAY + HOLD, poison=poison, arms=arms)
        return list(zip(held.first_F.tolist(), ratios(held, quiet()), strict=True))

    for name, poison in POISONS.items():
        take(f"without the guard: {name}", partial(unguarded, poison))
        for label, arms in ARMS_POISONED.items():
            take(f"{name}, {label}", partial(guarded, poison, arms))
    for name, poison in WITHIN.items():
        take(name, partial(guarded, poison, tuple(PARTS)))
    return found


def _poisoned(every: Callable[[str], list[Any]]) -> dict[str, Any]:
    """What every poison comes to."""
    result: dict[str, Any] = {"poison": {}, "within the law": {}}
    for name in POISONS:
        believed = mean(every(f"without the guard: {name}"))
        for label in ARMS_POISONED:
            first_F, ratio_F = (np.array(column) for column in zip(*every(f"{name}, {label}"), strict=True))
            answer = {f"stopped within {some}": part(first_F < DAY + some) for some in (3, 7)}
            answer |= {"revenue with the guard": mean(ratio_F), "revenue without": believed}
            result["poison"][f"{name}, {label}"] = answer
    for name in WITHIN:
        first_F, ratio_F = (np.array(column) for column in zip(*every(name), strict=True))
        result["within the law"][name] = {"stopped within 10": part(first_F < CYCLES), "revenue": mean(ratio_F)}
    return result


def table(result: Mapping[str, Any]) -> str:
    """For people: a line a world."""
    return "\n".join(
        _line(name, answer)
        for block in ("honest", "poison", "within the law")
        for name, answer in result.get(block, {}).items()
    )


def _line(name: str, answer: Mapping[str, Any]) -> str:
    parts = [
        f"{what} {one.get('part', one.get('mean')):.3f} [{one['ci95'][0]:.3f}, {one['ci95'][1]:.3f}]"
        for what, one in answer.items()
    ]
    return f"{name:<36}{'; '.join(parts)}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description="Broken feeds, and honest worlds.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--run", type=Path, help="folder of a finished run; without it one is made")
    parser.add_argument("--source", default="demo", help="where the log of a new run comes from")
    parser.add_argument("--data", help="its file")
    parser.add_argument("--flights", type=int, default=200, help="advertisers of a world")
    parser.add_argument("--worlds", choices=("all", "honest", "poisoned"), default="all")
    parser.add_argument("--resume", type=Path, help="file of finished parts, to go on from")
    given = parser.parse_args()
    result = measure(given.run, given.source, given.data, given.flights, given.worlds, given.resume)
    print(json.dumps(result, indent=1) if given.json else table(result))


if __name__ == "__main__":
    main()
