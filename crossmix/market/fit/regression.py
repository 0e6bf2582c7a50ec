"""Regression of cycle-to-cycle series whose residual is an AR(1) drift and noise of one cycle (`crossmix.drift`).

    y_tk = x_tk . beta_k + slow_tk + drift_tk + noise_tk

The Kalman filter is linear in y, so that it makes innovations of y and of every column of x at once: among those beta
is found by least squares (generalised least squares without a T x T matrix). Deviation, persistence and noise of the
drift are those of all series together, the mode of their posterior with beta integrated out (REML with weak priors),
and so is what the level did slowly (`crossmix.market.fit.slow`): 0 at the end, so that the level is that of the end.
A series that moves more than they, or less, or has more noise of its own, gets its own deviations where its likelihood
says so clearly (`WILDER`, `OWN`): a wild platform is not known as well as a quiet one.

As a filter conditions every cycle on all before it, a budget that follows the performance of earlier cycles does no
harm; that budgets do not follow the same cycle's shocks is assumed.

Shapes: T cycles, K series, R columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from crossmix.drift import whitened
from crossmix.market.fit.slow import Slow, Told

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

START = (math.log(0.15), 1.5, -6.0)
"""ln of the drift's deviation, logit of its persistence, ln of the variance of a cycle's own noise."""
PRIOR = ((math.log(0.15), 1.0), (1.5, 1.0), (-6.0, 2.0))
"""Mean and deviation of each: drifts of 5 to 40 %, persistence of a day or two to months."""
LONGEST, REMEMBERED = 5.0, 2.2
"""Largest logit of the persistence; where the level may move, a drift is what is forgotten within two weeks."""
MOST = 24
"""Series from which these are found: those seen in most cycles."""
WILDER = (0.5, 1.0, 2.0, 4.0)
"""Deviations of one series' drift over that of all, among which its likelihood chooses."""
OWN = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
"""The same of deviations of its noise of a cycle, beside that of all."""
ROUGH = (0.03, 0.1, 0.3, 1.0)
"""Deviations of drift and of own noise, of which each series' likeliest pair is sought first."""
UNLIKE = 8.0
"""Log-likelihood that a series' own pair gains over the others', from which on it is left out of what is common."""
RARE = 2.0
"""ln prior odds against a deviation that is e times as large, and against any noise beside that of all."""
STEP_SD = 0.7
"""Of ln of a step whose day is known."""
PASSES = 3
"""Of reweighting counts."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a regression found."""

    beta_KR: Array
    covariance_KRR: Array
    common_KJ: Array
    """Loadings of the first coefficient, the level, on errors that all series have in common; not in the covariance."""
    fitted_TK: Array
    """x . beta + slow."""
    slow_TK: Array
    """The level over that of the end, a step with it."""
    drift_TK: Array
    """Given all cycles seen."""
    left_TK: Array
    """Variance of the drift given all cycles seen."""
    own_K: Array
    """Variance of a cycle's own noise beside the one given."""
    deviation_K: Array
    """Of the drift."""
    law: tuple[float, float, float]
    """The drift's parameters of all series together, as `START`."""
    moved: float
    """Probability that what all series have in common moved slowly."""

    @property
    def around_K(self) -> Array:
        """Variance of each series around its columns: drift and own noise, without the noise given."""
        return self.deviation_K**2 + self.own_K


