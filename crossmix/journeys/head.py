"""The last layer of the response model: logistic per channel on what the encoder reads, with its uncertainty.

    logit p(c | journey) = scale (phi_c . (w + v_c)) + shift;    w ~ N(mean, 1 / believed), v_c ~ N(0, 1 / own)

phi_c ends in a constant 1. w is what all channels share, v_c what is a channel's own, so that a channel that was shown
rarely leans on the others. Before the constant stands what is known of each channel already (`own`): its weight is
drawn to 1 where it is log-odds of the same event, so that a layer that believes nothing else says just that. How far
the rest is believed is chosen on validation users (`chosen`). The encoder's features are kept, the layer is fitted anew
to its optimum (Newton), and
around it the posterior is normal: Laplace's approximation of a last layer (Kristiadi, Hein, Hennig 2020; Daxberger et
al. 2021), with the sandwich of the users' gradients in place of the curvature alone, because the steps of a user depend
on each other. It answers in the same pass as the mean and is the same for the same question; an ensemble would be so at
many times the cost. What is known already has an error of its own (`moved`). What that leaves out, that another
sample would have given other features, is one factor: two networks learned on halves of the users differ by twice the
deviation of one learned on all (`apart`). What the network cannot express shows, as far as it moves whole groups of
validation steps, in their residuals (`misfit`); within a group it is in no interval: coverage is measured in worlds
whose answer is known (benchmarks/journeys_told.py). `moved` and the layer's own error are added as if they were
independent, though both come from the same training users and the layer makes up for part of it. scale and
shift are Platt's, on validation users.

Shapes: N steps, B questions, C channels, D features with the constant, G groups.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OWN = (3.0, 30.0, 300.0, 3_000.0)
"""Precisions of what is a channel's own that are tried."""
BELIEVED = (1.0, 100.0, 10_000.0, 1_000_000.0)
"""Precisions of what all channels share that are tried, the constant and what is known already aside; the last
believes nothing."""
CONSTANT = 0.05
"""Precision of the constant that all channels share."""
KNOWN = 1.0
"""Precision of the weight of what is known already."""
Z95 = 1.959964
NEWTON = 30


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted layer."""

    weight_CD: Floats
    """w + v_c."""
    covariance_CDD: Floats
    """Of `weight_CD`, channel by channel."""
    scale: float = 1.0
    shift: float = 0.0
    spread: float = 1.0
    """Deviation with what the encoder adds over this layer's own (`apart`)."""
    error_22: Floats = field(default_factory=lambda: np.zeros((2, 2)))
    """Covariance of the last calibration's scale and shift, of the log-odds before it."""
    misfit: float = 0.0
    """Variance of log-odds that groups of validation steps show beyond chance (`misfit`)."""

    def raw(self, phi_BCD: Floats) -> Floats:
        """Log-odds before calibration, (B, C); one channel's features stand for all."""
        if phi_BCD.shape[1] == 1:
            return np.asarray(phi_BCD[:, 0] @ self.weight_CD.T)
        return np.asarray(np.einsum("bcd,cd->bc", phi_BCD, self.weight_CD))

    def logit(self, phi_BCD: Floats) -> Floats:
        """Calibrated log-odds, (B, C)."""
        return np.asarray(self.scale * self.raw(phi_BCD) + self.shift)

    def deviation(self, phi_BCD: Floats) -> Floats:
        """Standard deviation of `logit`, (B, C)."""
        phi_CBD = np.broadcast_to(phi_BCD, (len(phi_BCD), len(self.weight_CD), phi_BCD.shape[2])).swapaxes(0, 1)
        own_BC = ((phi_CBD @ self.covariance_CDD) * phi_CBD).sum(-1).T
        raw_BC = self.raw(phi_BCD)
        calibration_BC = self.error_22[0, 0] * raw_BC**2 + 2 * self.error_22[0, 1] * raw_BC + self.error_22[1, 1]
        variance_BC = (self.spread * self.scale) ** 2 * own_BC + calibration_BC + self.misfit
        return np.asarray(np.sqrt(np.maximum(variance_BC, 0.0)))

    def answer(self, phi_BCD: Floats) -> tuple[Floats, Floats, Floats]:
        """Probability and its 95 % interval, (B, C) each: of the mean over users with such a journey."""
        logit_BC, half_BC = self.logit(phi_BCD), Z95 * self.deviation(phi_BCD)
        return expit(logit_BC), expit(logit_BC - half_BC), expit(logit_BC + half_BC)


