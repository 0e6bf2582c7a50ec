"""Who answers in `benchmarks.field` how a budget is split, from a history alone: the product and those beside it.

Shapes: C campaigns, P platforms. Splits are currency per day.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._field_responses import Array, best
from benchmarks._field_worlds import World
from crossmix import whatif
from crossmix.config import Config, load
from crossmix.evaluate.decision.table import Decided, decided
from crossmix.ingest.step import ingest
from crossmix.market.fit.fit import fit
from crossmix.market.fit.log import read
from crossmix.market.model import Market
from crossmix.market.model import load as load_judged
from crossmix.market.model import load_served as load_market
from crossmix.schema import Dataset

FACTORS = (0.5, 1.0, 2.0)
"""Of today's budget, at which revenue is asked for."""
STEEP = (0.02, 0.98)
"""Elasticities that a log-log regression is let have, so that its best split is inside."""
DATASET, MARKET = "dataset", "market"
"""Folders of what the steps leave."""
PYMC = "pymc_marketing"
SLOW = 2400.0
"""Seconds of the clock that PyMC-Marketing is given for a history, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the product says of a history."""

    split_CP: Array
    """The recommended split of today's budgets."""
    promised: float
    """Revenue that it expects of it, per day."""
    today: float
    """What it takes for today's budget, all campaigns."""
    intervals: dict[str, list[tuple[float, float, float]]]
    """What was asked -> (truth, low, high) of every campaign, or of every campaign and platform that ran."""
    seconds: float
    """Processor time of ingest, fit and the recommended split."""
    accepted_CP: Array
    """Today's split with the changes that the gate `decision` lets pass; where it lets none pass, today's."""
    sure: float
    """P(gain > 0) of the surest campaign's change, as the gate judged it."""
    judging: float
    """Processor time of that judgement."""


def product(world: World, folder: Path) -> Answer:
    """The project's answer: ingest and market step of the pipeline, then `crossmix whatif`'s best split.

    Raises:
        ValueError: the history is refused; the message says why.
    """
    began = time.process_time()
    config, market = _read(world, folder)
    scenes = {name: whatif.make_scene(market, name) for name in market.campaigns}
    answers = _answers(world, market, scenes)
    seconds = time.process_time() - began
    began = time.process_time()
    judged = _judged(config, folder / DATASET, folder / MARKET, market)
    judging = time.process_time() - began
    return Answer(
        split_CP=_split(world, market, answers),
        promised=sum(one.best.revenue.value for one in answers.values()) / world.days_per_row,
        today=sum(scene.budget for scene in scenes.values()) / world.days_per_row,
        intervals=_intervals(world, {c: scenes[name] for c, name in _campaigns(world, market)}),
        seconds=seconds,
        accepted_CP=_accepted(world, market, judged),
        sure=max(one.probability for one in judged.campaigns),
        judging=judging,
    )


def recommended(world: World, folder: Path) -> Array:
    """The project's split of today's budgets, (C, P), without what `product` works out beside it.

    Raises:
        ValueError: the history is refused; the message says why.
    """
    _, market = _read(world, folder)
    scenes = {name: whatif.make_scene(market, name) for name in market.campaigns}
    return _split(world, market, _answers(world, market, scenes))


def _read(world: World, folder: Path) -> tuple[Config, Market]:
    csv = folder / "history.csv"
    world.frame.to_csv(csv, index=False)
    config = load("laptop", ["data.source=spend", f"data.path={csv}", *world.settings])
    for name in (DATASET, MARKET):
        (folder / name).mkdir()
    return config, fitted_market(config, folder / DATASET, folder / MARKET)


def _answers(world: World, market: Market, scenes: dict[str, whatif.Scene]) -> dict[str, whatif.BudgetAnswer]:
    budget_C = world.today_CP.sum(1) * world.days_per_row
    return {name: whatif.best_split(scenes[name], float(budget_C[c])) for c, name in _campaigns(world, market)}


def _split(world: World, market: Market, answers: dict[str, whatif.BudgetAnswer]) -> Array:
    split_CP = np.zeros_like(world.today_CP)
    for c, name in _campaigns(world, market):
        for plan in answers[name].best.platforms:
            split_CP[c, world.platforms.index(plan.platform)] = plan.amount.value / world.days_per_row
    return split_CP


def _judged(config: Config, dataset: Path, fitted: Path, served: Market) -> Decided:
    """What the gate step says of the changes, from the fit that answers and the weeks held out of the judged one."""
    return decided(config, load_judged(fitted), served, read(Dataset(dataset)))


def _accepted(world: World, market: Market, judged: Decided) -> Array:
    split_CP = world.today_CP.copy()
    for (c, _), one, proved in zip(_campaigns(world, market), judged.campaigns, judged.proved, strict=True):
        if proved:
            order = [world.platforms.index(name) for name in one.change.platforms]
            budget = split_CP[c].sum()
            split_CP[c] = 0.0
            split_CP[c, order] = budget * one.change.best_P
    return split_CP


def fitted_market(config: Config, dataset: Path, fitted: Path) -> Market:
    """The market that the steps of a run leave; a spend history has no fusion."""
    ingest(config, dataset)
    fit(config, dataset, dataset.parent / "fusion", fitted)
    return load_market(fitted)


def _campaigns(world: World, market: Market) -> list[tuple[int, str]]:
    """Place in the world and name in the market; a history without campaigns has one of another name."""
    if len(world.campaigns) == 1:
        return [(0, market.campaigns[0])]
    return [(world.campaigns.index(name), name) for name in market.campaigns]


