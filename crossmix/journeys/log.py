"""Exposures of users in order: from ingest's impressions, or from any frame of them.

Shapes: R exposures, U users, C channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crossmix.journeys.later import JourneyError as JourneyError
from crossmix.journeys.later import refuse
from crossmix.schema import Dataset

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

COLUMNS = (
    *("user_id", "platform", "timestamp", "impression_id", "clicked", "price_paid"),
    *("converted", "conversion_timestamp", "revenue"),
)
"""What is read of the impressions (`crossmix.schema`)."""
KNOWN = ("conversion_timestamp",)
"""Read though it is written later: a conversion counts in no step before it (`layout`)."""
NEVER = np.inf
"""When a conversion is known that has no time."""


@dataclass(frozen=True, slots=True)
class Events:
    """Exposures column by column: user after user, each user's in order of time."""

    channels: tuple[str, ...]
    users: tuple[str, ...]
    user_R: Ints
    """Code into `users`, ascending."""
    channel_R: Ints
    """Code into `channels`."""
    clicked_R: Flags
    cost_R: Floats
    """Price paid, currency."""
    seconds_R: Floats
    """Since any origin; a user's do not fall."""
    converted_R: Flags
    known_R: Floats
    """When the conversion was known, seconds as above; `NEVER` without a conversion or its time."""
    revenue_R: Floats
    """Currency; 0 where not converted."""
    row_R: Ints
    """Place in the table that was read, for its other columns."""

    def __post_init__(self) -> None:
        """Refuse what is not in order.

        Raises:
            JourneyError: users or a user's times fall, a channel is unknown, a number is not finite.
        """
        for name in ("cost_R", "seconds_R", "revenue_R"):
            if not np.isfinite(getattr(self, name)).all():
                raise JourneyError(f"{name.removesuffix('_R')}: not a finite number in a journey; mend or drop the row")
        if (np.diff(self.user_R) < 0).any():
            raise JourneyError("user: exposures of a user are apart; order them by user and time")
        if ((np.diff(self.user_R) == 0) & (np.diff(self.seconds_R) < 0)).any():
            raise JourneyError("seconds: a user's exposures are not in order of time; order them by user and time")
        if len(self.channel_R) and not (self.channel_R.min() >= 0 and self.channel_R.max() < len(self.channels)):
            raise JourneyError(f"channel: unknown in a journey; use one of {', '.join(self.channels)}")

    def __len__(self) -> int:
        return len(self.user_R)

    @property
    def first_R(self) -> Ints:
        """Place of the user's first exposure."""
        return np.searchsorted(self.user_R, self.user_R, side="left")

    @property
    def has_next_R(self) -> Flags:
        """Whether the user has a later exposure: only such a step has something to predict."""
        return np.append(self.user_R[1:] == self.user_R[:-1], np.zeros(min(len(self), 1), np.bool_))

    def of_users(self, chosen_U: Flags) -> Events:
        """Those users alone, with their codes as they were."""
        return self.rows(np.flatnonzero(chosen_U[self.user_R]))

    def rows(self, picked: Ints) -> Events:
        """Some exposures, in their order."""
        columns = {name: getattr(self, name)[picked] for name in self.__slots__ if name.endswith("_R")}
        return Events(channels=self.channels, users=self.users, **columns)


