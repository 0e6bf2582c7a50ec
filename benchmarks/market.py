"""Speed, memory and agreement of the market's three fidelities: `python -m benchmarks.market [--json]`.

A synthetic market of 500 requests on each of 10 platforms; one cycle of one campaign is 5,000 auctions. Compared are

| name          | what runs                                                                              |
|---------------|----------------------------------------------------------------------------------------|
| bare          | one uniform number for the price, the click and the conversion of every auction: a bound |
| exact         | `mechanism.exact` at a budget of 20 % of supply                                        |
| exact, all won | the same at 300 % of supply, where every auction is won and has to be played out: its worst case |
| counts        | `mechanism.counts`                                                                     |
| expected      | `mechanism.expected`                                                                   |
| expected+grad | the same and its gradient with respect to the budget                                   |
| loop          | the auctions one by one in plain Python: the slow bound                                |

Rates are campaign cycles per second on one thread. All are timed in turn within each round, ratios are taken within a
round, and medians over the rounds are told, so that a busy neighbour slows both sides of a ratio.

Shapes: B batch, P platforms, N requests.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from crossmix.market.conditions import Bank, Conditions
from crossmix.market.mechanism import counts, exact, expected, pace
from crossmix.market.price import EmpiricalPrice

REQUESTS, PLATFORMS = 500, 10
CONTEXTS = 512
"""Resampled contexts per campaign and platform, as `market.fit` keeps them."""
CAMPAIGNS = 4
BATCH = 256
"""Rows of the headline figures."""
BATCHES = (1, 4, 16, 64, 256, 1024)
SUPPLY = 0.2
"""Budget over what all requests would cost."""
ROUNDS = 7
SECONDS = 0.1
"""Least time of one measurement."""
LOOP_ROWS = 16
AGREEMENT_ROWS, AGREEMENT_DRAWS = 1024, 16
AGREEMENT_SUPPLIES = (0.01, SUPPLY, 3.0)
BLOCK = 1 << 18
"""Auctions drawn at a time by `bare`: what `exact` plays at a time."""
GOALS: dict[str, tuple[str, float]] = {
    "exact cost / bare cost": ("<=", 4.0),
    "counts rate / exact rate": (">=", 10.0),
    "exact rate, least growth with the batch": (">=", 1.0),
    "peak memory, GiB": ("<=", 2.0),
}


@dataclass(frozen=True, slots=True)
class Case:
    """A synthetic market and a budget split evenly over its platforms."""

    conditions: Conditions
    budget_BP: Tensor


def synthetic(batch: int, supply: float = SUPPLY, seed: int = 0) -> Case:
    """`batch` campaigns of their own parameters; empirical prices, resampled contexts, pacing error, saturation."""
    g = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, PLATFORMS, generator=g)

    mu, sigma = uniform(0.9, 1.5), uniform(0.35, 0.65)
    levels = torch.linspace(0, 1, 129).clamp(0.003, 0.997)
    knots = torch.exp(mu[..., None] + sigma[..., None] * torch.special.ndtri(levels))
    # Contexts: independent click and conversion multipliers of mean 1; the rows are flights of a few campaigns.
    context = torch.exp(0.3 * torch.randn(CAMPAIGNS, PLATFORMS, CONTEXTS, 2, generator=g))
    conditions = Conditions(
        requests=torch.full((batch, PLATFORMS), float(REQUESTS)),
        price=EmpiricalPrice.of(knots),
        price_multiplier=uniform(0.8, 1.2),
        ctr=uniform(0.06, 0.18),
        cvr=uniform(0.12, 0.38),
        value=60 * torch.exp(0.7 * torch.randn(batch, PLATFORMS, generator=g)),
        value_cv=torch.full((batch, PLATFORMS), 0.4),
        saturation=uniform(0.5, 1.5),
        pacing=torch.full((batch, PLATFORMS), 0.05),
        bank=Bank.of(context / context.mean(2, keepdim=True), torch.arange(batch) % CAMPAIGNS),
    )
    budget_B1 = supply * conditions.supply_cost().sum(1, keepdim=True)
    return Case(conditions, (budget_B1 / PLATFORMS).expand(-1, PLATFORMS).contiguous())


def bare(batch: int, generator: torch.Generator) -> None:
    """One price, click and conversion number per auction, in blocks that stay in the cache."""
    per_block = max(1, BLOCK // (REQUESTS * PLATFORMS))
    for start in range(0, batch, per_block):
        rows = min(per_block, batch - start)
        for _ in ("price", "click", "conversion"):
            torch.rand(rows, PLATFORMS, REQUESTS, generator=generator)


def gradient(case: Case) -> Tensor:
    """d expected revenue / d budget, (B, P)."""
    budget = case.budget_BP.detach().clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(expected(case.conditions, budget).revenue.sum(), budget)
    return slope


def loop(case: Case, rows: int, source: random.Random) -> list[float]:
    """Revenue of the first `rows` campaigns, auction by auction as one would write it down."""
    conditions = case.conditions
    noise = torch.tensor([[source.gauss(0, 1) for _ in range(PLATFORMS)] for _ in range(len(case.budget_BP))])
    win_BP = pace(conditions, case.budget_BP, noise).win.tolist()
    assert isinstance(conditions.price, EmpiricalPrice)
    assert conditions.bank is not None
    revenues = []
    for row in range(rows):
        revenue = 0.0
        for column in range(PLATFORMS):
            win, left = win_BP[row][column], float(case.budget_BP[row, column])
            knots = conditions.price.knots[row, column].tolist()
            tables = (conditions.bank.click_CPR, conditions.bank.convert_CPR)
            bank = [*zip(*(table[row % CAMPAIGNS, column].tolist() for table in tables), strict=True)]
            multiplier, ctr, cvr, value, cv, kappa = (
                float(getattr(conditions, name)[row, column])
                for name in ("price_multiplier", "ctr", "cvr", "value", "value_cv", "saturation")
            )
            sigma = math.sqrt(math.log1p(cv**2))
            wins = 0
            for _ in range(REQUESTS):
                quantile = source.random()
                if quantile >= win:
                    continue
                position = quantile * (len(knots) - 1)
                index = int(position)
                price = multiplier * (knots[index] + (knots[index + 1] - knots[index]) * (position - index))
                if price > left:
                    break
                left -= price
                click, convert = source.choice(bank)
                fade = math.exp(-kappa * wins / REQUESTS)
                wins += 1
                if source.random() < ctr * fade * click and source.random() < cvr * convert:
                    revenue += value * math.exp(sigma * source.gauss(0, 1) - 0.5 * sigma**2)
        revenues.append(revenue)
    return revenues


def rate(call: Callable[[], object], cycles: int) -> float:
    """Cycles per second of a call that plays `cycles` of them."""
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        call()
        calls += 1
    return calls * cycles / elapsed


def contenders(batch: int) -> dict[str, Callable[[], object]]:
    """What is timed at a batch size, without the loop."""
    g = torch.Generator().manual_seed(1)
    case, flooded = synthetic(batch), synthetic(batch, supply=3.0)
    return {
        "bare": lambda: bare(batch, g),
        "exact": lambda: exact(case.conditions, case.budget_BP, g),
        "exact, all won": lambda: exact(flooded.conditions, flooded.budget_BP, g),
        "counts": lambda: counts(case.conditions, case.budget_BP, g),
        "expected": lambda: expected(case.conditions, case.budget_BP),
        "expected+grad": lambda: gradient(case),
    }


def measure_speed() -> tuple[dict[str, float], dict[str, float]]:
    """Median rates, and median over rounds of the ratios."""
    running = contenders(BATCH)
    slow, source = synthetic(LOOP_ROWS), random.Random(1)
    rates: dict[str, list[float]] = {name: [] for name in (*running, "loop")}
    for call in running.values():
        call()
    for _ in range(ROUNDS):
        for name, call in running.items():
            rates[name].append(rate(call, BATCH))
        rates["loop"].append(rate(lambda: loop(slow, LOOP_ROWS, source), LOOP_ROWS))

    def ratio(top: str, bottom: str) -> float:
        return statistics.median(a / b for a, b in zip(rates[top], rates[bottom], strict=True))

    ratios = {
        "exact cost / bare cost": ratio("bare", "exact"),
        "exact cost / bare cost, all won": ratio("bare", "exact, all won"),
        "counts rate / exact rate": ratio("counts", "exact"),
        "expected rate / exact rate": ratio("expected", "exact"),
        "exact rate / loop rate": ratio("exact", "loop"),
    }
    return {name: statistics.median(values) for name, values in rates.items()}, ratios


def measure_batches() -> dict[str, dict[int, float]]:
    """Median rate by batch size."""
    names = ("exact", "counts", "expected")
    samples: dict[str, dict[int, list[float]]] = {name: {batch: [] for batch in BATCHES} for name in names}
    running = {batch: contenders(batch) for batch in BATCHES}
    for _ in range(3):
        for batch in BATCHES:
            for name in names:
                samples[name][batch].append(rate(running[batch][name], batch))
    return {
        name: {batch: statistics.median(values) for batch, values in by_batch.items()}
        for name, by_batch in samples.items()
    }


def measure_agreement() -> dict[str, dict[str, dict[str, float]]]:
    """Deviation of mean revenue per cycle from `exact`'s on the same campaigns, with its standard error, relative.

    By budget over supply; the loop is compared at one of them.
    """
    result: dict[str, dict[str, dict[str, float]]] = {}
    for supply in AGREEMENT_SUPPLIES:
        g, source = torch.Generator().manual_seed(2), random.Random(2)
        case = synthetic(AGREEMENT_ROWS, supply)

        def mean(
            play: Callable[[Conditions, Tensor, torch.Generator], Any], case: Case = case, g: torch.Generator = g
        ) -> Tensor:
            draws = [play(case.conditions, case.budget_BP, g).revenue.double().sum(1) for _ in range(AGREEMENT_DRAWS)]
            return torch.stack(draws).mean(0)

        judge_B = mean(exact)
        others = {"counts": mean(counts), "expected": expected(case.conditions, case.budget_BP).revenue.double().sum(1)}
        if supply == SUPPLY:
            others["loop"] = torch.tensor(loop(case, AGREEMENT_ROWS // 4, source), dtype=torch.float64)
        deviations = {}
        for name, revenue_B in others.items():
            base_B = judge_B[: len(revenue_B)]
            gap_B = (revenue_B - base_B) / base_B.mean()
            deviations[name] = {
                "deviation": float(gap_B.mean()),
                "standard error": float(gap_B.std()) / math.sqrt(len(gap_B)),
            }
        result[f"{supply:.0%}"] = deviations
    return result


def peak_gib() -> float:
    """Highest resident memory of this process so far, GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / (1 << 30 if sys.platform == "darwin" else 1 << 20)


