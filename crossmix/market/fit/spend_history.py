"""Supply and response from a spend history: daily totals per platform, no impression, no bid.

Contract: docs/design.md#data-contract; why so: docs/decisions/0016-a-historys-response-is-fitted-as-a-whole.md.

What a history tells is how impressions W, clicks and conversions move when the spend S moves from cycle to cycle.
Around the usual spend of a cell, with u = ln S less its mean, three series are regressed (`regression.py`):

    ln W               = a1 + g u + k1 u^2 / 2 + weekday + drift
    ln clicks / W      = a2 + d u + k2 u^2 / 2 + weekday + drift       Poisson
    ln conversions / clicks = a3 + e u + k3 u^2 / 2 + drift            Poisson; clicks of the cycles before count too

The first line is that of the logarithm's mean. A cycle's mean impressions are exp(sigma^2 / 2) times as many, sigma^2 the
variance of drift and of a cycle's own noise (Duan 1983 on retransformation); counts are fitted by their mean as it is.

All three on the money, which is what is decided: wherever returns diminish, in price, in clicks or in conversions, the
sum E = g + d + e is the elasticity of conversions, and b = -(k1 + k2 + k3) how fast it falls. The market holds a price
curve of elasticity g, kappa of d, and E and b as a whole (`crossmix.fading`), with errors of the whole.

Every coefficient, and the values of conversions, are pooled over campaigns and platforms (`pooling.py`), so that a cell
of little data, or none, is what like cells are, with an error that says so. How many requests there were, nobody can
tell from totals: the usual share won is set so that the curve reaches three times the campaign's budget.

Shapes: T cycles, C campaigns, P platforms, K = C P cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmix.config import Market
from crossmix.market.fit import regression
from crossmix.market.fit.cut import cut
from crossmix.market.fit.pooling import Pooled, Spread, pooled
from crossmix.market.fit.regression import Columns, Law, Line

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# How cells differ, a priori: mean, its deviation; deviations of platforms, campaigns, cells.
LEVEL = {
    "impressions": Spread(0.0, 10.0, 0.7, 0.3, 0.25),
    "clicks": Spread(-4.0, 5.0, 0.6, 0.3, 0.25),
    "conversions": Spread(-4.0, 5.0, 0.4, 0.4, 0.25),
    "value": Spread(3.0, 10.0, 0.3, 0.3, 0.15),
}
SLOPE = {
    "impressions": Spread(0.85, 0.15, 0.08, 0.03, 0.03),
    "clicks": Spread(-0.1, 0.12, 0.06, 0.03, 0.03),
    "conversions": Spread(0.0, 0.15, 0.12, 0.03, 0.03),
}
BEND = {
    "impressions": Spread(-0.04, 0.05, 0.04, 0.02, 0.02),
    "clicks": Spread(-0.04, 0.05, 0.04, 0.02, 0.02),
    "conversions": Spread(-0.04, 0.15, 0.1, 0.02, 0.02),
}
WIDE = {"level": 3.0, "slope": 1.0, "bend": 1.0}
"""Deviations of the coefficients' priors before they are pooled: next to nothing is said."""
WEEK_SD, RESPONSE_WEEK_SD = 0.1, 0.1
"""Deviation of a weekday's ln of impressions, and of clicks per impression."""
PRICE_CV = 0.4
"""Deviation of single prices over their mean: what leaves a cycle's mean price uncertain."""
BENT = 2.0
"""|u| beyond which nothing bends further."""
LAGS = (0.0, 0.3, 0.5, 0.7, 0.85)
"""Part of the conversions that are still to come after each further cycle."""
LAG_GAIN = 3.0
"""Log-likelihood that a platform's delay must gain over none."""
REACH = 3.0
"""The price curve reaches so many times the campaign's spend."""
LEAST_SHARE = 1 / 16
"""Least usual share of requests won: below it a curve of 128 knots is too coarse."""
REQUESTS_ERROR = 0.3
"""Relative standard error told of requests, which totals do not tell."""
ELASTICITY = (0.1, 0.98)
"""Least and largest elasticity of impressions, and of conversions, in money."""
LONGEST = 400
"""Cycles fitted on, the last of the training period: older ones tell little of today's supply."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What the totals tell; each (C, P) unless said otherwise. Pairs: value and standard error."""

    requests: Array
    """Requests of an average weekday."""
    requests_se: Array
    usual_share: Array
    """Share of requests won at the usual spend."""
    price: Array
    """Mean price of an impression at the usual spend, currency."""
    log_price_se: Array
    """Of ln of the price of an impression at the usual spend."""
    gain: Array
    """Elasticity of impressions in spend."""
    saturation: tuple[Array, Array]
    elasticity: tuple[Array, Array]
    """Of conversions in impressions at the usual share."""
    bend: tuple[Array, Array]
    ctr: tuple[Array, Array]
    """Click probability of a cycle's first impression; error: of its level at the usual share."""
    cvr: tuple[Array, Array]
    """Conversions per click at the usual share."""
    value: tuple[Array, Array]
    """Revenue per conversion, currency."""
    week: Array
    """Requests by weekday over their mean, (C, P, 7)."""
    price_multiplier: Array
    """Smoothed price multiplier in the fitted cycles, (T, C, P); also for cycles not fitted on."""
    price_noise: Array
    """Variance of ln price within a cycle that is no drift, (T, C, P)."""
    untried: Mask
    """Cells without delivery."""
    shared: dict[str, Array]
    """Part of the variance of elasticity and bend that a campaign's platforms have in common, (C,) each."""