def of_frame(frame: pd.DataFrame, channels: Sequence[str] | None = None) -> Events:
    """Exposures of impressions under the names of `crossmix.schema`; rows of one moment keep the order of their ids.

    Args:
        frame: with `COLUMNS`; `conversion_timestamp`, `converted` and `revenue` may be absent.
        channels: names in the order of their codes; `None`: those of the frame, sorted.

    Raises:
        JourneyError: a platform that is not among `channels`, or a column that is written later than it would be used.
    """
    import pandas as pd

    refuse(set(frame.columns) - set(KNOWN))
    if channels is None:
        channels = sorted(str(name) for name in frame["platform"].unique())
    code = pd.Categorical(frame["platform"], categories=list(channels)).codes.astype(np.int64)
    if (code < 0).any():
        strange = str(frame["platform"].iloc[int(np.argmin(code))])
        raise JourneyError(f"platform: {strange!r} is no channel of these journeys; use one of {', '.join(channels)}")
    user, users = pd.factorize(frame["user_id"].astype(str), sort=True)
    stamp = _seconds(frame["timestamp"])
    ids = frame["impression_id"].astype(str) if "impression_id" in frame else pd.Series(np.arange(len(frame)))
    order = np.lexsort((pd.factorize(ids, sort=True)[0], stamp, user)).astype(np.int64)
    converted = _column(frame, "converted", False).astype(bool)
    known = np.full(len(frame), NEVER)
    if "conversion_timestamp" in frame:
        told = converted & frame["conversion_timestamp"].notna().to_numpy()
        known[told] = _seconds(frame["conversion_timestamp"][told])
    return Events(
        channels=tuple(channels),
        users=tuple(map(str, users)),
        user_R=user.astype(np.int64)[order],
        channel_R=code[order],
        clicked_R=frame["clicked"].to_numpy(dtype=bool)[order],
        cost_R=frame["price_paid"].to_numpy(dtype=float)[order],
        seconds_R=stamp[order],
        converted_R=converted[order],
        known_R=known[order],
        revenue_R=_column(frame, "revenue", 0.0).astype(float)[order],
        row_R=order,
    )


def propensities(frame: pd.DataFrame) -> Floats:
    """With which chance the log took each row's channel, (R,); NaN where it does not say.

    Args:
        frame: `propensity` may be absent: the log says it of no row.

    Raises:
        JourneyError: one that is no probability above 0.
    """
    chance_R = _column(frame, "propensity", np.nan).astype(float)
    wrong = np.flatnonzero(~(np.isnan(chance_R) | ((chance_R > 0) & (chance_R <= 1))))
    if len(wrong):
        row = int(wrong[0])
        named = f" (impression_id {frame['impression_id'].iloc[row]!r})" if "impression_id" in frame else ""
        raise JourneyError(
            f"propensity: {chance_R[row]:g} in row {row}{named}, and {len(wrong) - 1} more like it; it is the chance "
            "with which the channel was taken, above 0 and at most 1: correct it, or leave it empty where it was not "
            "logged"
        )
    return chance_R


def read(dataset: Dataset, *, holdout: bool | None = None) -> Events:
    """Exposures of a `Dataset`, its platforms the channels in its order.

    Args:
        dataset: what ingest wrote.
        holdout: `False`: users that fits may see alone; `True`: the others; `None`: all.

    Raises:
        JourneyError: the dataset is a spend history, which has no users.
    """
    meta = dataset.meta
    if meta.aggregate:
        raise JourneyError("data.source: a spend history has no users; journeys need a log of impressions")
    frame = dataset.frame("impressions", [*COLUMNS, "holdout"])
    if holdout is not None:
        frame = frame[frame["holdout"] == holdout]
    return of_frame(frame, meta.platforms)


def uniform(ids: Sequence[str], salt: str) -> Floats:
    """A number in [0, 1) per id, from a keyed MD5; with salt `holdout ` the one that ingest's hold-out compares."""
    heads = [hashlib.md5(f"{salt}{one}".encode(), usedforsecurity=False).hexdigest()[:8] for one in ids]
    return np.array([int(head, 16) for head in heads], dtype=float) / 2**32


def _seconds(stamps: pd.Series) -> Floats:
    import pandas as pd

    micros = pd.to_datetime(stamps).to_numpy().astype("datetime64[us]").astype(np.int64)
    return np.asarray(micros / 1e6, float)


def _column(frame: pd.DataFrame, name: str, default: Any) -> npt.NDArray[Any]:
    return frame[name].to_numpy() if name in frame else np.full(len(frame), default)
