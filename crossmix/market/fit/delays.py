"""How long after its cause something is booked, from totals alone: conversions after their click, revenue after its
conversion.

Totals of a cycle hold what the cycles before it brought. With weights w_0, w_1, ... of how many cycles later it comes,
a cycle's count has the exposure

    due_t = w_0 clicks_t + w_1 clicks_(t-1) + ...

and is regressed on the money of those cycles, weighted alike. Taken at once instead, a count that hardly moves with the
same cycle's spend looks like one that money does not buy. Which weights (`KERNELS`: geometric, and humped ones that
begin with nearly nothing) is told by the likelihood of the whole regression, coefficients integrated out by priors of
several widths, and drift and noise over a grid: at the wrong delay a drift explains nearly as much, if it may be as
large as that needs.

Platforms of an account are measured alike, by one tag and one window: their delays lie around a common one, unless one
is clearly another's. What is told is a probability of each delay, by platform (`Delays`), over which the caller takes
the mean of what it fits: where the data do not say, answers are as uncertain as that leaves them.

The market of a history has the mean law of what a platform's delay may be (`Delays.law`), where the account's data say
that conversions do come late: what is expected of a day's feedback is then what its clicks and those before them bring.
That is asked once, of all platforms together: by what their common delay and their own ones may be, the probability
that nowhere a conversion takes a cycle on average. A response that the regression does not contain, or money that
hardly moved, looks like delays of part of a cycle on one platform or another, at odds of thousands to one, but hardly
like a delay of a cycle or more of all of them.

Shapes: T cycles, K series, H delays, P platforms, L laws, R columns, D + 1 cycles of delay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp
from scipy.stats import nbinom

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

KERNELS = (
    (0.0, 1, 0.40),
    (0.5, 1, 0.14),
    (1.0, 1, 0.11),
    (2.0, 1, 0.08),
    (4.0, 1, 0.06),
    (7.0, 1, 0.05),
    (14.0, 1, 0.03),
    (25.0, 1, 0.015),
    (1.5, 3, 0.035),
    (3.0, 3, 0.03),
    (6.0, 3, 0.025),
    (10.0, 3, 0.015),
    (17.0, 3, 0.01),
)
"""Mean in cycles, shape and prior probability of each: negative binomial, which is geometric of shape 1 and has its
hump after some cycles of shape 3, as a gamma. Most accounts book a conversion within days of its click."""
BEGIN = 7
"""Cycles whose mean stands for those before the first."""
UNSURE = 7.0
"""Mean delay at which the cycles before the first are asked for, when delays are compared: the same for all."""
APART, OTHER = 0.4, 0.1
"""How ln (1 + mean) of platforms' delays varies around the common one; probability that one is another altogether."""
LEAST = 0.02
"""Probability below which a delay is left out."""
EACH = 6
"""Cells of a platform that delays are found from: those with most conversions."""
NONE = 3e-4
"""Probability that no platform's conversions take a cycle on average, from which on an account is taken to have no
delay. Of 216 histories without one, of 29 kinds, 1 lies below, of 6 of kind `lagged` all."""
AT_ONCE = 0.5
"""Of an account that has a delay: probability from which on a platform's conversions are taken to come at once."""
COME, FURTHEST = 0.99, 60
"""Part of the conversions that has come when the law of a delay ends, what is left in its last cycle; most cycles."""
LEAST_PHI = 1e-2
"""Least variance of a conversion's revenue over its square that is believed."""
LAWS = tuple(product((0.03, 0.07, 0.15, 0.3), (0.0, 1.3, 2.6), (-10.0, -5.5, -3.5)))
"""Drift's deviation, logit of its persistence, ln of the variance of a cycle's own noise."""


