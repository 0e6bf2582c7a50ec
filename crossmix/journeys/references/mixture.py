"""A cache mixture: p(c) = w1 own share of c so far + w2 [c was last] + w3 share of c in training.

The weights are fitted on training steps by expectation-maximisation: each step's next channel is shared out to the
three in proportion to what they give it, and a weight is its mean portion.

Shapes: S judged steps, C channels, K components.
"""

from __future__ import annotations

import numpy as np

from crossmix.journeys.log import Floats, Ints
from crossmix.journeys.references import Answers, Fitted, of_logs
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

ROUNDS = 100
ENOUGH = 1e-7
"""Change of the weights at which it ends."""


def own_share(table: Table, row_S: Ints) -> Floats:
    """Share of each channel in the user's exposures up to and with each step, all of them, (S, C)."""
    events = table.events
    total_RC = np.concatenate([np.zeros((1, table.channels)), np.cumsum(np.eye(table.channels)[events.channel_R], 0)])
    first_S = events.first_R[row_S]
    return np.asarray((total_RC[row_S + 1] - total_RC[first_S]) / (row_S + 1 - first_S)[:, None], float)


def components(table: Table, row_S: Ints, prior_C: Floats) -> Floats:
    """Own shares, last channel, prior; (S, C, K)."""
    last_SC = np.eye(table.channels)[table.events.channel_R[row_S]]
    return np.stack([own_share(table, row_S), last_SC, np.broadcast_to(prior_C, last_SC.shape)], axis=2)


def weights(given_SK: Floats) -> Floats:
    """Expectation-maximisation from equal weights; what each component gave the channel that came, (S, K) -> (K,)."""
    weight_K = np.full(given_SK.shape[1], 1 / given_SK.shape[1])
    for _ in range(ROUNDS):
        portion_SK = given_SK * weight_K
        portion_SK /= portion_SK.sum(axis=1, keepdims=True)
        before, weight_K = weight_K, portion_SK.mean(axis=0)
        if np.abs(weight_K - before).max() < ENOUGH:
            break
    return np.asarray(weight_K, float)


def fit(table: Table, train: Windows, validation: Windows, seed: int) -> Fitted:
    """Prior and weights."""
    row_S = np.unique(train.row_S)
    after_S = table.next_channel(row_S)
    count_C = np.bincount(after_S, minlength=table.channels) + 1.0
    prior_C = count_C / count_C.sum()
    weight_K = weights(components(table, row_S, prior_C)[np.arange(len(row_S)), after_S])

    def answer(windows: Windows) -> Answers:
        return of_logs(np.log(components(table, windows.row_S, prior_C) @ weight_K))

    return answer