@dataclass(frozen=True, slots=True)
class Columns:
    """What a series is explained by, with a normal prior on each coefficient."""

    x_TKR: Array
    mean_KR: Array
    deviation_R: Array
    slow: Slow | None = None
    """What the level, which the first column is of, may have done; `None`: it stays."""
    step_TK: Array | None = None
    """1 before the day from which a series' level is known to be another, by an unknown amount; 0 since, and where
    none is."""

    @property
    def moves(self) -> Slow:
        return Slow.none(*self.x_TKR.shape[:2]) if self.slow is None else self.slow

    def only(self, series: npt.NDArray[np.int64]) -> Columns:
        slow = None if self.slow is None else self.slow.only(series)
        step_TK = None if self.step_TK is None else self.step_TK[:, series]
        return Columns(self.x_TKR[:, series], self.mean_KR[series], self.deviation_R, slow, step_TK)

    def whole(self) -> Columns:
        """With the step as the last column."""
        if self.step_TK is None:
            return self
        x_TKR = np.concatenate([self.x_TKR, self.step_TK[..., None]], 2)
        mean_KR = np.pad(self.mean_KR, ((0, 0), (0, 1)))
        return Columns(x_TKR, mean_KR, np.append(self.deviation_R, STEP_SD), self.slow)


Law = tuple[float, float, float]
"""The drift's parameters, as `START`."""


def fit(
    observed_TK: Array, noise_TK: Array, seen_TK: Mask, columns: Columns, law: Law | None = None, *, each: bool = True
) -> Line:
    """Fit all series; `observed_TK` is any finite number where it was not seen.

    Args:
        law: of the drift; `None`: it is found.
        each: a series that is clearly another gets deviations of its own; without it, faster, all are alike.
    """
    own_columns, columns = columns.x_TKR.shape[2], columns.whole()
    whole = _Series.of(observed_TK, noise_TK, seen_TK, columns)
    common = _law_of(observed_TK, noise_TK, seen_TK, columns) if law is None else law
    own = whole.own_laws(common) if each else whole.alike(common)
    at, slow = whole.at(own), columns.moves
    moved = slow.found(at.told)
    beta = at.beta_KR + (at.answer_KRJ @ moved.mean_KJ[..., None])[..., 0]
    slow_TK = -slow.since_TJ @ moved.mean_KJ.T
    fitted = np.einsum("tkr,kr->tk", columns.x_TKR, beta) + slow_TK
    drift, left = whole.drift(own, fitted)
    answer_KRJ = at.answer_KRJ.copy()
    # The level is wanted of the window that comes.
    answer_KRJ[:, 0, -1:] = 1.0
    covariance_KRR = at.covariance_KRR + answer_KRJ @ moved.covariance_KJJ @ answer_KRJ.swapaxes(1, 2)
    slow_TK += np.einsum("tkr,kr->tk", columns.x_TKR[..., own_columns:], beta[:, own_columns:])
    return Line(
        beta_KR=beta[:, :own_columns],
        covariance_KRR=covariance_KRR[:, :own_columns, :own_columns],
        common_KJ=(answer_KRJ[:, :1] @ moved.common_KJJ)[:, 0],
        fitted_TK=fitted,
        slow_TK=slow_TK,
        drift_TK=drift,
        left_TK=left,
        own_K=own.own_K,
        deviation_K=np.sqrt(own.variance_K),
        law=common,
        moved=moved.moved,
    )


def _law_of(observed_TK: Array, noise_TK: Array, seen_TK: Mask, columns: Columns) -> Law:
    """The mode of the law's posterior, beta integrated out, of the series that are alike."""
    order = np.argsort(-seen_TK.sum(0), kind="stable")[:MOST]
    some = _Series.of(observed_TK, noise_TK, seen_TK, columns).only(order)
    some = some.only(some.alike_ones())

    def loss(law: Array) -> float:
        return -log_prior((law[0], law[1], law[2])) - some.at(some.alike(_bounded(law, longest))).likelihood_of_all()

    longest = LONGEST if columns.slow is None else REMEMBERED
    # By slopes: a simplex that is cut at the longest persistence lies flat there, and stops short of the mode.
    settings = {"maxiter": 20, "ftol": 1e-5, "eps": 1e-3}
    found = minimize(loss, np.asarray(START), method="L-BFGS-B", bounds=_bounds(longest), options=settings)
    return _bounded(found.x, longest)


def _bounds(longest: float) -> list[tuple[float, float]]:
    return [(-5.0, 0.7), (-4.0, longest), (-14.0, 0.0)]


