"""What weeks that a market was not fitted on say of it: its level a block ahead, and its answer to more money.

Rolling origin: from block to block of the held-out cycles each cell's revenue is predicted at the spend that happened,
by the fitted response times the level of the cycles just before, and compared with what was booked, and with what a
prediction that takes no notice of spend would have said. The levels of a block's cells (booked over fitted revenue)
stay together when blocks are drawn again, since a week's market moves all of them at once.

The answer to more money is an elasticity, d ln revenue / d ln spend (`elasticities.py`): once of all the history's
revenue, which says how well the data alone know it, whatever a prior adds; once of what the held-out cycles' revenue
leaves over after the prediction, which is 0 where the fitted response is right.

Where conversions come late a cycle's revenue is that of the money of the cycles before it too, by the market's delay:
it is held against what was due, and against the money that is due of (`_late`).

A weekday that sells better, and on which more is spent on one platform, says nothing of money either: elasticities are
of series without their week (`_without_week`).

Cycles of a promotion of all platforms (`crossmix.market.fit.promotions`) say nothing of either, and do not count.

Shapes: T cycles, C campaigns, P platforms, W blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from crossmix.evaluate.decision.elasticities import elasticities, together
from crossmix.evaluate.decision.own_demand import on_purpose
from crossmix.market.conditions import nominal
from crossmix.market.fit.delays import due
from crossmix.market.fit.log import Log
from crossmix.market.fit.promotions import cycles, promotions
from crossmix.market.mechanism import expected
from crossmix.market.model import Market

Array = npt.NDArray[np.float64]

WEEK_HOURS = 168
BEFORE = 2
"""Blocks before an origin that tell the level."""
FEWEST = 4
"""Blocks that a short held-out time is cut into, where that makes them shorter than a week."""
STEADY = 10.0
"""Conversions' worth of revenue that pulls a block's ratio to 1: one of nothing to nothing is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """The history against the market that was fitted on its first part."""

    block: int
    """Cycles of a block: a week's, or fewer."""
    level_WCP: Array
    """ln of booked over fitted revenue at the spend that happened, block by block of the held-out time: what came."""
    booked_W: Array
    """Revenue of all cells, currency."""
    predicted_W: Array
    as_before_W: Array
    """The same predicted as the blocks before went, whatever is spent."""
    off_CP: Array
    """Elasticity that the held-out cycles show over the fitted one's, and its standard error."""
    off_error_CP: Array
    known_CP: Array
    """Elasticity by the whole history's data alone, and its standard error."""
    known_error_CP: Array
    known_common_CP: Array
    """The part of that error that is left open by what all cells' budgets did together (`elasticities.py`)."""
    on_purpose_CP: Array
    """Elasticity by money that was moved on purpose alone (`own_demand.on_purpose`), and its standard error."""
    on_purpose_error_CP: Array
    usual_most_CP: Array
    """Spend of a cycle that one in twenty exceeds, currency."""
    cycles: int
    """Of the history."""
    held_out: int
    """Cycles after those that the market was fitted on."""
    span: tuple[str, str] = ("", "")
    """ISO 8601 dates of the first and the last of them; twice "": not known."""

    @property
    def miss(self) -> float:
        """Root mean square of ln booked over predicted revenue of all cells, a block ahead."""
        return _rms(self.booked_W, self.predicted_W)

    @property
    def miss_as_before(self) -> float:
        """The same of a prediction that takes no notice of spend."""
        return _rms(self.booked_W, self.as_before_W)


def _rms(booked_W: Array, predicted_W: Array) -> float:
    known = (booked_W > 0) & (predicted_W > 0)
    if not known.any():
        return float("nan")
    return float(np.sqrt((np.log(booked_W[known] / predicted_W[known]) ** 2).mean()))


