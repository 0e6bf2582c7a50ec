"""What a creator is expected to give: a predictor of log effect, its residual law, and posterior means.

    log y_ij = x_i' beta + u_i + e_ij,   u_i ~ N(0, tau^2),  e_ij ~ N(0, sigma^2)

y_ij is past result j of creator i, x_i are its features, u_i what they do not tell of it, e_ij what one collaboration
differs from the next. beta is generalised least squares with a small ridge, tau^2 by maximum likelihood, sigma^2 from
creators with several results. Given n results of mean log ybar,

    k = tau^2 / (tau^2 + sigma^2 / n)                          (0 without results)
    m = x' beta + k (ybar - x' beta),   v = tau^2 (1 - k) + (1 - k)^2 x' Cov(beta) x
    E[next effect] = exp(m + v / 2 + sigma^2 / 2)

The posterior mean goes to the solver. Who picks the best of many by an estimate with noise picks its noise too: the
creator's own mean, taken as it is, promises more than the plan gives (the winner's curse).

Shapes: N creators, E past results, X features, D draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.settings import Effects
from crossmix.schema import DataError


@dataclass(frozen=True, slots=True)
class Predictor:
    """Fitted on a catalogue's past results; reads catalogues with the same channels and content types."""

    channels: tuple[str, ...]
    contents: tuple[str, ...]
    centre_X: Floats
    scale_X: Floats
    beta_X: Floats
    covariance_XX: Floats
    """Of beta."""
    tau: float
    """Deviation of a creator's own log effect from what its features tell."""
    sigma: float
    """Deviation of the log of one result from the creator's own."""
    floor: float
    """What a result of 0 counts as: half the smallest one above 0."""
    results: int
    """Past results behind it."""

    def posterior(self, catalogue: Catalogue) -> Posterior:
        """What each creator is expected to give, from features and own past results."""
        feature_NX = self.features(catalogue)
        count_N, mean_N = own_means(catalogue, self.floor)
        shrink_N = self.tau**2 / (self.tau**2 + self.sigma**2 / np.maximum(count_N, 1)) * (count_N > 0)
        prior_N = feature_NX @ self.beta_X
        log_N = prior_N + shrink_N * (mean_N - prior_N)
        loading_NX = (1 - shrink_N)[:, None] * feature_NX
        own_N = self.tau**2 * (1 - shrink_N)
        variance_N = own_N + ((loading_NX @ self.covariance_XX) * loading_NX).sum(1)
        return Posterior(log_N, variance_N, own_N, loading_NX, self.covariance_XX, self.sigma)

    def features(self, catalogue: Catalogue) -> Floats:
        """x_i of every creator, (N, X), standardised; raises `DataError` of a channel or content type that is new."""
        unknown = set(catalogue.channels) - set(self.channels) or set(catalogue.contents) - set(self.contents)
        if unknown:
            raise DataError(f"catalogue: {sorted(unknown)[0]!r} was not among what the predictor learned; fit it anew")
        raw_NX = _features(catalogue, self.channels, self.contents)
        return (raw_NX - self.centre_X) / self.scale_X


@dataclass(frozen=True, slots=True)
class Posterior:
    """The law of each creator's effect, given all past results."""

    log_N: Floats
    """Mean of the log effect."""
    variance_N: Floats
    """Of the creator's own log effect, what beta does not know included."""
    own_N: Floats
    """The part that no two creators share."""
    loading_NX: Floats
    """How what beta does not know enters each creator."""
    covariance_XX: Floats
    sigma: float

    @property
    def mean_N(self) -> Floats:
        """Expected effect of the next collaboration, (N,); the unit of past results."""
        return np.exp(self.log_N + self.variance_N / 2 + self.sigma**2 / 2)

    def draws_DN(self, rows: Sequence[int] | Ints, draws: int, seed: int) -> Floats:
        """Effects of one collaboration each with these creators, drawn together, (D, N)."""
        rows = np.asarray(rows, np.int64)
        rng = np.random.default_rng(seed)
        shared_DN = self._beta_DX(draws, rng) @ self.loading_NX[rows].T
        alone_DN = rng.standard_normal((draws, len(rows))) * np.sqrt(self.own_N[rows] + self.sigma**2)
        return np.exp(self.log_N[rows] + shared_DN + alone_DN)

    def level_D(self, rows: Sequence[int] | Ints, draws: int, seed: int) -> Floats:
        """What these creators would give together, of its mean, in the draws of beta of `draws_DN`, (D,).

        The log-normal along their mean loading, each weighing as much as it is expected to give.
        """
        rows = np.asarray(rows, np.int64)
        loading_X = np.average(self.loading_NX[rows], axis=0, weights=self.mean_N[rows])
        log_D = self._beta_DX(draws, np.random.default_rng(seed)) @ loading_X
        return np.exp(log_D - loading_X @ self.covariance_XX @ loading_X / 2)

    def _beta_DX(self, draws: int, rng: np.random.Generator) -> Floats:
        """Beta less its mean."""
        square = np.linalg.cholesky(self.covariance_XX + 1e-12 * np.eye(len(self.covariance_XX)))
        return rng.standard_normal((draws, len(square))) @ square.T