def _bounded(law: Array, longest: float) -> Law:
    low, high = np.array(_bounds(longest)).T
    deviation, persistence, own = (float(x) for x in np.clip(law, low, high))
    return deviation, persistence, own


def fit_counts(
    count_TK: Array,
    exposure_TK: Array,
    seen_TK: Mask,
    columns: Columns,
    law: Law | None = None,
    *,
    each: bool = True,
    unsure_TK: Array | float = 0.0,
) -> tuple[Line, Array]:
    """Of counts with mean exposure x exp(x . beta + drift), by iterated reweighting (McCullagh and Nelder, 1989).

    Args:
        law, each: as in `fit`.
        unsure_TK: variance of ln of the exposure.

    Returns:
        The line, and the mean without drift, (T, K).
    """

    fitted_TK, line = np.einsum("tkr,kr->tk", columns.x_TKR, columns.mean_KR), None
    for number in range(PASSES):
        rate_TK = np.exp(fitted_TK.clip(-30, 30))
        mean_TK = np.maximum(np.where(seen_TK, exposure_TK * rate_TK, 1.0), 1e-6)
        working = np.log(rate_TK) + np.where(seen_TK, (count_TK - mean_TK) / mean_TK, 0.0)
        # The law hardly depends on the weights: it is found once, when they are nearly right.
        known = law if law is not None or number == 1 else START if line is None else line.law
        noise_TK = 1 / mean_TK + np.asarray(unsure_TK)
        line = fit(working, noise_TK, seen_TK, columns, known, each=each and number == PASSES - 1)
        fitted_TK = line.fitted_TK
    assert line is not None
    return line, exposure_TK * np.exp(fitted_TK.clip(-30, 30))


def count_likelihoods(
    count_TK: Array,
    exposure_TK: Array,
    seen_TK: Mask,
    columns: Columns,
    laws: Sequence[Law],
    unsure_TK: Array | float = 0.0,
    deviations: Sequence[Array] = (),
) -> Array:
    """Log-likelihood of every series' counts under every law of the drift, coefficients integrated out over each of
    some priors, (V, L, K).

    Counts are normal around their mean, with the variance that mean and drift give them: comparable between exposures
    and columns, as what is seen is the count, and between priors.

    Args:
        laws: of the drift.
        deviations: of the coefficients' priors, (R,) each; none: those of the columns.
        count_TK, exposure_TK, seen_TK, columns, unsure_TK: as of `fit_counts`.
    """
    fitted_TK = np.einsum("tkr,kr->tk", columns.x_TKR, columns.mean_KR)
    for _ in range(PASSES):
        rate_TK = np.exp(fitted_TK.clip(-30, 30))
        mean_TK = np.maximum(np.where(seen_TK, exposure_TK * rate_TK, 1.0), 1e-6)
        working = np.log(rate_TK) + np.where(seen_TK, (count_TK - mean_TK) / mean_TK, 0.0)
        noise_TK = 1 / mean_TK + np.asarray(unsure_TK)
        fitted_TK = fit(working, noise_TK, seen_TK, columns, START, each=False).fitted_TK
    series = _Series.of(working, noise_TK, seen_TK, columns.whole())
    priors = [replace(columns, deviation_R=one).whole().deviation_R for one in deviations or [columns.deviation_R]]
    # A law's products serve all priors, and are let go before the next one's: of hundreds of series they are large.
    products = (series.products(series.alike(law)) for law in laws)
    told = np.stack([[series.given(one, prior_R).likelihood() for prior_R in priors] for one in products], 1)
    return np.asarray(told - np.where(seen_TK, np.log(mean_TK), 0.0).sum(0))


def log_prior(law: Law) -> float:
    """Of a law, without constants."""
    return -0.5 * sum(((x - mean) / sd) ** 2 for x, (mean, sd) in zip(law, PRIOR, strict=True))


