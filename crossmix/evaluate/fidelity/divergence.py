"""KL divergences between the held-out log and the market, on fixed quantile bins with smoothing (§2.2).

Contract: docs/design.md#gates.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossmix.evaluate.fidelity.cycles import drawn, held_out, held_share, observed
from crossmix.market.fit.blocks import blocks
from crossmix.market.fit.log import Log
from crossmix.market.fit.predictions import predictions
from crossmix.market.model import Market

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

BINS, STEP_BINS = 20, 10
DRAWS = 10
# Impressions whose click probability is looked at.
CLICKS = 50_000


@dataclass(frozen=True, slots=True)
class Divergence:
    """KL(log || market), nats; NaN where either side has fewer values than two per bin."""

    value: float
    count: int
    """Values of the log behind it."""
    bins: int

    def noise(self) -> float:
        """What 99 of 100 divergences of equal laws stay below: chi-squared of bins less 1, over twice the count."""
        return _chi(self.bins - 1) / (2 * max(self.count, 1))

    def needed(self, bound: float) -> int:
        """Values at which the noise falls to the bound: fewer cannot tell a good market from a bad one."""
        return int(np.ceil(_chi(self.bins - 1) / (2 * bound)))


def divergences(market: Market, log: Log, planned_TCP: Array, fusion: Path | None) -> dict[str, dict[str, Divergence]]:
    """Held-out log against market: {"total" or platform: {quantity: Divergence}}.

    click_probability: of the contexts that the market resamples (only with `fusion`, whose heads predict it); price:
    probability integral transform of every price paid under its platform's law (truncated at the bid, where there is
    one), against the uniform law; change.*: one-step log changes of CTR, CVR, ROI and spend of every campaign and
    platform, the market thinned to the held-out share. The total of the first two is the platforms' mean weighted by
    their values (were they pooled, one platform's high prices would hide another's low ones); that of the changes pools
    all platforms' values, since one platform has few.
    """
    times = market.path["requests"].shape[0]
    held, share = held_out(log), held_share(log)
    real = observed(log, held, planned_TCP, times).steps()
    draws = [
        drawn(market, planned_TCP, share, seed, plan_is_spend=log.plan_from_spend).steps() for seed in range(DRAWS)
    ]
    transforms = _price_transforms(market, log, held)
    clicks = _click_probabilities(market, log, held, fusion) if fusion is not None else None
    result: dict[str, dict[str, Divergence]] = {}
    for p, group in enumerate(("total", *market.platforms), start=-1):
        by_quantity: dict[str, Divergence] = {}
        if clicks is not None:
            predicted, resampled, platform = clicks
            rows = platform == p
            by_quantity["click_probability"] = compare(predicted[rows], resampled[rows])
        by_quantity["price"] = from_uniform(transforms[p] if p >= 0 else np.zeros(0))
        own = slice(None) if p < 0 else slice(p, p + 1)
        for metric, steps in real.items():
            model = np.concatenate([draw[metric][..., own].ravel() for draw in draws])
            by_quantity[f"change.{metric}"] = compare(steps[..., own].ravel(), model, STEP_BINS)
        result[group] = by_quantity
    for name in result["total"].keys() & {"click_probability", "price"}:
        result["total"][name] = conditional([result[group][name] for group in market.platforms])
    return result


def conditional(parts: list[Divergence]) -> Divergence:
    """The KL divergence given the part: the parts' mean weighted by their values; parts that say nothing are left out.

    Its noise is that of all the parts' bins over all their values.
    """
    known = [part for part in parts if np.isfinite(part.value)]
    count = sum(part.count for part in known)
    if not known:
        return Divergence(float("nan"), sum(part.count for part in parts), BINS)
    mean = sum(part.value * part.count for part in known) / count
    return Divergence(mean, count, 1 + sum(part.bins - 1 for part in known))


def compare(real: Array, model: Array, bins: int = BINS) -> Divergence:
    """`divergence` of two samples with what is behind it."""
    return Divergence(divergence(real, model, bins), int(np.isfinite(real).sum()), bins)


def divergence(real: Array, model: Array, bins: int = BINS) -> float:
    """KL(real || model), nats, on quantile bins of the real sample, add-one-half smoothed; NaN without data."""
    real, model = _finite(real), _finite(model)
    if len(real) < 2 * bins or len(model) < 2 * bins:
        return float("nan")
    points = np.unique(real)
    at = np.searchsorted(points, np.quantile(real, np.linspace(0, 1, bins + 1)[1:-1]), side="right")
    at = np.unique(at[(at > 0) & (at < len(points))])
    # Edges lie between values that occur, so that no rounding moves a tie across one.
    edges = 0.5 * (points[at - 1] + points[at])
    p = np.bincount(np.searchsorted(edges, real), minlength=len(edges) + 1) + 0.5
    q = np.full(len(edges) + 1, 0.5)
    for part in blocks(len(model)):
        q += np.bincount(np.searchsorted(edges, model[part]), minlength=len(q))
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log(p / q)).sum())


def _finite(values: Array) -> Array:
    """Without what is not; the same array where all are."""
    known = np.isfinite(values)
    return values if known.all() else values[known]


def from_uniform(transform: Array) -> Divergence:
    """KL of values in [0, 1] from the uniform law, on `BINS` equal bins."""
    if len(transform) < 2 * BINS:
        return Divergence(float("nan"), len(transform), BINS)
    observed_share = np.histogram(transform, np.linspace(0, 1, BINS + 1))[0] + 0.5
    observed_share = observed_share / observed_share.sum()
    return Divergence(float((observed_share * np.log(observed_share * BINS)).sum()), len(transform), BINS)


def _click_probabilities(
    market: Market, log: Log, held: Mask, fusion: Path
) -> tuple[Array, Array, npt.NDArray[np.int64]]:
    """Predictions of held-out impressions, of contexts that the market resamples for their cells, and platforms."""
    rng = np.random.default_rng(0)
    rows = np.flatnonzero(held)
    rows = rng.choice(rows, min(len(rows), CLICKS), replace=False)
    c, p, cycle = (log.column(name)[rows].astype(np.int64) for name in ("c", "p", "cycle"))
    bank = (market.response[..., 0] * market.response_mean[..., None]).double().numpy()
    group = market.cycle_group.numpy()[c, cycle]
    predicted = predictions(log, fusion, ("p_click",))["p_click"][rows].astype(np.float64)
    return predicted, bank[c, group, p, rng.integers(bank.shape[-1], size=len(rows))], p


def _price_transforms(market: Market, log: Log, held: Mask) -> list[Array]:
    """By platform, F(price) / F(bid) of every held-out price under its cell's law and cycle's level."""
    level = market.path["level"].double().numpy()
    campaign, platform, cycle = (log.column(name) for name in ("c", "p", "cycle"))
    held = held & (cycle < len(level))
    result = []
    for p in range(level.shape[2]):
        parts = [np.zeros(0)]
        for c in range(level.shape[1]):
            cell = np.flatnonzero(held & (platform == p) & (campaign == c))
            knots = market.price_law[c, p].double().numpy()
            levels = np.linspace(0, 1, len(knots))
            at = level[cycle[cell], c, p]
            rank = np.interp(log.column("price_paid")[cell] / at, knots, levels)
            bid = log.column("bid_price")[cell] / at
            top = np.where(np.isfinite(bid), np.interp(np.nan_to_num(bid), knots, levels), 1.0)
            parts.append(np.minimum(rank / np.maximum(top, 1e-6), 1.0))
        result.append(np.concatenate(parts))
    return result


@cache
def _chi(freedom: int) -> float:
    from scipy.stats import chi2

    return float(chi2.ppf(0.99, freedom))