def measure() -> dict[str, Any]:
    """Everything, as plain data."""
    torch.set_num_threads(1)
    loaded = peak_gib()
    rates, ratios = measure_speed()
    batches = measure_batches()
    peak = peak_gib()
    least = {name: min(by[b] / by[a] for a, b in itertools.pairwise(BATCHES)) for name, by in batches.items()}
    figures = ratios | {"peak memory, GiB": peak, "exact rate, least growth with the batch": least["exact"]}
    return {
        "benchmark": "market",
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "setting": {
            "requests": REQUESTS,
            "platforms": PLATFORMS,
            "batch": BATCH,
            "budget over supply": SUPPLY,
            "rounds": ROUNDS,
        },
        "cycles per second": rates,
        "ratios": ratios,
        "cycles per second by batch": batches,
        "growth, batch 1 to 1024": {name: by[BATCHES[-1]] / by[BATCHES[0]] for name, by in batches.items()},
        "least growth between neighbouring batches": least,
        "memory, GiB": {"libraries loaded": loaded, "peak": peak},
        "mean revenue against exact": measure_agreement(),
        "goals": {
            name: {
                "goal": f"{sign} {bound:g}",
                "measured": figures[name],
                "met": figures[name] <= bound if sign == "<=" else figures[name] >= bound,
            }
            for name, (sign, bound) in GOALS.items()
        },
    }


