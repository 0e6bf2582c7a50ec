"""The series of a spend history's cells, regressed on their spend (`crossmix.market.fit.spend_history`).

Shapes: T cycles, C campaigns, P platforms, K = C P cells, R columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from crossmix.market.fit import delays, rate_steps, regression
from crossmix.market.fit.cycle import TOGETHER, Common, of_counts, without_common
from crossmix.market.fit.delays import Delays
from crossmix.market.fit.estimators import value_of_totals
from crossmix.market.fit.regression import Columns, Law, Line
from crossmix.market.fit.slow import BUDGETS, Slow

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

WIDE = {"level": 3.0, "slope": 1.0, "bend": 1.0, "together": 1.0}
"""Deviations of the coefficients' priors before they are pooled: next to nothing is said."""
WEEK_SD, RESPONSE_WEEK_SD = 0.1, 0.1
"""Deviation of a weekday's ln of impressions, and of clicks per impression."""
SALES_WEEK_SD = (0.3, 0.1, 0.03)
"""Of conversions per click, which weekends move most in some accounts and not at all in others: one of these, as
likely each. A wide one alone is no caution: it expects weekdays, and where there are none that speaks against
conversions that come at once, but not against late ones, which smooth weekdays away: delays are told that are not."""
PRICE_CV = 0.4
"""Deviation of single prices over their mean: what leaves a cycle's mean price uncertain."""
WEEK = TOGETHER + 1
"""Place where weekdays' coefficients begin: after level, slope, bend and together."""
BENT = 2.0
"""|u| beyond which nothing bends further."""
DELAYED = ((3.0, 0.2, 0.18, 0.15), (3.0, 0.4, 0.4, 0.15))
"""Deviations of level, slope, bend and together by which delays are compared, as likely each: as those of cells are
once pooled, and wider ones of slope and bend, for conversions that saturate: those hardly move with the same day's
money, just as late ones."""
BENDS = -0.04
"""Mean of the bend then."""
STILL: Law = (-5.0, 0.0, -14.0)
"""Of the value of a conversion: it does not drift from cycle to cycle."""
LONGEST = 400
"""Cycles fitted on, the last of the training period: older ones tell little of today's supply."""
LEAST_CV = 0.1
"""Least coefficient of variation of a conversion's revenue that is believed."""
ROUNDED = 0.02
"""Part of a conversion's worth by which revenue strays where that is set, at most."""
NEARLY = 1e-4
"""Noise of what is known as it is."""
_ONE = np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True)
class Owed:
    """Clicks that conversions may be of."""

    due_HTK: Array
    """By each delay."""
    x_HTKR: Array
    """Columns of those clicks' money, the mean over them."""
    delays: Delays
    slope: float
    """Prior mean of the slope in u."""
    week_sd: float
    """Deviation of a weekday."""
    step_TK: Array | None