def fit(
    settings: Market, totals: Mapping[str, Array], keep_T: Mask, weekday_T: npt.NDArray[np.int64] | None
) -> Aggregate:
    """Fit all cells; what they share is the drifts' law, and what pooling finds.

    Args:
        totals: spend, impressions, clicks, conversions and revenue, (T, C, P) each.
        keep_T: cycles to fit on.
        weekday_T: Monday 0; `None`: every day is alike.
    """
    history = _History.of(totals, keep_T, weekday_T)
    lines = history.lines()
    u_CP = history.usual_log_spend()
    level, slope, bend = {}, {}, {}
    for name, line in lines.items():
        slope[name], bend[name], level[name] = _pooled_line(name, line, history, u_CP)
    logarithm, variance = level["impressions"]
    level["impressions"] = logarithm + 0.5 * lines["impressions"].around, variance
    level["value"] = _value(totals, history)
    return _described(settings, history, u_CP, lines, level, slope, bend)


Pair = tuple[Array, Array]
"""Mean and variance, (C, P) each."""


@dataclass(frozen=True, slots=True)
class _History:
    """The cycles fitted on, cells flat."""

    shape: tuple[int, int, int]
    used: slice
    """Of all cycles."""
    totals_TK: dict[str, Array]
    """Of the cycles used; held-out ones too."""
    seen_TK: Mask
    """Delivered and fitted on."""
    weekday_T: npt.NDArray[np.int64] | None

    @classmethod
    def of(cls, totals: Mapping[str, Array], keep_T: Mask, weekday_T: npt.NDArray[np.int64] | None) -> _History:
        end = int(keep_T.nonzero()[0].max(initial=0)) + 1
        used = slice(max(end - LONGEST, 0), end)
        flat = {name: np.asarray(table[used], float).reshape(end - used.start, -1) for name, table in totals.items()}
        seen = (flat["impressions"] > 0) & (flat["spend"] > 0) & keep_T[used, None]
        shape = np.asarray(totals["spend"]).shape
        return cls((shape[0], shape[1], shape[2]), used, flat, seen, None if weekday_T is None else weekday_T[used])

    @property
    def cells(self) -> tuple[int, int]:
        return self.shape[1:]

    @property
    def tried(self) -> Mask:
        """Cells that delivered, (C, P)."""
        return np.asarray(self.seen_TK.any(0).reshape(self.cells), bool)

    def log_spend(self) -> Array:
        """u of every cycle, (T, K); 0 where nothing was delivered."""
        spend = np.maximum(self.totals_TK["spend"], 1e-9)
        return np.where(self.seen_TK, np.log(spend) - self.usual_log_spend().ravel(), 0.0)

    def usual_log_spend(self) -> Array:
        """Mean ln spend of each cell; of one never tried that of its platform, or of all, (C, P)."""
        days = self.seen_TK.sum(0).reshape(self.cells)
        log = np.where(self.seen_TK, np.log(np.maximum(self.totals_TK["spend"], 1e-9)), 0.0).sum(0).reshape(self.cells)
        own = log / np.maximum(days, 1)
        tried = days > 0
        overall = (own * tried).sum() / max(int(tried.sum()), 1)
        platform = np.where(tried.any(0), (own * tried).sum(0) / np.maximum(tried.sum(0), 1), overall)
        return np.asarray(np.where(tried, own, platform))

    def lines(self) -> dict[str, Line]:
        """The three regressions."""
        u, seen, totals = self.log_spend(), self.seen_TK, self.totals_TK
        impressions, clicks = totals["impressions"], totals["clicks"]
        x = self._columns(u)
        shown = np.where(seen, np.log(np.maximum(impressions, 1e-9)), 0.0)
        columns = self._prior(x, shown, seen, WEEK_SD, SLOPE["impressions"].mean)
        found = {"impressions": regression.fit(shown, PRICE_CV**2 / np.maximum(impressions, 1), seen, columns)}
        columns = self._prior(x, _log_rate(clicks, impressions, seen), seen, RESPONSE_WEEK_SD, SLOPE["clicks"].mean)
        found["clicks"], _ = regression.fit_counts(clicks, impressions, seen, columns)
        found["conversions"] = self._delayed(u)
        return found

    def _columns(self, u_TK: Array, week: bool = True) -> Array:
        bent = 0.5 * np.clip(u_TK, -BENT, BENT) ** 2
        parts = [np.ones_like(u_TK), u_TK, bent]
        if week and self.weekday_T is not None:
            # Around their mean, so that the level is that of an average weekday.
            days = (self.weekday_T[:, None] == np.arange(7)) - 1 / 7
            parts += [np.broadcast_to(day[:, None], u_TK.shape) for day in days.T]
        return np.stack(parts, 2)

    def _prior(self, x_TKR: Array, log_TK: Array, seen_TK: Mask, week_sd: float, slope: float) -> Columns:
        level = np.where(seen_TK, log_TK, 0.0).sum(0) / np.maximum(seen_TK.sum(0), 1)
        mean = np.zeros((x_TKR.shape[1], x_TKR.shape[2]))
        mean[:, 0], mean[:, 1] = level, slope
        deviation = np.full(x_TKR.shape[2], week_sd)
        deviation[:3] = WIDE["level"], WIDE["slope"], WIDE["bend"]
        return Columns(x_TKR, mean, deviation)

    def _delayed(self, u_TK: Array) -> Line:
        """Conversions of the clicks of this cycle and those before it: the delay of each platform that fits best.

        A click of k cycles ago converts now with the weight (1 - l) l^k.
        """
        clicks, conversions = self.totals_TK["clicks"], self.totals_TK["conversions"]
        platforms = np.arange(clicks.shape[1]) % self.cells[1]
        best = np.full(self.cells[1], -np.inf)
        exposure, moved, law = clicks.copy(), u_TK.copy(), None
        for lag in LAGS:
            due, weighted = _carried(clicks, lag), _carried(clicks * u_TK, lag)
            u = np.where(due > 0, weighted / np.maximum(due, 1e-12), 0.0)
            line, mean = self._converted(due, u, law)
            law = line.law
            variance = mean + mean**2 * (line.own + line.deviation**2)
            told = self.seen_TK & (due > 0)
            off = -0.5 * ((conversions - mean) ** 2 / np.maximum(variance, 1e-9) + np.log(np.maximum(variance, 1e-9)))
            fits = np.bincount(platforms, np.where(told, off, 0.0).sum(0)) - (LAG_GAIN if lag > 0 else 0.0)
            better = fits > best
            best = np.where(better, fits, best)
            exposure = np.where(better[platforms], due, exposure)
            moved = np.where(better[platforms], u, moved)
        return self._converted(exposure, moved, law)[0]

    def _converted(self, exposure_TK: Array, u_TK: Array, law: Law | None) -> tuple[Line, Array]:
        conversions = self.totals_TK["conversions"]
        seen = self.seen_TK & (exposure_TK > 0)
        columns = self._prior(
            self._columns(u_TK, week=False), _log_rate(conversions, exposure_TK, seen), seen, 1.0, 0.0
        )
        return regression.fit_counts(conversions, exposure_TK, seen, columns, law)