@dataclass(frozen=True, slots=True)
class Delays:
    """What is known of the delays of every platform."""

    probability_PH: Array
    none: float
    """Probability that no platform's conversions take a cycle on average."""
    told: float = 0.0
    """Log-likelihood of all platforms, delays summed over."""

    @property
    def at_once_P(self) -> Array:
        """Probability that a platform's conversions come in the cycle of their click."""
        return self.probability_PH[:, 0]

    def ranked(self) -> list[tuple[Indices, Array]]:
        """Each platform's likeliest delay and its probability, (P,) each, then the next, until little is left."""
        order_PH = np.argsort(-self.probability_PH, 1, kind="stable")
        weight_PH = np.take_along_axis(self.probability_PH, order_PH, 1)
        weight_PH = np.where((weight_PH >= LEAST) | (weight_PH == weight_PH.max(1, keepdims=True)), weight_PH, 0.0)
        weight_PH /= weight_PH.sum(1, keepdims=True)
        used = int((weight_PH > 0).any(0).sum())
        return [(order_PH[:, rank], weight_PH[:, rank]) for rank in range(used)]

    def law(self) -> Array:
        """Probability that a conversion comes so many cycles after its click, in the mean over what delays may be,
        (P, D + 1); at once in an account that need have no delay (`NONE`), and on a platform that has none of one that
        has (`AT_ONCE`)."""
        pmf_HD = np.stack([_pmf(FURTHEST + 1, mean, shape) for mean, shape, _ in KERNELS])
        law_PD = self.probability_PH @ pmf_HD
        law_PD[(self.at_once_P >= AT_ONCE) | (self.none >= NONE)] = np.eye(1, FURTHEST + 1)
        whole_PD = np.cumsum(law_PD, 1)
        last = min(int((whole_PD < COME).sum(1).max()), FURTHEST)
        return np.concatenate([law_PD[:, :last], 1 - whole_PD[:, last - 1 : last]], 1) if last else law_PD[:, :1]


def told(platforms: Sequence[str], law_PD: Array, days: float) -> str | None:
    """How late conversions come, in a sentence; `None`: they are taken to come at once everywhere.

    Args:
        law_PD: `Delays.law`.
        days: of a cycle.
    """
    mean_P = days * (law_PD * np.arange(law_PD.shape[1])).sum(1)
    half_P = days * (np.cumsum(law_PD, 1) < 0.5).sum(1)
    same = "on the same day" if days == 1 else "in the same cycle"
    late = [
        (f"on {name}", f"{mean:.1f} days", f"half {f'within {half:g}' if half else same}")
        for name, mean, half in zip(platforms, mean_P, half_P, strict=True)
        if mean > 0
    ]
    if not late:
        return None
    (where, first, half), *others = late
    parts = [f"Conversions {where} come {first} after the click on average, {half}"]
    parts += [", ".join((f"{where} {mean}", half)) for where, mean, half in others]
    at_once = [name for name, mean in zip(platforms, mean_P, strict=True) if not mean > 0]
    if at_once:
        parts.append(f"on {', '.join(at_once)} they are taken to come at once")
    return f"{'; '.join(parts)}; found from totals."


def carriers(times: int) -> Array:
    """What each delay makes of a series of totals, a matrix (H, T, T); before the first cycle all was as in the first
    `BEGIN`."""
    return np.stack([_carrier(times, mean, shape) for mean, shape, _ in KERNELS])


def due(amount_TCP: Array, law_PD: Array) -> Array:
    """What of amounts by the cycle of their cause comes in each cycle, (T, C, P); before the first cycle all was as in
    the first `BEGIN`."""
    if (law_PD[:, 0] == 1).all():
        return amount_TCP
    past = np.broadcast_to(amount_TCP[:BEGIN].mean(0), (law_PD.shape[1] - 1, *amount_TCP.shape[1:]))
    whole = np.concatenate([past, amount_TCP])
    times, first = len(amount_TCP), len(past)
    return np.asarray(sum(law_PD[:, d] * whole[first - d : first - d + times] for d in range(law_PD.shape[1])))


def before(times: int, mean: float, shape: int = 1) -> Array:
    """Part of what is due in a cycle that comes from before the first, (T,)."""
    return np.asarray(nbinom.sf(np.arange(times), shape, shape / (shape + mean)))


def before_each(times: int) -> Array:
    """`before` of every delay, (H, T)."""
    return np.stack([before(times, mean, shape) for mean, shape, _ in KERNELS])


def _carrier(times: int, mean: float, shape: int) -> Array:
    weight_T = _pmf(times, mean, shape)
    gone = np.subtract.outer(np.arange(times), np.arange(times))
    carrier = np.where(gone >= 0, weight_T[np.abs(gone)], 0.0)
    begin = min(BEGIN, times)
    carrier[:, :begin] += before(times, mean, shape)[:, None] / begin
    return np.asarray(carrier)


def _pmf(times: int, mean: float, shape: int) -> Array:
    return np.asarray(nbinom.pmf(np.arange(times), shape, shape / (shape + mean)))