@dataclass(frozen=True, slots=True)
class History:
    """The cycles fitted on, cells flat."""

    shape: tuple[int, int, int]
    used: slice
    """Of all cycles."""
    totals_TK: dict[str, Array]
    """Of the cycles used; held-out ones too."""
    seen_TK: Mask
    """Delivered and fitted on."""
    weekday_T: npt.NDArray[np.int64] | None
    slow: Slow
    ahead: int
    """Cycles that tell what is spent today, and over which answers look ahead."""

    @classmethod
    def of(
        cls, totals: Mapping[str, Array], keep_T: Mask, weekday_T: npt.NDArray[np.int64] | None, ahead: int
    ) -> History:
        end = int(keep_T.nonzero()[0].max(initial=0)) + 1
        used = slice(max(end - LONGEST, 0), end)
        flat = {name: np.asarray(table[used], float).reshape(end - used.start, -1) for name, table in totals.items()}
        seen = (flat["impressions"] > 0) & (flat["spend"] > 0) & keep_T[used, None]
        shape = np.asarray(totals["spend"]).shape
        slow = Slow.of(end - used.start, ahead, np.arange(seen.shape[1]) % shape[2])
        weekday_T = None if weekday_T is None else weekday_T[used]
        return cls((shape[0], shape[1], shape[2]), used, flat, seen, weekday_T, slow, ahead)

    @property
    def cells(self) -> tuple[int, int]:
        return self.shape[1:]

    @property
    def platform_K(self) -> npt.NDArray[np.int64]:
        return np.arange(self.seen_TK.shape[1]) % self.cells[1]

    @property
    def tried(self) -> Mask:
        """Cells that delivered, (C, P)."""
        return np.asarray(self.seen_TK.any(0).reshape(self.cells), bool)

    def log_spend(self) -> Array:
        """u of every cycle, (T, K); 0 where nothing was delivered."""
        spend = np.maximum(self.totals_TK["spend"], 1e-9)
        return np.where(self.seen_TK, np.log(spend) - self.usual_log_spend().ravel(), 0.0)

    def together(self) -> Array:
        """How far all cells that delivered in a cycle spent above what is usual, the mean of their u, less what that
        is at the end, (T, K): alike for all, and known of cycles not fitted on too. 0 where there is but one cell:
        nothing tells it from its own u."""
        return self._budgets()[0]

    def _budgets(self) -> tuple[Array, float]:
        """`together`, and the probability that all budgets moved for good."""
        spend = self.totals_TK["spend"]
        delivered = (self.totals_TK["impressions"] > 0) & (spend > 0)
        off = np.where(delivered, np.log(np.maximum(spend, 1e-9)) - self.usual_log_spend().ravel(), 0.0)
        mean_T1 = off.sum(1, keepdims=True) / np.maximum(delivered.sum(1, keepdims=True), 1)
        seen_T1: Mask = np.asarray(self.seen_TK.any(1, keepdims=True))
        slow = replace(self.slow.only(_ONE), alike=BUDGETS)
        columns = Columns(np.ones((*mean_T1.shape, 1)), np.zeros((1, 1)), np.array([WIDE["level"]]), slow)
        line = regression.fit(mean_T1, np.full(mean_T1.shape, NEARLY), seen_T1, columns, each=False)
        above_T1 = mean_T1 + line.slow_TK[seen_T1].mean() if spend.shape[1] > 1 else np.zeros_like(mean_T1)
        return np.broadcast_to(above_T1, spend.shape), line.moved

    @property
    def values_set(self) -> bool:
        """Whether conversions of each cell are worth the same in every cycle, to within rounding: somebody said what
        one is worth, and that it never moved says nothing of the account."""
        conversions, revenue = (np.where(self.seen_TK, self.totals_TK[of], 0.0) for of in ("conversions", "revenue"))
        worth = revenue.sum(0) / np.maximum(conversions.sum(0), 1e-9)
        return bool((np.abs(revenue - worth * conversions) <= ROUNDED * worth).all())

    def steps(self, name: str) -> Array | None:
        """1 before the day from which a platform's rate clearly is another (`rate_steps`), (T, K); `None`: no one's
        is."""
        seen = {of: np.where(self.seen_TK, table, 0.0).clip(min=0.0) for of, table in self.totals_TK.items()}
        count, exposure, events = (seen[of].reshape(-1, *self.cells) for of in rate_steps.RATES[name])
        found = rate_steps.found(count, exposure, seen["spend"].reshape(-1, *self.cells), events, self.ahead)
        if not found:
            return None
        step_TK = np.zeros(self.seen_TK.shape)
        for one in found:
            step_TK[: one.at, self.platform_K == one.platform] = 1.0
        return step_TK

    def usual_log_spend(self) -> Array:
        """Mean ln spend of each cell; of one never tried that of its platform, or of all, (C, P)."""
        days = self.seen_TK.sum(0).reshape(self.cells)
        log = np.where(self.seen_TK, np.log(np.maximum(self.totals_TK["spend"], 1e-9)), 0.0).sum(0).reshape(self.cells)
        own = log / np.maximum(days, 1)
        tried = days > 0
        overall = (own * tried).sum() / max(int(tried.sum()), 1)
        platform = np.where(tried.any(0), (own * tried).sum(0) / np.maximum(tried.sum(0), 1), overall)
        return np.asarray(np.where(tried, own, platform))

    def lines(self, slope: Mapping[str, float]) -> tuple[dict[str, Line], Delays]:
        """The regressions, by what is counted, that of the value of conversions too, and how late conversions may come.
        Levels are the likelier to have moved where budgets did, and where others of the account did: all are fitted
        once each by itself, and once more beside the others.

        Args:
            slope: prior mean of each line's slope in u.
        """
        together, budgets = self._budgets()
        alone = dict.fromkeys(slope, self.slow.budgets(budgets)) | {"value": self.slow}
        owed = replace(self, slow=alone["conversions"])._owed(together, slope["conversions"])

        def line(name: str, slow: Slow, law: Law | None) -> Line:
            past = replace(self, slow=slow)
            if name == "value":
                return past.value()[0]
            return past._converted(owed, law) if name == "conversions" else past._counted(name, together, slope, law)

        first = {name: line(name, slow, None) for name, slow in alone.items()}
        odds = {name: slow.odds(first[name].moved) for name, slow in alone.items()}
        if self.values_set:
            odds["value"] = 1.0
        lines = {}
        for name, before in first.items():
            slow = self.slow.beside(one for other, one in odds.items() if other != name)
            lines[name] = line(name, slow if name == "value" else slow.budgets(budgets), before.law)
        return lines, owed.delays

    def _counted(self, name: str, together: Array, slope: Mapping[str, float], law: Law | None) -> Line:
        """Impressions, or clicks per impression."""
        x, seen = self._columns(self.log_spend(), together), self.seen_TK
        impressions, clicks = self.totals_TK["impressions"], self.totals_TK["clicks"]
        if name == "impressions":
            shown = np.where(seen, np.log(np.maximum(impressions, 1e-9)), 0.0)
            columns = self._prior(x, shown, seen, WEEK_SD, slope[name], self.steps(name))
            # Of impressions m tells what all cells have in common, of cycles that were not fitted on too.
            return regression.fit(shown, PRICE_CV**2 / np.maximum(impressions, 1), seen, columns, law)
        rate = _log_rate(clicks, impressions, seen)
        columns = self._prior(x, rate, seen, RESPONSE_WEEK_SD, slope[name], self.steps(name))

        def clicked(alike: Common, again: Law | None) -> Line:
            exposure = impressions * alike.times_TK(seen)
            return regression.fit_counts(clicks, exposure, seen, columns, again or law, unsure_TK=alike.left_TK)[0]

        return without_common(clicked, of_counts(clicks, impressions), seen, x)

    def value(self) -> tuple[Line, Array]:
        """ln of revenue per conversion: the line, and the coefficient of variation of a conversion's revenue, (K,)."""
        seen = self.seen_TK & (self.totals_TK["conversions"] > 0)
        revenue = np.where(seen, self.totals_TK["revenue"], 0.0)
        found = delays.of_values(self.totals_TK["conversions"], revenue, seen, self.platform_K, self.cells[1])
        due_HTK = delays.carriers(len(revenue)) @ self.totals_TK["conversions"]
        n = np.einsum("kh,htk->tk", found.probability_PH[self.platform_K], due_HTK)
        n = np.where(seen, n, 0.0)
        mean = revenue.sum(0) / np.maximum(n.sum(0), 1e-9)
        known = seen & (mean > 0)
        log = np.log(np.where(mean > 0, mean, 1.0))
        columns = Columns(
            np.ones((*n.shape, 1)), log[:, None], np.array([WIDE["level"]]), self.slow, self.steps("value")
        )
        slow_TK, table = np.zeros_like(n), (-1, *self.cells)
        for _ in range(2):
            # How single values vary is what is left when the mean's own moves are taken out.
            level = np.exp(slow_TK)
            cv = value_of_totals(n.reshape(table), (revenue / level).reshape(table))[2].ravel()
            # Revenue in units of which it varies by as much as there is of it, as counts do.
            unit = np.exp(log) * np.maximum(cv, LEAST_CV) ** 2
            line, _ = regression.fit_counts(revenue / unit, n / unit, known, columns, STILL, each=False)
            slow_TK = line.slow_TK
        return line, cv

    def _columns(self, u_TK: Array, together_TK: Array) -> Array:
        bent = 0.5 * np.clip(u_TK, -BENT, BENT) ** 2
        parts = [np.ones_like(u_TK), u_TK, bent, together_TK]
        if self.weekday_T is not None:
            # Around their mean, so that the level is that of an average weekday.
            days = (self.weekday_T[:, None] == np.arange(7)) - 1 / 7
            parts += [np.broadcast_to(day[:, None], u_TK.shape) for day in days.T]
        return np.stack(parts, 2)

    def _prior(
        self, x_TKR: Array, log_TK: Array, seen_TK: Mask, week_sd: float, slope: float, step_TK: Array | None
    ) -> Columns:
        level = np.where(seen_TK, log_TK, 0.0).sum(0) / np.maximum(seen_TK.sum(0), 1)
        mean = np.zeros((x_TKR.shape[1], x_TKR.shape[2]))
        mean[:, 0], mean[:, 1] = level, slope
        deviation = np.full(x_TKR.shape[2], week_sd)
        deviation[:WEEK] = WIDE["level"], WIDE["slope"], WIDE["bend"], WIDE["together"]
        return Columns(x_TKR, mean, deviation, self.slow, step_TK)

    def _owed(self, together_TK: Array, slope: float) -> Owed:
        """What conversions may be of, by what delays may be (`crossmix.market.fit.delays`)."""
        clicks, times = self.totals_TK["clicks"], len(together_TK)
        x_TKR = self._columns(self.log_spend(), together_TK)
        carrier_HTT = delays.carriers(times)
        due_HTK = carrier_HTT @ clicks
        # What the money of the clicks was that a cycle's conversions come from.
        weighted = (clicks[..., None] * x_TKR).reshape(times, -1)
        x_HTKR = (carrier_HTT @ weighted).reshape(-1, *x_TKR.shape) / np.maximum(due_HTK, 1e-12)[..., None]
        x_HTKR = np.where((due_HTK > 0)[..., None], x_HTKR, x_TKR)
        step_TK = self.steps("conversions")
        found, week_sd = self._delays(due_HTK, x_HTKR, slope, step_TK)
        return Owed(due_HTK, x_HTKR, found, slope, week_sd, step_TK)

    def _converted(self, owed: Owed, law: Law | None) -> Line:
        """Conversions of the clicks of this cycle and those before it: the mean over what delays may be."""
        found, due_HTK, x_HTKR = owed.delays, owed.due_HTK, owed.x_HTKR
        unsure_HT = delays.before_each(due_HTK.shape[1]) ** 2
        conversions, series = self.totals_TK["conversions"], np.arange(due_HTK.shape[2])

        def converted(alike: Common, again: Law | None) -> Line:
            lines, weights, known = [], [], again or law
            for delay_P, weight_P in found.ranked():
                delay_K = delay_P[self.platform_K]
                due_TK, unsure_TK = due_HTK[delay_K, :, series].T, unsure_HT[delay_K].T
                x = x_HTKR[delay_K, :, series].swapaxes(0, 1)
                seen = self.seen_TK & (due_TK > 0)
                rate = _log_rate(conversions, due_TK, seen)
                columns = self._prior(x, rate, seen, owed.week_sd, owed.slope, owed.step_TK)
                due_TK, unsure_TK = due_TK * alike.times_TK(seen), unsure_TK + alike.left_TK
                line, _ = regression.fit_counts(conversions, due_TK, seen, columns, known, unsure_TK=unsure_TK)
                known = line.law
                lines.append(line)
                weights.append(weight_P[self.platform_K])
            return regression.mixed(lines, np.stack(weights))

        due_TK = np.einsum("kh,htk->tk", found.probability_PH[self.platform_K], due_HTK)
        seen = self.seen_TK & (due_TK > 0)
        x_TKR = np.einsum("kh,htkr->tkr", found.probability_PH[self.platform_K], x_HTKR)
        return without_common(converted, of_counts(conversions, due_TK), seen, x_TKR)

    def _delays(
        self, due_HTK: Array, x_HTKR: Array, slope: float, step_TK: Array | None = None
    ) -> tuple[Delays, float]:
        """How likely each delay of conversions is, by platform, and the likeliest of `SALES_WEEK_SD`, any one where
        there are no weekdays."""
        conversions, (size, times) = self.totals_TK["conversions"], due_HTK.shape[:2]
        some = delays.most(np.where(self.seen_TK, conversions, 0.0), self.platform_K)
        if not len(some):
            return delays.likely(np.zeros((self.cells[1], size))), SALES_WEEK_SD[0]
        # Every delay of every series is a series of its own, seen in the same cycles.
        seen = (self.seen_TK & (self.totals_TK["clicks"] > 0))[:, some]
        seen, count = np.tile(seen, (1, size)), np.tile(conversions[:, some], (1, size))
        due = due_HTK[:, :, some].swapaxes(0, 1).reshape(times, -1)
        x = x_HTKR[:, :, some].swapaxes(0, 1).reshape(times, size * len(some), -1)
        mean = np.zeros(x.shape[1:])
        mean[:, 0], mean[:, 1], mean[:, 2] = _log_rate(count, due, seen)[0], slope, BENDS
        step = None if step_TK is None else np.tile(step_TK[:, some], (1, size))
        priors = list(product(SALES_WEEK_SD, DELAYED))
        deviations = [np.append(like, np.full(x.shape[2] - WEEK, week)) for week, like in priors]
        columns = Columns(x, mean, deviations[0], self.slow.only(np.tile(some, size)), step)
        unsure = delays.before(times, delays.UNSURE)[:, None] ** 2
        laws = [delays.law(*one) for one in delays.LAWS]
        told = regression.count_likelihoods(count, due, seen, columns, laws, unsure, deviations)
        told_VLKH = told.reshape(len(priors), len(laws), size, -1).swapaxes(2, 3)
        prior_L = np.array([regression.log_prior(law) for law in laws])
        found, weight_V = delays.of_platforms(
            told_VLKH, self.platform_K[some], self.cells[1], prior_L, np.full(len(priors), -np.log(len(priors)))
        )
        return found, SALES_WEEK_SD[int(weight_V.reshape(len(SALES_WEEK_SD), -1).sum(1).argmax())]


def _log_rate(count_TK: Array, exposure_TK: Array, seen_TK: Mask) -> Array:
    """ln of each series' mean rate, in all its cycles."""
    hits, trials = np.where(seen_TK, count_TK, 0.0).sum(0), np.where(seen_TK, exposure_TK, 0.0).sum(0)
    overall = hits.sum() / max(trials.sum(), 1e-9)
    rate = (hits + 0.5) / np.maximum(trials + 0.5 / max(overall, 1e-9), 1e-9)
    return np.broadcast_to(np.log(rate), count_TK.shape)