def mixed(lines: Sequence[Line], weight_LK: Array) -> Line:
    """The mean line of several, each with its probability, with the error of not knowing which.

    Args:
        weight_LK: sums to 1 over the lines; 0 where a line is none of that series'.
    """

    def mean(name: str, like: str) -> Array:
        tables = np.stack([np.asarray(getattr(line, name)) for line in lines])
        return np.asarray(np.einsum(f"lk,l{like}->{like}", weight_LK, tables))

    beta_KR = mean("beta_KR", "kr")
    off_LKR = np.stack([line.beta_KR for line in lines]) - beta_KR
    between_KRR = np.einsum("lk,lkr,lks->krs", weight_LK, off_LKR, off_LKR)
    return Line(
        beta_KR=beta_KR,
        covariance_KRR=mean("covariance_KRR", "krs") + between_KRR,
        common_KJ=mean("common_KJ", "kj"),
        fitted_TK=mean("fitted_TK", "tk"),
        slow_TK=mean("slow_TK", "tk"),
        drift_TK=mean("drift_TK", "tk"),
        left_TK=mean("left_TK", "tk"),
        own_K=mean("own_K", "k"),
        deviation_K=mean("deviation_K", "k"),
        law=lines[0].law,
        moved=float(weight_LK.mean(1) @ [line.moved for line in lines]),
    )