def conversions(
    click: tuple[Floats, Floats], given: tuple[Floats, Floats], otherwise_C: Floats
) -> tuple[Floats, Floats, Floats]:
    """p(conversion) = p(click) p(conversion | click) + (1 - p(click)) p(conversion | no click), with its interval.

    Ranking users leans on clicks, of which there are many; conversions given one are few. The two errors are taken as
    independent, and the interval is normal in the log of the first term.

    Args:
        click, given: log-odds and their deviation, (B, C) each.
        otherwise_C: p(conversion | no click).
    """
    p_BC, q_BC = expit(click[0]), expit(given[0])
    spread_BC = Z95 * np.sqrt(((1 - p_BC) * click[1]) ** 2 + ((1 - q_BC) * given[1]) ** 2)
    both_BC, rest_BC = p_BC * q_BC, (1 - p_BC) * otherwise_C
    high_BC = np.minimum(both_BC * np.exp(spread_BC) + rest_BC, 1.0)
    return both_BC + rest_BC, both_BC * np.exp(-spread_BC) + rest_BC, high_BC


@dataclass(frozen=True, slots=True)
class Choice:
    """How far a layer believes what."""

    own: float
    """Prior precision of v_c."""
    believed: float = 1.0
    """Prior precision of w, but for the constant and what is known already; below it v_c's of the same is no less."""
    known: float | None = None
    """What the weight of the feature before the constant is drawn to; `None`: that feature is as the others."""


def fit(phi_ND: Floats, channel_N: Ints, y_N: Floats, user_N: Ints, channels: int, choice: Choice) -> Head:
    """The layer at its optimum, not calibrated; without a step its prior, at even odds.

    Args:
        phi_ND: of the channel of each step.
        user_N: whose step it is, 0 to the number of users.
    """
    D, C = phi_ND.shape[1], channels
    # One vector (w, v_1, ..., v_C). Each row touches w and one v, so curvature is an arrow of C + 1 blocks.
    size = (C + 1) * D
    mean = np.zeros((C + 1, D))
    shared_D, own_D = np.full(D, choice.believed), np.full(D, max(choice.own, choice.believed))
    own_D[-1] = choice.own
    if choice.known is not None:
        mean[0, -2], shared_D[-2], own_D[-2] = choice.known, KNOWN, choice.own
    # The constant of w is drawn to the rate, not to one half, and hardly: an event that never came has a finite one.
    shared_D[-1] = CONSTANT
    if not choice.known:
        mean[0, -1] = np.log((y_N.sum() + 0.5) / (len(y_N) - y_N.sum() + 0.5))
    precision, theta = np.concatenate([shared_D, np.tile(own_D, C)]), mean.copy()
    order_N = np.argsort(channel_N, kind="stable")
    edge = np.searchsorted(channel_N[order_N], np.arange(C + 1))
    rows = [order_N[first:last] for first, last in pairwise(edge)]
    curvature = np.zeros((size, size))
    for _ in range(NEWTON):
        gradient, curvature = -precision * (theta - mean).ravel(), np.diag(precision)
        for c, at in enumerate(rows):
            phi = phi_ND[at]
            p = expit(phi @ (theta[0] + theta[c + 1]))
            slope, curve = phi.T @ (y_N[at] - p), (phi * (p * (1 - p))[:, None]).T @ phi
            for i in (0, c + 1):
                gradient[i * D : (i + 1) * D] += slope
                for j in (0, c + 1):
                    curvature[i * D : (i + 1) * D, j * D : (j + 1) * D] += curve
        step = np.linalg.solve(curvature, gradient).reshape(C + 1, D)
        theta = theta + step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    p_N = expit((phi_ND * (theta[0] + theta[channel_N + 1])).sum(1))
    residual_ND = (y_N - p_N)[:, None] * phi_ND
    users = int(user_N.max(initial=-1)) + 1
    score_UXD = np.zeros((users, C + 1, D))
    np.add.at(score_UXD[:, 0], user_N, residual_ND)
    np.add.at(score_UXD.reshape(-1, D), user_N * (C + 1) + channel_N + 1, residual_ND)
    score_US = score_UXD.reshape(users, size)
    inverse = np.linalg.inv(curvature)
    # The prior's own part of the uncertainty stays: without it a channel never shown would be certain.
    covariance = inverse @ (score_US.T @ score_US + np.diag(precision)) @ inverse
    blocks = covariance.reshape(C + 1, D, C + 1, D)
    both_CDD = np.stack(
        [blocks[0, :, 0] + blocks[0, :, c] + blocks[c, :, 0] + blocks[c, :, c] for c in range(1, C + 1)]
    )
    return Head(theta[0] + theta[1:], both_CDD)