def table(result: dict[str, Any]) -> str:
    """The result for people."""
    setting, machine = result["setting"], result["machine"]
    auctions = setting["requests"] * setting["platforms"]
    lines = [
        f"Market: {setting['requests']} requests x {setting['platforms']} platforms, batch {setting['batch']}, "
        f"budget {setting['budget over supply']:.0%} of supply",
        f"{machine['cores']} cores ({machine['processor']}), {machine['threads']} thread used, "
        f"torch {machine['torch']}; medians of {setting['rounds']} rounds",
        "",
        f"{'':<16}{'cycles/s':>12}{'auctions/s':>16}",
    ]
    for name, value in result["cycles per second"].items():
        played = f"{value * auctions:>16,.0f}" if name in ("bare", "exact", "exact, all won", "loop") else f"{'-':>16}"
        lines.append(f"{name:<16}{value:>12,.0f}{played}")
    lines += ["", *(f"{name:<34}{value:>10.2f}" for name, value in result["ratios"].items())]
    by_batch = result["cycles per second by batch"]
    lines += ["", f"{'cycles/s at batch':<18}" + "".join(f"{batch:>12,}" for batch in BATCHES) + f"{'growth':>10}"]
    for name, by in by_batch.items():
        growth = result["growth, batch 1 to 1024"][name]
        lines.append(f"{name:<18}" + "".join(f"{by[batch]:>12,.0f}" for batch in BATCHES) + f"{growth:>9.1f}x")
    memory = result["memory, GiB"]
    lines += [
        "",
        f"peak memory {memory['peak']:.2f} GiB, of it {memory['libraries loaded']:.2f} GiB before the first cycle",
    ]
    lines += ["", "mean revenue per cycle against exact, by budget over supply"]
    for supply, gaps in result["mean revenue against exact"].items():
        for name, gap in gaps.items():
            lines.append(
                f"{supply:>6}  {name:<16}{gap['deviation']:>+10.2%}  (standard error {gap['standard error']:.2%})"
            )
    lines += ["", f"{'goal':<40}{'':>8}{'measured':>10}"]
    for name, goal in result["goals"].items():
        lines.append(f"{name:<40}{goal['goal']:>8}{goal['measured']:>10.2f}  {'met' if goal['met'] else 'MISSED'}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.market", description="The market's three fidelities.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    as_json = parser.parse_args().json
    result = measure()
    print(json.dumps(result, indent=1) if as_json else table(result))


if __name__ == "__main__":
    main()
