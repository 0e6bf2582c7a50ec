"""Splits by user, windows of steps with their padding, scalers, and the authors' windows beside them.

A window is `length` consecutive steps of one user; the next starts `stride` later, so that all but a journey's first
steps are judged with `length - stride` or more steps before them. A step is judged in one window only (`scored_NT`).

Shapes: R exposures, U users, N windows, T steps of a window, F features, S judged steps (in the order of windows).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossmix.journeys.layout import Layout
from crossmix.journeys.log import Events, Flags, Floats, Ints, JourneyError, uniform

TRAIN, VALIDATION, TEST = 0, 1, 2
HOLDOUT = "holdout "
"""Salt of ingest's hold-out."""


def by_user(ids: Sequence[str], test: float, validation: float, salt: str = HOLDOUT) -> Ints:
    """Part of each user, (U,): `TEST`, `VALIDATION` or `TRAIN`, by a hash of the id alone.

    With the default salt, and `test + validation` = `data.holdout_users`, training users are those that ingest lets
    fits see.
    """
    draw_U = uniform(ids, salt)
    return np.where(draw_U < test, TEST, np.where(draw_U < test + validation, VALIDATION, TRAIN))


@dataclass(frozen=True, slots=True)
class Windows:
    """Steps by their places in the events; what is padded has place -1 and comes last."""

    row_NT: Ints
    scored_NT: Flags
    """Whether the step is judged here: it is real, has a step after it, and is judged in no other window."""

    @property
    def real_NT(self) -> Flags:
        """Whether there is a step."""
        return self.row_NT >= 0

    @property
    def row_S(self) -> Ints:
        """Places of the judged steps."""
        return self.row_NT[self.scored_NT]

    def __len__(self) -> int:
        return len(self.row_NT)

    def where(self, keep_N: npt.NDArray[np.bool_] | Ints) -> Windows:
        """Some windows."""
        return Windows(self.row_NT[keep_N], self.scored_NT[keep_N])

    def until(self, keep_R: Flags) -> Windows:
        """The same with the other steps gone: as if the log ended there. Pass what holds up to a time."""
        row_NT = np.where(self.real_NT & keep_R[self.row_NT], self.row_NT, -1)
        return Windows(row_NT, self.scored_NT & (row_NT >= 0))

    def scoring(self, keep_R: Flags) -> Windows:
        """The same with those steps alone judged; windows without any are left out."""
        scored_NT = self.scored_NT & keep_R[self.row_NT]
        kept = scored_NT.any(axis=1)
        return Windows(self.row_NT[kept], scored_NT[kept])


