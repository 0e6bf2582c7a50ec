"""Step features: one ordered tuple, from which training, the feature store's answer and a request derive.

A step is one exposure of a user. Its features hold what is known when the next exposure is decided, and nothing of
what comes later: a click is known at its exposure's time, a conversion at its own. Summaries count at most the last
`memory` exposures, so that whoever passes so many gets what training saw.

| field                    | unit                                                                             |
|--------------------------|----------------------------------------------------------------------------------|
| channel=NAME             | 0 or 1, one per channel                                                          |
| clicked                  | 0 or 1                                                                           |
| converted                | log(1 + own conversions that were known at this exposure)                        |
| log_cost                 | log(1 + price paid / `cost_unit`)                                                |
| log_gap                  | log(1 + seconds since the exposure before), 0 for the first                      |
| share=NAME, lately=NAME  | the channel's share of the last `memory`, of the last `lately` exposures         |
| click_share, click_lately| clicks over exposures, of the same                                               |
| log_steps                | log(1 + exposures counted)                                                       |

Shapes: R exposures, F features, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmix.config.loading import digest
from crossmix.journeys.later import JourneyError, refuse
from crossmix.journeys.log import Events, Floats, Ints

VERSION = 1


@dataclass(frozen=True, slots=True)
class Field:
    """One feature of a step."""

    name: str
    scaled: bool
    """Whether a scaler moves it; zeros and ones, and shares of channels, stay."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which features a step has, and in which order."""

    channels: tuple[str, ...]
    memory: int = 30
    """Exposures that summaries count, this one included (`data.sequence_length`)."""
    lately: int = 5
    """Exposures that count as lately, this one included."""
    cost_unit: float = 1.0
    """Currency: the median price above 0 of the training users."""
    summaries: bool = True
    """Whether there are running summaries."""
    version: int = VERSION

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            JourneyError: no channel, two of one name, a size or unit that is not above 0, another version's layout, or
                a feature that is written later than it would be used: all steps are built by a layout.
        """
        if not self.channels or len(set(self.channels)) < len(self.channels):
            raise JourneyError(f"layout.channels: {self.channels!r}; at least one, each once")
        if min(self.memory, self.lately) < 1 or not 0 < self.cost_unit < np.inf:
            raise JourneyError("layout: memory, lately and cost_unit must be above 0")
        if self.version != VERSION:
            raise JourneyError(f"layout.version: {self.version}; this code builds version {VERSION}")
        refuse(one.name for one in self.fields)

    @property
    def fields(self) -> tuple[Field, ...]:
        """In order."""
        one_hot = [Field(f"channel={name}", False) for name in self.channels]
        step = [Field(name, scaled) for name, scaled in (("clicked", False), ("converted", True))]
        step += [Field("log_cost", True), Field("log_gap", True)]
        if not self.summaries:
            return (*one_hot, *step)
        shares = [Field(f"{which}={name}", False) for which in ("share", "lately") for name in self.channels]
        clicks = [Field("click_share", True), Field("click_lately", True), Field("log_steps", True)]
        return (*one_hot, *step, *shares, *clicks)

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.fields)

    def index(self, name: str) -> int:
        """Place of a feature.

        Raises:
            JourneyError: it is none, or is written later than it would be needed.
        """
        refuse([name])
        names = [one.name for one in self.fields]
        if name not in names:
            raise JourneyError(f"layout: {name!r} is no feature of a step; use one of {', '.join(names)}")
        return names.index(name)

    @property
    def digest(self) -> str:
        """SHA-256 of fields and settings; a bundle carries it."""
        return digest({**asdict(self), "fields": [asdict(one) for one in self.fields]})

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for a bundle."""
        return asdict(self) | {"channels": list(self.channels)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Layout:
        """The layout that `to_dict` told.

        Raises:
            JourneyError: a key is unknown or missing, or the version is another.
        """
        try:
            return cls(**{**plain, "channels": tuple(plain["channels"])})
        except (TypeError, KeyError) as error:
            raise JourneyError(f"layout: {error}; it was written by another version") from None

    def features(self, events: Events) -> npt.NDArray[np.float32]:
        """Features of every exposure, (R, F), all users at once.

        Raises:
            JourneyError: the events have other channels.
        """
        if events.channels != self.channels:
            raise JourneyError(
                f"channel: these journeys have {', '.join(events.channels)}, the layout {', '.join(self.channels)}"
            )
        if not len(events):
            return np.zeros((0, self.size), np.float32)
        first_R = events.first_R
        place_R = np.arange(len(events)) - first_R
        gap_R = np.where(place_R > 0, np.diff(events.seconds_R, prepend=events.seconds_R[:1]), 0.0)
        one_hot_RC = np.eye(len(self.channels))[events.channel_R]
        columns: list[Floats] = [
            one_hot_RC,
            events.clicked_R.astype(float),
            np.log1p(_conversions_known(events)),
            np.log1p(events.cost_R / self.cost_unit),
            np.log1p(gap_R),
        ]
        if self.summaries:
            seen_RX = np.concatenate([one_hot_RC, events.clicked_R[:, None]], axis=1)
            total_RX = np.concatenate([np.zeros((1, seen_RX.shape[1])), np.cumsum(seen_RX, axis=0)])
            far_RX, steps_R = mean_of_last(total_RX, first_R, self.memory)
            near_RX, _ = mean_of_last(total_RX, first_R, self.lately)
            columns += [far_RX[:, :-1], near_RX[:, :-1], far_RX[:, -1], near_RX[:, -1], np.log1p(steps_R)]
        return np.concatenate([one.reshape(len(events), -1) for one in columns], axis=1).astype(np.float32)


def of_log(events: Events, **settings: Any) -> Layout:
    """The layout of training events: their channels, and the unit of their costs."""
    paid = events.cost_R[events.cost_R > 0]
    return Layout(events.channels, cost_unit=float(np.median(paid)) if len(paid) else 1.0, **settings)


def mean_of_last(total_RX: Floats, first_R: Ints, count: int) -> tuple[Floats, Floats]:
    """Means over the user's last `count` exposures, and how many there were; `total_RX` has a row of zeros first."""
    last_R = np.arange(len(first_R)) + 1
    begin_R = np.maximum(first_R, last_R - count)
    steps_R = (last_R - begin_R).astype(float)
    return (total_RX[last_R] - total_RX[begin_R]) / steps_R[:, None], steps_R


def _conversions_known(events: Events) -> Floats:
    """Own conversions known by each exposure's time; one known at that very time counts."""
    sold = np.flatnonzero(np.isfinite(events.known_R))
    if not len(sold):
        return np.zeros(len(events))
    user = np.concatenate([events.user_R[sold], events.user_R])
    time = np.concatenate([events.known_R[sold], events.seconds_R])
    asked = np.concatenate([np.zeros(len(sold), np.int64), np.ones(len(events), np.int64)])
    order = np.lexsort((asked, time, user))
    counted = np.cumsum(1 - asked[order])
    known = np.empty(len(order))
    # Less what users before had: the count at the last row before the user's first.
    before = np.searchsorted(events.user_R[sold], events.user_R, side="left")
    known[order] = counted
    return np.asarray(known[len(sold) :] - before, float)