def _intervals(world: World, scenes: dict[int, whatif.Scene]) -> dict[str, list[tuple[float, float, float]]]:
    """The truth beside what the product's 95 % intervals say of it, at today's split."""
    days = world.days_per_row
    found: dict[str, list[tuple[float, float, float]]] = {"marginal ROI": []}
    found |= {f"revenue x{factor:g}": [] for factor in FACTORS}
    found |= {f"platform x{factor:g}": [] for factor in FACTORS}
    slope_CP = world.marginal_CP(np.maximum(world.today_CP, 0.01))
    for c, scene in scenes.items():
        order = [world.platforms.index(name) for name in scene.platforms]
        amount_P = world.today_CP[c, order]
        share_P = amount_P / amount_P.sum()
        for factor in FACTORS:
            plan = whatif.split_plan(scene, share_P.tolist(), factor * float(amount_P.sum()) * days)
            true_P = world.revenue_CP(factor * world.today_CP)[c, order]
            whole = plan.revenue
            found[f"revenue x{factor:g}"].append((float(true_P.sum()), whole.low / days, whole.high / days))
            for slot, one in enumerate(plan.platforms):
                if amount_P[slot] <= 0:
                    continue
                told = one.revenue
                found[f"platform x{factor:g}"].append((float(true_P[slot]), told.low / days, told.high / days))
                if factor == 1:
                    true = float(slope_CP[c, order[slot]])
                    found["marginal ROI"].append((true, one.marginal_roi.low, one.marginal_roi.high))
    return found


def log_log(world: World) -> Array:
    """ln revenue on ln spend, row by row, of every campaign on every platform; the best split of those power laws.

    (C, P). Rows without revenue are left out, as a logarithm has to; cells that never ran get nothing.
    """
    table = world.named
    power_CP, level_CP = np.full((2, *world.today_CP.shape), np.nan)
    for (campaign, platform), rows in table[table["revenue"] > 0].groupby(["campaign", "platform"]):
        cell = world.campaigns.index(campaign), world.platforms.index(platform)
        x, y = (np.log(rows[name].to_numpy(float) / world.days_per_row) for name in ("spend", "revenue"))
        if len(rows) > 2 and x.std() > 0:
            power = float(np.clip(np.cov(x, y)[0, 1] / x.var(ddof=1), *STEEP))
            power_CP[cell], level_CP[cell] = power, y.mean() - power * x.mean()
    split_CP = world.today_CP.copy()
    for c, budget in enumerate(world.today_CP.sum(1)):
        known = np.isfinite(power_CP[c])

        def value(spend_GP: Array, c: int = c, known: Any = known) -> Array:
            return np.where(known, np.exp(level_CP[c]) * spend_GP ** power_CP[c], 0.0)

        if known.any():
            split_CP[c] = best(value, float(budget), np.where(known, budget, 0.0))
    return split_CP


def pymc_command(python: Path | None) -> tuple[list[str] | None, str]:
    """How `_field_pymc` is started, and a sentence; `python`: an interpreter that has PyMC-Marketing, else this one."""
    if python is None and importlib.util.find_spec(PYMC) is None:
        return None, (
            "PyMC-Marketing: left out, it is not installed here; name an interpreter that has it with --pymc PYTHON"
        )
    return [
        str(python or sys.executable),
        str(Path(__file__).with_name("_field_pymc.py")),
    ], "PyMC-Marketing: default MMM"


def pymc(command: list[str], world: World, folder: Path, longest: float = SLOW) -> tuple[Array, float]:
    """PyMC-Marketing's split, (C, P), and its processor time, seconds: campaigns on platforms are its channels, today's
    budget of each campaign is split by the curves that it fits.

    Args:
        longest: seconds of the clock after which it is stopped.

    Raises:
        CalledProcessError, TimeoutExpired: it did not answer.
    """
    table = world.named
    channel = {(c, p): f"cell_{c}_{p}" for c, p in np.argwhere(world.tried_CP).tolist()}
    named = {(world.campaigns[c], world.platforms[p]): name for (c, p), name in channel.items()}
    table["channel"] = [named[pair] for pair in zip(table["campaign"], table["platform"], strict=True)]
    wide = table.pivot_table(index="date", columns="channel", values="spend", aggfunc="sum", fill_value=0.0)
    wide["revenue"] = table.groupby("date")["revenue"].sum()
    source, answer = folder / "channels.csv", folder / "curves.json"
    wide.reset_index().to_csv(source, index=False)
    most = 4 * world.today_CP.sum() * world.days_per_row
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [*command, str(source), str(answer), str(most)],
        check=True,
        timeout=longest,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(answer.read_text())
    grid = np.array(told["spend"]) / world.days_per_row
    split_CP = np.zeros_like(world.today_CP)
    for c, budget in enumerate(world.today_CP.sum(1)):
        curve = {p: np.array(told["revenue"][name]) for (at, p), name in channel.items() if at == c}
        split_CP[c] = best(_read_off(grid, curve), float(budget), np.where(world.tried_CP[c], budget, 0.0))
    return split_CP, ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime


def _read_off(grid: Array, curve: dict[int, Array]) -> Callable[[Array], Array]:
    def value(spend_GP: Array) -> Array:
        worth = np.zeros(spend_GP.shape)
        for p, height in curve.items():
            worth[:, p] = np.interp(spend_GP[:, p], grid, height)
        return worth

    return value
