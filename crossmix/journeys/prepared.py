"""A log made ready for learning: users parted, features laid out and scaled, windows cut.

Shapes: U users, R exposures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crossmix.config import Config
from crossmix.journeys.layout import of_log
from crossmix.journeys.log import (
    COLUMNS,
    Events,
    Flags,
    Floats,
    Ints,
    JourneyError,
    of_frame,
    propensities,
    uniform,
)
from crossmix.journeys.settings import Journeys
from crossmix.journeys.table import Table, tabulate
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION, Scaler, Windows, by_user, cut, scaler
from crossmix.schema import Dataset

OTHER = "other"
"""Ingest's group of the platforms that are not kept."""


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


@dataclass(frozen=True, slots=True)
class Log:
    """A dataset's log made ready, with what journeys do not hold."""

    ready: Prepared
    campaign_R: NDArray[np.str_]
    """Of each exposure."""
    held_out_U: Flags
    """Whether ingest holds the user out of every fit."""
    propensity_R: Floats
    """With which chance the log took the channel of each exposure; NaN where it does not say."""
    currency: str
    digest: str
    """`Meta.digest`."""


def read_log(config: Config, dataset: Dataset) -> Log:
    """Exposures of the dataset's users; training users are those that ingest lets fits see.

    Of each part at most `journeys.most_users` users, of validation half as many, by a hash of their ids. Test users
    cost no training, and what they show is the surer the more they are.

    Raises:
        JourneyError: a spend history, a propensity that is no probability above 0 or is of platforms that ingest put
            together, or no training user has two exposures.
    """
    meta, settings = dataset.meta, config.journeys
    if meta.aggregate:
        raise JourneyError("data.source: a spend history has no users; task journeys needs a log of impressions")
    optional = ["propensity"] if "propensity" in dataset.columns("impressions") else []
    frame = dataset.frame("impressions", [*COLUMNS, "holdout", "campaign_id", *optional])
    chance = propensities(frame)
    rest = len(meta.platforms) == config.data.keep_platforms and OTHER in meta.platforms
    if (config.data.platform_groups or rest) and np.isfinite(chance).any():
        raise JourneyError(
            "propensity: it is of single platforms, of which data.platform_groups or data.keep_platforms put some "
            "together; keep them apart, or drop the column"
        )
    code_R, index = pd.factorize(frame["user_id"].astype(str), sort=True)
    ids = np.asarray(index, str)
    held = config.data.holdout_users
    part = by_user(ids.tolist(), held * (1 - settings.validation), held * settings.validation)
    kept = np.ones(len(ids), bool)
    if settings.most_users is not None:
        draw = uniform(ids.tolist(), "journeys ")
        half = settings.most_users // 2
        for which, most in ((TRAIN, settings.most_users), (VALIDATION, half), (TEST, settings.most_users)):
            at = np.flatnonzero(part == which)
            kept[at[np.argsort(draw[at], kind="stable")[most:]]] = False
    frame, chance = frame[kept[code_R]].reset_index(drop=True), chance[kept[code_R]]
    events = of_frame(frame, meta.platforms)
    part_U = part[kept]
    held_out_U = np.zeros(len(events.users), bool)
    held_out_U[events.user_R] = frame["holdout"].to_numpy(dtype=bool)[events.row_R]
    ready = prepare(events, part_U, settings, memory=config.data.sequence_length)
    campaign_R = frame["campaign_id"].astype(str).to_numpy()[events.row_R].astype(str)
    return Log(ready, campaign_R, held_out_U, chance[events.row_R], meta.currency, meta.digest)