def moved(head: Head, moves: int) -> Head:
    """The head with the error of what is known already: of features before its own, which are unit moves of that.

    What is known has the weight of the feature before the constant; moves are independent, each of deviation 1.
    """
    (C, D), known_C11 = head.weight_CD.shape, head.weight_CD[:, -2, None, None]
    covariance_CDD = np.zeros((C, moves + D, moves + D))
    covariance_CDD[:, :moves, :moves] = known_C11**2 * np.eye(moves)
    covariance_CDD[:, moves:, moves:] = head.covariance_CDD
    return replace(
        head, weight_CD=np.concatenate([np.zeros((C, moves)), head.weight_CD], 1), covariance_CDD=covariance_CDD
    )


def apart(head: Head, phi_NCD: Floats, half_NC: Floats, other_NC: Floats, unseen: int | None = None) -> Head:
    """The head with the spread that two halves show.

    Of two estimates from disjoint halves the difference has twice the variance of one, which has twice that of an
    estimate from all: E (half - other)^2 = 4 variance. Below the layer's own it counts as that. What both halves have
    alike, their difference does not show: the error of a calibration on the same users, and what no window holds.

    Args:
        phi_NCD: what the head sees of some steps.
        half_NC, other_NC: calibrated log-odds of the same steps by two heads from halves.
        unseen: the feature that is alike for both, a move of weight 0 (`own`), which no spread widens.
    """
    variance = float(np.square(half_NC - other_NC).mean()) / 4
    alone = replace(_without(head, unseen), error_22=np.zeros((2, 2)), misfit=0.0)
    own = float(np.square(alone.deviation(phi_NCD)).mean())
    spread = float(np.sqrt(max(1.0, variance / max(own, 1e-12))))
    covariance_CDD = head.covariance_CDD.copy()
    if unseen is not None:
        covariance_CDD[:, unseen, unseen] /= spread**2
    return replace(head, spread=spread, covariance_CDD=covariance_CDD)


