"""Whether what is said at a step depends on later ones: they are changed, and what moves is measured.

Shapes: R exposures, N windows, T steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from crossmix.journeys.answer import Answer
from crossmix.journeys.bundled import Singles
from crossmix.journeys.log import Events, Flags
from crossmix.journeys.prepared import Prepared
from crossmix.journeys.response import Response, phi_of
from crossmix.journeys.table import tabulate

WINDOWS = 256


class Runs(Protocol):
    """A bundle, as far as it is asked here."""

    def run(self, step_UTF: Singles, real_UT: Singles) -> Answer:
        """Answers of steps as tensors; padding, which is not real, comes last."""


def leak(ready: Prepared, response: Response, bundle: Runs, seed: int = 0) -> float:
    """Largest change of features, log-odds and the bundle's probabilities at a step by changing every one after it.

    In each of some test windows a place is drawn; channels, clicks, conversions, costs and times of the user's later
    exposures are drawn anew, times in their order. The bundle is asked at that place, with the later steps in the part
    of its input that is marked as padding.
    """
    rng = np.random.default_rng([seed, 11])
    windows, events = ready.test, ready.events
    if len(windows) > WINDOWS:
        windows = windows.where(np.sort(rng.choice(len(windows), WINDOWS, replace=False)))
    # Of each user the first window alone: what is changed after one place would be before another.
    _, first = np.unique(events.user_R[windows.row_NT[:, 0]], return_index=True)
    windows = windows.where(first)
    steps_N = windows.real_NT.sum(1)
    place_N = np.minimum((rng.random(len(windows)) * steps_N).astype(int), steps_N - 1)
    anchor_R = np.full(len(events), -1)
    row_N = windows.row_NT[np.arange(len(windows)), place_N]
    end_N = np.searchsorted(events.user_R, events.user_R[row_N], side="right")
    for row, end in zip(row_N, end_N, strict=True):
        anchor_R[row + 1 : end] = row
    changed = _changed(events, anchor_R, rng)
    tables = [ready.table, tabulate(changed, response.layout, response.layout.features(changed), ready.scaler)]
    kept_NT = windows.real_NT & (np.arange(windows.row_NT.shape[1]) <= place_N[:, None])
    row_S = windows.row_NT[kept_NT]
    features = [table.feature_RF.numpy()[row_S] for table in tables]
    whole = replace(windows, scored_NT=kept_NT)
    logits = [head.logit(phi_of(response, table, whole)) for table in tables for head in response.heads]
    said = [_said(bundle, response.layout.features(one), windows.row_NT, kept_NT) for one in (events, changed)]
    worst = [np.abs(features[0] - features[1]).max()]
    worst += [np.abs(logits[k] - logits[k + len(response.heads)]).max() for k in range(len(response.heads))]
    worst += [np.abs(getattr(said[0], name) - getattr(said[1], name)).max() for name in Answer.__slots__]
    return float(max(worst))


def _changed(events: Events, anchor_R: np.ndarray, rng: np.random.Generator) -> Events:
    """Every exposure with an anchor other than it was; `anchor`: place of the last one that stays, -1: stays itself."""
    later_R: Flags = anchor_R >= 0
    draw, stretch = rng.random(len(events)), 10 ** rng.uniform(-1, 1, len(events))
    clicked_R = np.where(later_R, ~events.clicked_R, events.clicked_R)
    # One stretch and one delay for all exposures after an anchor, so that they stay in order and after it.
    since_R = events.seconds_R - events.seconds_R[anchor_R]
    moved_R = events.seconds_R[anchor_R] + stretch[anchor_R] * since_R + 3_600 * (1 + draw[anchor_R])
    seconds_R = np.where(later_R, moved_R, events.seconds_R)
    return replace(
        events,
        channel_R=np.where(later_R, (events.channel_R + 1) % len(events.channels), events.channel_R),
        clicked_R=clicked_R,
        converted_R=np.where(later_R, clicked_R, events.converted_R),
        known_R=np.where(later_R & clicked_R, seconds_R, np.where(later_R, np.inf, events.known_R)),
        cost_R=np.where(later_R, events.cost_R * (1 + draw), events.cost_R),
        seconds_R=seconds_R,
    )


def _said(bundle: Runs, feature_RF: np.ndarray, row_NT: np.ndarray, kept_NT: Flags) -> Answer:
    padded_RF = np.concatenate([feature_RF, np.zeros((1, feature_RF.shape[1]), np.float32)])
    return bundle.run(padded_RF[row_NT], kept_NT.astype(np.float32))