@dataclass(frozen=True, slots=True)
class _Series:
    """Series and columns, and what a law of the drift makes of them."""

    stacked_TKS: Array
    """y, then the columns, then what the level's moves take from it."""
    noise_TK: Array
    seen_TK: Mask
    columns: Columns

    @classmethod
    def of(cls, observed_TK: Array, noise_TK: Array, seen_TK: Mask, columns: Columns) -> _Series:
        since_TJ = columns.moves.since_TJ
        since_TKJ = np.broadcast_to(since_TJ[:, None], (*observed_TK.shape, since_TJ.shape[1]))
        stacked = np.concatenate([observed_TK[..., None], columns.x_TKR, -since_TKJ], 2)
        return cls(np.where(seen_TK[..., None], stacked, 0.0), noise_TK, seen_TK, columns)

    def alike(self, law: Law, wilder: npt.ArrayLike = 1.0, own: npt.ArrayLike = 0.0) -> _Laws:
        """The same law of all series, each with its deviations over it, (K,)."""
        size = (self.seen_TK.shape[1],)
        variance = math.exp(2 * law[0]) * np.broadcast_to(np.asarray(wilder, float) ** 2, size)
        noise = math.exp(law[2]) + np.broadcast_to(np.asarray(own, float) ** 2, size)
        return _Laws(1 / (1 + math.exp(-law[1])), variance, noise)

    def only(self, series: npt.NDArray[np.int64]) -> _Series:
        columns = self.columns.only(series)
        return _Series(self.stacked_TKS[:, series], self.noise_TK[:, series], self.seen_TK[:, series], columns)

    def alike_ones(self) -> npt.NDArray[np.int64]:
        """Series that one law of a coarse grid suits, the one that suits most: a wild one would widen it for all."""
        if self.seen_TK.shape[1] < 2:
            return np.arange(self.seen_TK.shape[1])
        laws = [(math.log(deviation), START[1], 2 * math.log(own)) for deviation in ROUGH for own in ROUGH]
        told = np.stack([self.at(self.alike(law)).likelihood() for law in laws])
        loss = np.minimum(told.max(0) - told, UNLIKE)
        return np.flatnonzero(loss[loss.sum(1).argmin()] < UNLIKE)

    def own_laws(self, law: Law) -> _Laws:
        """The likeliest deviations of each series, where they are likelier than those of all by their odds."""
        found = np.full((3, self.seen_TK.shape[1]), -np.inf)
        for wilder in WILDER:
            for own in OWN:
                odds = RARE * (abs(math.log(wilder)) + (own > 0))
                told = self.at(self.alike(law, wilder, own)).likelihood() - odds
                better = told > found[0]
                found[0, better], found[1, better], found[2, better] = told[better], wilder, own
        return self.alike(law, found[1], found[2])

    def at(self, laws: _Laws) -> _At:
        return self.given(self.products(laws), self.columns.deviation_R)

    def products(self, laws: _Laws) -> tuple[Array, Array]:
        """Products of all columns' innovations over their variances, (K, S, S), and the sum of ln of these, (K,)."""
        path = whitened(self.stacked_TKS, self.noise_TK + laws.own_K, self.seen_TK, laws.rho, laws.variance_K)
        white_TKS = path.innovation_TKS * np.where(self.seen_TK, path.whole_TK**-0.5, 0.0)[..., None]
        log_variance = np.where(self.seen_TK, np.log(path.whole_TK), 0.0).sum(0)
        return white_TKS.transpose(1, 2, 0) @ white_TKS.transpose(1, 0, 2), log_variance

    def given(self, products: tuple[Array, Array], deviation_R: Array) -> _At:
        """With these deviations of the coefficients' priors."""
        products_KSS, log_variance = products
        x, moves = slice(1, 1 + len(self.columns.deviation_R)), slice(1 + len(self.columns.deviation_R), None)
        precision_R = deviation_R**-2
        mean_KR = self.columns.mean_KR
        inner = products_KSS[:, x, x] + np.diag(precision_R)
        right = products_KSS[:, x, 0] + precision_R * mean_KR
        covariance: Array = np.asarray(np.linalg.inv(inner), float)
        beta = np.einsum("krs,ks->kr", covariance, right)
        fitted = products_KSS[:, 0, 0] + (precision_R * mean_KR**2).sum(1) - (beta * right).sum(1)
        # Of the posterior's covariance over the prior's: what a wide prior costs.
        determinant = np.linalg.slogdet(inner)[1] + 2 * np.log(deviation_R).sum()
        both_KRJ = products_KSS[:, x, moves]
        answer = -covariance @ both_KRJ
        told = Told(
            products_KSS[:, moves, moves] + both_KRJ.swapaxes(1, 2) @ answer,
            products_KSS[:, moves, 0] - np.einsum("krj,kr->kj", both_KRJ, beta),
        )
        still = -0.5 * (log_variance + fitted + determinant)
        return _At(beta, np.asarray(covariance, float), answer, told, still, self.columns.moves)

    def drift(self, laws: _Laws, fitted_TK: Array) -> tuple[Array, Array]:
        """The residual's drift given all cycles, and the variance that is left of it, (T, K) each."""
        residual_TK = np.where(self.seen_TK, self.stacked_TKS[..., 0] - fitted_TK, 0.0)
        path = whitened(residual_TK[..., None], self.noise_TK + laws.own_K, self.seen_TK, laws.rho, laws.variance_K)
        return path.smoothed(laws.rho)[..., 0], path.left(laws.rho)


@dataclass(frozen=True, slots=True)
class _At:
    """What a law makes of the series, where the level stays, and what they tell of how it moved."""

    beta_KR: Array
    covariance_KRR: Array
    answer_KRJ: Array
    """By how much beta moves with the level's moves."""
    told: Told
    still_K: Array
    """Log-likelihood, beta integrated out, where the level stays."""
    slow: Slow

    def likelihood(self) -> Array:
        """Log-likelihood of each series, beta and its own moves integrated out, (K,)."""
        return np.asarray(self.still_K + self.slow.likelihood(self.told))

    def likelihood_of_all(self) -> float:
        return float(self.still_K.sum()) + self.slow.likelihood_of_all(self.told)


@dataclass(frozen=True, slots=True)
class _Laws:
    """Of every series."""

    rho: float
    """Persistence, of all."""
    variance_K: Array
    """Stationary, of the drift."""
    own_K: Array
    """Of a cycle's own noise."""