def _carried(amount_TK: Array, lag: float) -> Array:
    """Mean of the cycles up to each, newest weighing most; the first is taken to have been so before."""
    total = np.empty_like(amount_TK)
    total[0] = amount_TK[0]
    for t in range(1, len(amount_TK)):
        total[t] = lag * total[t - 1] + (1 - lag) * amount_TK[t]
    return total


def _log_rate(count_TK: Array, exposure_TK: Array, seen_TK: Mask) -> Array:
    """ln of each series' mean rate, in all its cycles."""
    hits, trials = np.where(seen_TK, count_TK, 0.0).sum(0), np.where(seen_TK, exposure_TK, 0.0).sum(0)
    overall = hits.sum() / max(trials.sum(), 1e-9)
    rate = (hits + 0.5) / np.maximum(trials + 0.5 / max(overall, 1e-9), 1e-9)
    return np.broadcast_to(np.log(rate), count_TK.shape)


def _pooled_line(name: str, line: Line, history: _History, u_CP: Array) -> tuple[Pooled, Pooled, Pair]:
    """Slope, bend and level of one series, pooled; levels at the cell's usual spend."""
    tried = history.tried
    beta, covariance = line.beta_KR, line.covariance_KRR

    def own(index: int, spread: Spread) -> Pooled:
        variance = np.where(tried, covariance[:, index, index].reshape(tried.shape), np.inf)
        return pooled(beta[:, index].reshape(tried.shape), variance, spread)

    slope, bend = own(1, SLOPE[name]), own(2, BEND[name])
    # What the level is, given the pooled shape.
    shape = np.stack([(pair[0].ravel() - beta[:, i]) for i, pair in ((1, slope), (2, bend))], 1)
    gain = np.linalg.solve(covariance[:, 1:3, 1:3], covariance[:, 1:3, :1])[..., 0]
    level = beta[:, 0] + (gain * shape).sum(1)
    variance = np.maximum(covariance[:, 0, 0] - (gain * covariance[:, 0, 1:3]).sum(1), 1e-9)
    # Cells are compared where they spend alike.
    common = (u_CP * tried).sum(0) / np.maximum(tried.sum(0), 1) - u_CP
    common = np.where(tried, common, 0.0)
    moved = level.reshape(tried.shape) + slope[0] * common
    mean, left, _ = pooled(
        moved, np.where(tried, variance.reshape(tried.shape), np.inf), _centred(LEVEL[name], moved, tried)
    )
    return slope, bend, (mean - slope[0] * common, left)