def cut(events: Events, length: int, stride: int | None = None, *, last: bool = False) -> Windows:
    """Windows of every user.

    Args:
        events: in order.
        length: steps of a window.
        stride: steps between two windows' starts, at most `length`; `None`: half the length.
        last: whether steps without a next one stand in windows too (they are not judged); otherwise they do not.

    Raises:
        JourneyError: a length below 1, or a stride beyond it.
    """
    stride = max(length // 2, 1) if stride is None else stride
    if not 1 <= stride <= length:
        raise JourneyError(f"journeys.window: {length} with a stride of {stride}; 1 <= stride <= window")
    user, first, count = np.unique(events.user_R, return_index=True, return_counts=True)
    count = count if last else count - 1
    user, first, count = user[count > 0], first[count > 0], count[count > 0]
    windows_U = 1 + -(-np.maximum(count - length, 0) // stride)
    owner_N = np.repeat(np.arange(len(user)), windows_U)
    number_N = np.arange(len(owner_N)) - np.repeat(np.cumsum(windows_U) - windows_U, windows_U)
    place_NT = (number_N * stride)[:, None] + np.arange(length)
    real_NT = place_NT < count[owner_N][:, None]
    row_NT = np.where(real_NT, first[owner_N][:, None] + place_NT, -1)
    fresh_NT = (number_N == 0)[:, None] | (np.arange(length) >= length - stride)
    return Windows(row_NT, real_NT & fresh_NT & events.has_next_R[row_NT])


def tail(events: Events, length: int) -> Windows:
    """Each user's last `length` steps, in the order of users that have any: what a question is answered from."""
    _, first, count = np.unique(events.user_R, return_index=True, return_counts=True)
    begin = first + np.maximum(count - length, 0)
    place_NT = begin[:, None] + np.arange(length)
    real_NT = place_NT < (first + count)[:, None]
    return Windows(np.where(real_NT, place_NT, -1), np.zeros_like(real_NT))


def drawn(events: Events, length: int, number: int, seed: int) -> Windows:
    """The authors' windows: users drawn with replacement among those with `length + 1` steps that have a next one.

    Every step of every window counts, however often it is drawn. Their notebooks draw 4,000 windows of 20, each from a
    random start, and then split the *windows* at random (`drawn_parts`).

    Raises:
        JourneyError: nobody has so many.
    """
    _, first, count = np.unique(events.user_R, return_index=True, return_counts=True)
    steps = count - 1
    enough = steps >= length + 1
    if not enough.any():
        raise JourneyError(f"journeys.window: no user has {length + 2} exposures; take a smaller window")
    rng = np.random.default_rng([seed, 20])
    first, steps = first[enough], steps[enough]
    chosen_N = rng.integers(len(first), size=number)
    begin_N = first[chosen_N] + rng.integers(steps[chosen_N] - length)
    row_NT = begin_N[:, None] + np.arange(length)
    return Windows(row_NT, np.ones_like(row_NT, dtype=np.bool_))


def drawn_parts(windows: Windows, seed: int, train: float = 0.8, validation: float = 0.1) -> tuple[Windows, ...]:
    """Training, validation and test windows as the authors split them: at random, whoever's they are."""
    order = np.random.default_rng([seed, 21]).permutation(len(windows))
    edges = np.cumsum([round(train * len(windows)), round(validation * len(windows))])
    return tuple(windows.where(np.sort(part)) for part in np.split(order, edges))


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of a test set was trained on; shares of test windows, and of their steps."""

    users: float
    """Windows of users with a training window."""
    windows: float
    """Windows that are one of the training windows."""
    steps: float
    """Judged steps that a training window judges."""


def overlap(events: Events, train: Windows, test: Windows) -> Overlap:
    """How much of `test` is in `train`."""
    user_N = events.user_R[test.row_NT[:, 0]]
    seen = {tuple(row) for row in train.row_NT.tolist()}
    return Overlap(
        users=float(np.isin(user_N, events.user_R[train.row_NT[:, 0]]).mean()),
        windows=float(np.mean([tuple(row) in seen for row in test.row_NT.tolist()])),
        steps=float(np.isin(test.row_S, train.row_S).mean()),
    )


@dataclass(frozen=True, slots=True)
class Scaler:
    """x -> (x - mean) / deviation of the features that are scaled; the others stay."""

    mean_F: Floats
    deviation_F: Floats

    def __call__(self, feature_RF: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Scaled, single precision."""
        return ((feature_RF - self.mean_F) / self.deviation_F).astype(np.float32)


def scaler(layout: Layout, feature_RF: npt.NDArray[np.float32], row_S: Ints) -> Scaler:
    """Fitted on those steps: pass training users' alone.

    A feature that never moves there is 0 whatever comes later: nothing was learned of it.
    """
    scaled_F = np.array([one.scaled for one in layout.fields])
    picked_SF = feature_RF[np.unique(row_S)].astype(float)
    deviation_F = picked_SF.std(axis=0)
    moving_F = scaled_F & (deviation_F > 1e-6)
    otherwise_F = np.where(scaled_F, np.inf, 1.0)
    return Scaler(np.where(scaled_F, picked_SF.mean(axis=0), 0.0), np.where(moving_F, deviation_F, otherwise_F))