def likely(told_PH: Array) -> Delays:
    """Probabilities of the delays of all platforms.

    Args:
        told_PH: log-likelihood of each.
    """
    mean, shape, prior = (np.array(figure, float) for figure in zip(*KERNELS, strict=True))
    prior /= prior.sum()
    far = np.subtract.outer(np.log1p(mean), np.log1p(mean)) / APART
    near_HH = prior * np.exp(-0.5 * far**2 - (shape[:, None] != shape))
    near_HH = (1 - OTHER) * near_HH / near_HH.sum(1, keepdims=True) + OTHER * prior
    # Of every common delay (rows) and platform.
    whole_HPH = np.log(near_HH)[:, None] + told_PH
    of_common_HP = logsumexp(whole_HPH, axis=2)
    common_H = np.log(prior) + of_common_HP.sum(1)
    told = float(logsumexp(common_H))
    common_H -= told
    each_HPH = whole_HPH - of_common_HP[..., None]
    none = np.exp(logsumexp(common_H + logsumexp(each_HPH[..., mean < 1], axis=2).sum(1)))
    return Delays(np.einsum("c,cph->ph", np.exp(common_H), np.exp(each_HPH)), float(none), told)


def of_platforms(
    told_VLKH: Array, platform_K: Indices, platforms: int, log_prior_L: Array, log_prior_V: Array
) -> tuple[Delays, Array]:
    """Delays by the log-likelihood of every series at every prior of the coefficients, delay and law, and the
    probability of each prior, (V,).

    A platform's series have one law, all of an account one prior.
    """
    told_VLPH = np.zeros((*told_VLKH.shape[:2], platforms, told_VLKH.shape[3]))
    for p in range(platforms):
        told_VLPH[:, :, p] = told_VLKH[:, :, platform_K == p].sum(2)
    each = [likely(told_PH) for told_PH in logsumexp(told_VLPH + log_prior_L[:, None, None], axis=1)]
    odds_V = log_prior_V + [one.told for one in each]
    whole = float(logsumexp(odds_V))
    weight_V = np.exp(odds_V - whole)
    mean_PH = np.einsum("v,vph->ph", weight_V, np.stack([one.probability_PH for one in each]))
    return Delays(mean_PH, float(weight_V @ [one.none for one in each]), whole), weight_V


def of_values(conversions_TK: Array, revenue_TK: Array, known_TK: Mask, platform_K: Indices, platforms: int) -> Delays:
    """Delays of revenue after its conversion: revenue ~ N(v due, phi due), v and phi those that fit each series best.

    A cycle's revenue per conversion varies by what single orders are worth, and by next to nothing else.
    """
    due_HTK = carriers(len(revenue_TK)) @ conversions_TK
    know_T = 1 - before(len(revenue_TK), UNSURE)
    weight_TK = known_TK * know_T[:, None]
    told_PH = np.zeros((platforms, len(due_HTK)))
    for h, due_TK in enumerate(due_HTK):
        due_TK = np.where(known_TK, np.maximum(due_TK, 1e-9), 1.0)
        many_K = weight_TK.sum(0)
        value_K = (weight_TK * revenue_TK).sum(0) / np.maximum((weight_TK * due_TK).sum(0), 1e-9)
        phi_K = (weight_TK * (revenue_TK - value_K * due_TK) ** 2 / due_TK).sum(0) / np.maximum(many_K, 1e-9)
        least_K = LEAST_PHI * np.maximum(value_K, 1e-9) ** 2
        told_K = -0.5 * (many_K * np.log(np.maximum(phi_K, least_K)) + (weight_TK * np.log(due_TK)).sum(0))
        np.add.at(told_PH[:, h], platform_K, np.where(many_K > 2, told_K, 0.0))
    return likely(told_PH)


def most(conversions_TK: Array, platform_K: Indices) -> Indices:
    """The series of each platform with most conversions, `EACH` at most."""
    order = np.argsort(-conversions_TK.sum(0), kind="stable")
    rank = np.zeros(len(order), np.int64)
    for p in np.unique(platform_K):
        own = order[platform_K[order] == p]
        rank[own] = np.arange(len(own))
    return np.flatnonzero((rank < EACH) & (conversions_TK.sum(0) > 0))


def law(deviation: float, persistence: float, own: float) -> tuple[float, float, float]:
    """As regressions take it."""
    return math.log(deviation), persistence, own
