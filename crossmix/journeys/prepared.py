"""A log made ready for learning: users parted, features laid out and scaled, windows cut.

Shapes: U users.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmix.journeys.layout import of_log
from crossmix.journeys.log import Events, Flags, Ints, JourneyError
from crossmix.journeys.settings import Journeys
from crossmix.journeys.table import Table, tabulate
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION, Scaler, Windows, cut, scaler


@dataclass(frozen=True, slots=True)
class Prepared:
    """Steps and windows of three parts of the users; nothing of it is fitted on other than training users."""

    table: Table
    scaler: Scaler
    part_U: Ints
    """`TRAIN`, `VALIDATION` or `TEST`."""
    learn: Windows
    validate: Windows
    test: Windows

    @property
    def events(self) -> Events:
        """Of all users."""
        return self.table.events

    def is_of(self, part: int) -> Flags:
        """Which users are in a part, (U,)."""
        return np.asarray(self.part_U == part)


def prepare(events: Events, part_U: Ints, settings: Journeys, *, memory: int = 30) -> Prepared:
    """Lay out, scale and cut.

    Args:
        part_U: of each user.
        memory: exposures that summaries count (`data.sequence_length`).

    Raises:
        JourneyError: no training user has two exposures.
    """
    training = events.of_users(part_U == TRAIN)
    if not training.has_next_R.any():
        raise JourneyError("journeys: no training user has two exposures; pass a longer log")
    layout = of_log(training, memory=memory, lately=settings.lately, summaries=settings.summaries)
    feature_RF = layout.features(events)
    windows = cut(events, settings.window, settings.stride)
    part_N = part_U[events.user_R[windows.row_NT[:, 0]]]
    learn, validate, test = (windows.where(part_N == part) for part in (TRAIN, VALIDATION, TEST))
    fitted = scaler(layout, feature_RF, learn.row_S)
    return Prepared(tabulate(events, layout, feature_RF, fitted), fitted, part_U, learn, validate, test)