def fit(catalogue: Catalogue, settings: Effects | None = None) -> Predictor:
    """The predictor by a catalogue's past results.

    Raises:
        DataError: too few results, or no creator with two.
    """
    settings = settings or Effects()
    if len(catalogue.result_E) < settings.least_results:
        raise DataError(
            f"past_results: {len(catalogue.result_E)} in all; a predictor needs {settings.least_results} or more, "
            f"{settings.least_results - len(catalogue.result_E)} are missing"
        )
    positive_E = catalogue.result_E[catalogue.result_E > 0]
    if not len(positive_E):
        raise DataError("past_results: all are 0; nothing can be learned of an effect that never was")
    floor = float(positive_E.min()) / 2
    count_N, mean_N = own_means(catalogue, floor)
    sigma = _sigma(catalogue, count_N, mean_N, floor)
    with_N = count_N > 0
    raw_NX = _features(catalogue, catalogue.channels, catalogue.contents)
    centre_X, scale_X = raw_NX[with_N].mean(0), raw_NX[with_N].std(0)
    scale_X = np.where(scale_X < 1e-9, np.inf, scale_X)  # what does not vary among them tells nothing
    centre_X[0], scale_X[0] = 0.0, 1.0
    feature_NX = ((raw_NX - centre_X) / scale_X)[with_N]
    ridge_X = np.full(raw_NX.shape[1], settings.ridge)
    ridge_X[0] = 0.0
    sums = _Sums.of(feature_NX, mean_N[with_N], count_N[with_N], ridge_X / max(sigma, 1e-3) ** 2)
    tau = sums.best_tau(sigma)
    beta_X, covariance_XX, _ = sums.solve(tau, sigma)
    return Predictor(
        catalogue.channels,
        catalogue.contents,
        centre_X,
        scale_X,
        beta_X,
        covariance_XX,
        tau,
        sigma,
        floor,
        len(catalogue.result_E),
    )


def _sigma(catalogue: Catalogue, count_N: Floats, mean_N: Floats, floor: float) -> float:
    """Deviation of log results around the creator's own mean, from creators with several."""
    freedom = float((count_N - 1)[count_N > 1].sum())
    if freedom < 1:
        raise DataError(
            "past_results: no creator has two, so that one result's chance cannot be told from the creator; "
            "add a second result of some"
        )
    square = float(((_logs(catalogue, floor) - mean_N[catalogue.of_E]) ** 2).sum())
    return float(np.sqrt(square / freedom))


def _logs(catalogue: Catalogue, floor: float) -> Floats:
    return np.log(np.maximum(catalogue.result_E, floor))


def own_means(catalogue: Catalogue, floor: float) -> tuple[Floats, Floats]:
    """Number and mean log of each creator's past results."""
    count_N = np.bincount(catalogue.of_E, minlength=len(catalogue)).astype(np.float64)
    total_N = np.bincount(catalogue.of_E, weights=_logs(catalogue, floor), minlength=len(catalogue))
    return count_N, total_N / np.maximum(count_N, 1)


def _features(catalogue: Catalogue, channels: tuple[str, ...], contents: tuple[str, ...]) -> Floats:
    """Raw features, (N, X): one, log followers and its square, log rate, quality and price, channels, contents; log
    followers and log rate by channel."""
    log_f = np.log(catalogue.followers_N) - 10
    log_r = np.log(catalogue.rate_N) + 3
    columns = [
        np.ones(len(catalogue)),
        log_f,
        log_f**2,
        log_r,
        np.log(np.maximum(catalogue.quality_N, 0.05)),
        np.log(catalogue.price_N) - 6,
    ]
    for names, own, code_N, slopes in (
        (channels, catalogue.channels, catalogue.channel_N, True),
        (contents, catalogue.contents, catalogue.content_N, False),
    ):
        for name in names[1:]:
            is_N = (code_N == own.index(name)).astype(np.float64) if name in own else np.zeros(len(catalogue))
            columns += [is_N, *((is_N * log_f, is_N * log_r) if slopes else ())]
    return np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sufficient sums per number of results: creators with the same number weigh the same."""

    count_G: Floats
    size_G: Floats
    xx_GXX: Floats
    xy_GX: Floats
    yy_G: Floats
    ridge_X: Floats

    @classmethod
    def of(cls, feature_NX: Floats, mean_N: Floats, count_N: Floats, ridge_X: Floats) -> _Sums:
        counts = np.unique(count_N)
        parts = [(feature_NX[count_N == count], mean_N[count_N == count]) for count in counts]
        return cls(
            counts,
            np.asarray([float(len(y)) for _, y in parts]),
            np.stack([x.T @ x for x, _ in parts]),
            np.stack([x.T @ y for x, y in parts]),
            np.asarray([float(y @ y) for _, y in parts]),
            ridge_X,
        )

    def solve(self, tau: float, sigma: float) -> tuple[Floats, Floats, float]:
        """beta, its covariance, and minus twice the log likelihood (up to a constant)."""
        variance_G = tau**2 + sigma**2 / self.count_G + 1e-9
        weight_G = 1 / variance_G
        precision_XX = np.einsum("g,gxy->xy", weight_G, self.xx_GXX) + np.diag(self.ridge_X + 1e-9)
        right_X = weight_G @ self.xy_GX
        beta_X = np.linalg.solve(precision_XX, right_X)
        fit = float(weight_G @ self.yy_G - right_X @ beta_X)
        # restricted likelihood: what beta takes up is not spread of creators
        log_det = float(np.linalg.slogdet(precision_XX)[1])
        return beta_X, np.linalg.inv(precision_XX), float(self.size_G @ np.log(variance_G)) + fit + log_det

    def best_tau(self, sigma: float) -> float:
        """The deviation between creators of largest restricted likelihood."""
        from scipy.optimize import minimize_scalar

        best = minimize_scalar(
            lambda log_tau: self.solve(float(np.exp(log_tau)), sigma)[2], bounds=(-6.0, 2.0), method="bounded"
        )
        return float(np.exp(best.x))