def backtest(market: Market, log: Log) -> Backtest:
    """Compare a history with the market that was fitted on its training period."""
    totals = log.totals()
    spend, revenue, conversions = (totals[name] for name in ("spend", "revenue", "conversions"))
    train = min(market.path["requests"].shape[0] if market.path else log.train_cycles, len(spend))
    predicted, paid = _late(market, at_spend(market, log.weekdays(), spend), spend)
    usual_T = _usual(market, log, totals)
    block = max(1, min(round(WEEK_HOURS / market.cycle_hours), (len(spend) - train) // FEWEST))
    starts = [at for at in range(train, len(spend) - block + 1, block) if usual_T[at : at + block].any()]
    worth_CP = revenue.sum(0) / np.maximum(conversions.sum(0), 1)
    steady_CP = STEADY * np.where(worth_CP > 0, worth_CP, max(float(worth_CP.max()), 1e-9))
    came, summed = np.zeros((len(starts), *spend.shape[1:])), np.zeros((3, len(starts)))
    counted, fitted = (table * usual_T[:, None, None] for table in (revenue, predicted))
    for w, start in enumerate(starts):
        now, before = slice(start, start + block), slice(max(start - BEFORE * block, 0), start)
        level = (counted[before].sum(0) + steady_CP) / (fitted[before].sum(0) + steady_CP)
        ahead = fitted[now].sum(0) * level
        booked = counted[now].sum(0)
        came[w] = np.log((booked + steady_CP) / (fitted[now].sum(0) + steady_CP))
        usual = counted[before].sum() * int(usual_T[now].sum()) / max(int(usual_T[before].sum()), 1)
        summed[:, w] = booked.sum(), ahead.sum(), usual
    if log.meta.weekday_pattern:
        weekday_T = log.weekdays()
        revenue, predicted = (_without_week(table, weekday_T, steady_CP) for table in (revenue, predicted))
        paid = _without_week(paid, weekday_T, np.zeros_like(steady_CP))
    moved, late, purpose_TCP = together(paid), slice(train, None), on_purpose(spend)
    among = None if usual_T.all() else np.broadcast_to(usual_T[:, None, None], spend.shape)
    known = elasticities(revenue, paid, conversions, moved, among_TCP=among)
    off = elasticities(
        revenue[late],
        paid[late],
        conversions[late],
        moved[late],
        predicted[late],
        None if among is None else among[late],
    )
    purpose = elasticities(
        revenue, paid, conversions, moved, among_TCP=purpose_TCP if among is None else purpose_TCP & among
    )
    return Backtest(
        block=block,
        level_WCP=came,
        booked_W=summed[0],
        predicted_W=summed[1],
        as_before_W=summed[2],
        off_CP=off.value,
        off_error_CP=off.error,
        known_CP=known.value,
        known_error_CP=known.error,
        known_common_CP=known.common,
        on_purpose_CP=purpose.value,
        on_purpose_error_CP=purpose.error,
        usual_most_CP=np.quantile(spend, 0.95, axis=0),
        cycles=len(spend),
        held_out=len(spend) - train,
        span=(date(log, train), date(log, len(spend) - 1)),
    )


def date(log: Log, cycle: int) -> str:
    """ISO 8601 date on which a cycle of the log starts."""
    start = pd.Timestamp(log.meta.start).tz_localize(None) + pd.Timedelta(hours=cycle * log.meta.cycle_hours)
    return str(start.date())


def _usual(market: Market, log: Log, totals: dict[str, Array]) -> npt.NDArray[np.bool_]:
    """Cycles of no promotion, (T,): the others say nothing of what money does, nor of the level of a usual week."""
    usual_T = np.ones(len(totals["spend"]), bool)
    if market.of_totals:
        weekday_T = log.weekdays() if log.meta.weekday_pattern else None
        usual_T &= ~cycles(promotions(totals, usual_T, weekday_T, log.meta.today_cycles), len(usual_T))
    return usual_T


def _without_week(amount_TCP: Array, weekday_T: npt.NDArray[np.int64], steady_CP: Array) -> Array:
    """Amounts over what their weekday usually has of the mean.

    Args:
        steady_CP: amount that pulls a weekday's ratio to 1.
    """
    ratio_TCP, mean_CP = np.ones_like(amount_TCP), amount_TCP.mean(0)
    for day in np.unique(weekday_T):
        on = weekday_T == day
        usual_CP = on.sum() * mean_CP + steady_CP
        some_CP = amount_TCP[on].sum(0) + steady_CP
        ratio_TCP[on] = np.where(some_CP > 0, some_CP / np.where(usual_CP > 0, usual_CP, 1.0), 1.0)
    return amount_TCP / ratio_TCP


def _late(market: Market, predicted_TCP: Array, spend_TCP: Array) -> tuple[Array, Array]:
    """Revenue by the cycle in which it comes, and the money of a cycle that it comes from: the geometric mean,
    weighted by what each cycle's brought."""
    law_PD = market.delay[0].double().numpy()
    if not market.of_totals or (law_PD[:, 0] == 1).all():
        return predicted_TCP, spend_TCP
    log_TCP = np.log(np.where(spend_TCP > 0, spend_TCP, 1.0))
    due_TCP = due(predicted_TCP, law_PD)
    paid_TCP = np.exp(due(predicted_TCP * log_TCP, law_PD) / np.maximum(due_TCP, 1e-12))
    at_once_P = law_PD[:, 0] == 1
    return due_TCP, np.where(at_once_P, spend_TCP, np.where(due_TCP > 0, paid_TCP, 0.0))


def at_spend(market: Market, weekday_T: npt.NDArray[np.int64], spend_TCP: Array) -> Array:
    """Revenue that the market expects without drift where so much is spent, currency, (T, C, P).

    Budgets are raised until the expected spend is the one that happened.
    """
    times, campaigns, platforms = spend_TCP.shape
    index = torch.arange(campaigns).repeat(times)
    weekday = torch.as_tensor(np.repeat(weekday_T[:times], campaigns))
    conditions = nominal(market, index, weekday)
    spent = torch.as_tensor(spend_TCP, dtype=torch.float32).reshape(-1, platforms)
    budget = spent
    for _ in range(8):
        budget = budget * (spent / expected(conditions, budget).spend.clamp(min=1e-12)).clamp(0.5, 2.0)
    revenue = expected(conditions, budget).revenue
    return np.asarray(torch.where(spent > 0, revenue, 0.0).double().numpy().reshape(times, campaigns, platforms))