def _centred(spread: Spread, figure_CP: Array, tried_CP: Mask) -> Spread:
    """The prior around the cells' own mean: nothing is said of a level."""
    mean = float(figure_CP[tried_CP].mean()) if tried_CP.any() else spread.mean
    return Spread(mean, spread.mean_sd, spread.platform, spread.campaign, spread.own)


def _value(totals: Mapping[str, Array], history: _History) -> Pair:
    """ln of revenue per conversion."""
    from crossmix.market.fit.estimators import value_of_totals

    some = {name: np.where(history.seen_TK, history.totals_TK[name], 0.0) for name in ("conversions", "revenue")}
    n, revenue = (some[name].sum(0).reshape(history.cells) for name in ("conversions", "revenue"))
    table = {name: one.reshape(-1, *history.cells) for name, one in some.items()}
    _, _, cv = value_of_totals(table["conversions"], table["revenue"])
    known = (n > 0) & (revenue > 0)
    log = np.log(np.where(known, revenue, 1.0) / np.where(known, n, 1.0))
    variance = np.where(known, np.maximum(cv, 0.1) ** 2 / np.maximum(n, 1), np.inf)
    mean, left, _ = pooled(log, variance, _centred(LEVEL["value"], log, known))
    return mean, left


def _described(
    settings: Market,
    history: _History,
    u_CP: Array,
    lines: Mapping[str, Line],
    level: Mapping[str, Pair],
    slope: Mapping[str, Pooled],
    bend: Mapping[str, Pooled],
) -> Aggregate:
    """The market's parameters of the pooled regressions."""
    gain = slope["impressions"][0].clip(*ELASTICITY)
    whole_se = np.sqrt(sum(one.variance for one in slope.values()))
    # Twice the money never earns more than twice as much, whatever the data of a spend that hardly moved say.
    whole, _ = cut(sum(one.mean for one in slope.values()), whole_se, 0.0, 1.0)
    whole = whole.clip(*ELASTICITY)
    bent = np.clip(-np.asarray(sum(one.mean for one in bend.values())), 0.0, whole * (1 - whole))
    bent_se = np.minimum(np.sqrt(sum(one.variance for one in bend.values())), 0.5)
    money, impressions = np.exp(u_CP), np.exp(level["impressions"][0])
    share = _usual_share(settings, history, money, gain)
    # d ln clicks / d ln W = x / (e^x - 1) at x = kappa w.
    follow = (1 + slope["clicks"][0] / gain).clip(0.05, 0.9999)
    x = _fading_of(follow)
    kappa_se = np.sqrt(slope["clicks"][1]) / gain * 2 / share
    week = _week(history, lines["impressions"], gain)
    drift = np.zeros((history.shape[0], *history.cells))
    drift[history.used] = lines["impressions"].drift_TK.reshape(-1, *history.cells)
    noise = np.full(history.shape, lines["impressions"].own)
    noise[history.used] += (PRICE_CV**2 / np.maximum(history.totals_TK["impressions"], 1)).reshape(-1, *history.cells)
    rate = {name: np.exp(level[name][0]) for name in ("clicks", "conversions", "value")}
    error = {name: rate[name] * np.sqrt(level[name][1]) for name in rate}
    first = x / -np.expm1(-x)
    return Aggregate(
        requests=impressions / share,
        requests_se=REQUESTS_ERROR * impressions / share,
        usual_share=share,
        price=money / impressions,
        log_price_se=np.sqrt(level["impressions"][1]) / gain,
        gain=gain,
        saturation=(x / share, kappa_se),
        elasticity=(whole / gain, whole_se / gain),
        bend=(bent / gain**2, bent_se / gain**2),
        ctr=((rate["clicks"] * first).clip(0, 1), error["clicks"] * first),
        cvr=(rate["conversions"].clip(0, 1), error["conversions"]),
        value=(rate["value"], error["value"]),
        week=week,
        price_multiplier=np.exp(-drift / gain),
        price_noise=noise / gain**2,
        untried=~history.tried,
        shared={"elasticity": _shared(slope), "bend": _shared(bend)},
    )