def misfit(
    head: Head, phi_NCD: Floats, channel_N: Ints, y_N: Floats, user_N: Ints, group_N: Ints, unseen: int | None = None
) -> Head:
    """The head with the variance of log-odds by which groups of steps lie off it, beyond chance and its own deviation.

    A group's residuals over its variance of a click are how far its log-odds are off; their squares less what users
    scatter, clustered, and less the variance of the layer at the group's mean features, are averaged with weights of
    one over the scatter (the moment estimate of DerSimonian and Laird, 1986).

    Args:
        phi_NCD: what the head sees of validation steps.
        group_N: of each step, not by what happened on it; steps of a group on two channels are two groups.
        unseen: the feature that moves users and no group, a move of weight 0 (`own`).
    """
    if not len(y_N):
        return head
    p_N = expit(_taken(head.logit(phi_NCD), channel_N))
    code, group_N = np.unique(group_N * len(head.weight_CD) + channel_N, return_inverse=True)
    curve_G = np.bincount(group_N, p_N * (1 - p_N))
    off_G = np.bincount(group_N, y_N - p_N) / curve_G
    pair, code_N = np.unique(group_N * (int(user_N.max()) + 1) + user_N, return_inverse=True)
    total = np.bincount(code_N, y_N - p_N)
    chance_G = np.bincount(pair // (int(user_N.max()) + 1), total**2) / curve_G**2
    # Few users tell little of their own scatter: no less than of independent steps.
    weight_G = 1 / np.maximum(chance_G, 1 / curve_G)
    phi_GD = np.zeros((len(code), phi_NCD.shape[2]))
    taken_ND = phi_NCD[np.arange(len(y_N)), channel_N if phi_NCD.shape[1] > 1 else 0]
    np.add.at(phi_GD, group_N, (p_N * (1 - p_N))[:, None] * taken_ND)
    known_GC = np.square(_without(head, unseen).deviation((phi_GD / curve_G[:, None])[:, None]))
    excess_G = off_G**2 - 1 / weight_G - _taken(known_GC, code % len(head.weight_CD))
    return replace(head, misfit=max(float((weight_G * excess_G).sum() / weight_G.sum()), 0.0))


def _without(head: Head, unseen: int | None) -> Head:
    """The head, sure of one feature's weight."""
    covariance_CDD = head.covariance_CDD.copy()
    if unseen is not None:
        covariance_CDD[:, unseen] = covariance_CDD[:, :, unseen] = 0.0
    return replace(head, covariance_CDD=covariance_CDD)


def chosen(
    phi: tuple[Floats, Floats],
    channel: tuple[Ints, Ints],
    y: tuple[Floats, Floats],
    user: tuple[Ints, Ints],
    channels: int,
    known: float | None = None,
    choice: Choice | None = None,
) -> tuple[Head, Choice]:
    """Fitted on the first of each pair, with the choice that is likeliest on the second, and calibrated on that.

    Args:
        phi: of the first the channel's of each step, (N, D); of the second all channels', (N, C, D) or (N, 1, D).
        known: as in `Choice`.
        choice: this one; `None`: how much is a channel's own is chosen first, how far the rest is believed then.
    """
    found: dict[Choice, tuple[float, Head]] = {}

    def loss(one: Choice) -> float:
        head = fit(phi[0], channel[0], y[0], user[0], channels, one)
        # Without a validation step nothing is told: the last tried, which believes least.
        told = log_loss(_taken(head.raw(phi[1]), channel[1]), y[1]) if len(y[1]) else -one.own - one.believed
        found[one] = told, head
        return told

    if choice is None:
        choice = min((Choice(own, 1.0, known) for own in OWN), key=loss)
        if phi[0].shape[1] > 2:
            choice = min([choice, *(replace(choice, believed=one) for one in BELIEVED[1:])], key=loss)
    else:
        loss(choice)
    return calibrated(found[choice][1], phi[1], channel[1], y[1], user[1]), choice


def calibrated(head: Head, phi_NCD: Floats, channel_N: Ints, y_N: Floats, user_N: Ints) -> Head:
    """A head as `fit` gives it with Platt's scale and shift for these steps, of users that it was not fitted on."""
    scale, shift, error_22 = platt(_taken(head.raw(phi_NCD), channel_N), y_N, user_N)
    return replace(head, scale=scale, shift=shift, error_22=error_22)


def platt(logit_N: Floats, y_N: Floats, user_N: Ints) -> tuple[float, float, Floats]:
    """The likeliest scale and shift of log-odds, and their covariance, (2, 2), clustered by user.

    They are shrunken towards 1 and 0 by what a quarter of an observation at even odds would tell, so that separable
    steps have an answer. A scale of 1 says that the log-odds are as sure as they may be: it is the calibration slope.
    """
    design, theta = np.stack([logit_N, np.ones_like(logit_N)], 1), np.array([1.0, 0.0])
    prior, curvature = np.array([0.25, 0.25]), np.eye(2)
    for _ in range(NEWTON):
        p = expit(design @ theta)
        gradient = design.T @ (y_N - p) - prior * (theta - [1.0, 0.0])
        curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(prior)
        step = np.linalg.solve(curvature, gradient)
        theta = theta + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    residual = (y_N - expit(design @ theta))[:, None] * design
    _, user_N = np.unique(user_N, return_inverse=True)
    score = np.stack([np.bincount(user_N, residual[:, k]) for k in range(2)], 1)
    inverse = np.linalg.inv(curvature)
    return float(theta[0]), float(theta[1]), np.asarray(inverse @ (score.T @ score + np.diag(prior)) @ inverse)


def log_loss(logit_N: Floats, y_N: Floats) -> float:
    """Mean negative log-likelihood, nats."""
    return float((np.logaddexp(0, logit_N) - y_N * logit_N).mean()) if len(y_N) else 0.0


def _taken(logit_NC: Floats, channel_N: Ints) -> Floats:
    return np.asarray(logit_NC[np.arange(len(channel_N)), channel_N])