def _shared(coefficients: Mapping[str, Pooled]) -> Array:
    """Correlation of the errors of a sum between a campaign's platforms, (C,)."""
    between = sum(one.between for one in coefficients.values())
    own = sum(one.variance.mean(1) for one in coefficients.values())
    return np.asarray(between / own).clip(0.0, 1.0)


def _usual_share(settings: Market, history: _History, money_CP: Array, gain_CP: Array) -> Array:
    """Share won at the usual spend: so that the curve reaches `REACH` times what the campaign spends in a cycle."""
    days = np.maximum(history.seen_TK.reshape(-1, *history.cells).any(2).sum(0), 1)
    spent = np.where(history.seen_TK, history.totals_TK["spend"], 0.0).sum(0).reshape(history.cells).sum(1) / days
    reach = (money_CP / np.maximum(REACH * spent[:, None], 1e-9)) ** gain_CP
    return np.asarray(reach.clip(LEAST_SHARE, max(settings.assumed_win_rate, LEAST_SHARE)))


def _fading_of(follow_CP: Array) -> Array:
    """x with x / (e^x - 1) = follow, by bisection; at most 10."""
    low, high = np.full_like(follow_CP, 1e-6), np.full_like(follow_CP, 10.0)
    for _ in range(50):
        middle = 0.5 * (low + high)
        above = middle / np.expm1(middle) > follow_CP
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return 0.5 * (low + high)


def _week(history: _History, line: Line, gain_CP: Array) -> Array:
    """Factors of requests by weekday, (C, P, 7); pooled over campaigns by precision."""
    if history.weekday_T is None:
        return np.ones((*history.cells, 7))
    beta = line.beta_KR[:, 3:].reshape(*history.cells, 7)
    variance = np.diagonal(line.covariance_KRR, axis1=1, axis2=2)[:, 3:].reshape(*history.cells, 7)
    weight = 1 / np.maximum(variance, 1e-9)
    week = np.broadcast_to((beta * weight).sum(0) / weight.sum(0), beta.shape)
    week = week - week.mean(-1, keepdims=True)
    # At a fixed spend impressions rise by 1 - g of what requests rise by.
    factor = np.exp(np.clip(week / np.maximum(1 - gain_CP, 0.15)[..., None], -0.7, 0.7))
    return np.asarray(factor / factor.mean(-1, keepdims=True))
