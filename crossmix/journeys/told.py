"""Whether a log's journeys have anything to learn about the next channel.

Two ways they have not: nearly every exposure repeats the one before (a user meets one campaign alone), or the channel
does not depend on the user's journey. The second is tested: how many nats a step the cache mixture (own shares, last
channel, prior), fitted on training users, tells beyond the channels' shares on users that it did not see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmix.journeys.references import mixture
from crossmix.journeys.score import draws, figure, mean
from crossmix.journeys.table import Table
from crossmix.journeys.windows import Windows

ALWAYS = 0.99
"""Share of repeats from which there is nothing to learn."""
HARDLY = 0.01
"""Nats a step below which a channel is taken as independent of the journey, with the whole interval."""


@dataclass(frozen=True, slots=True)
class Told:
    """What journeys tell of the next channel."""

    steps: int
    repeats: float
    """Share of exposures on the channel of the user's last one."""
    gain: float
    """Nats a step that own history tells beyond the channels' shares, on unseen users."""
    low: float
    """Of its 95 % interval by bootstrap over users."""
    high: float

    @property
    def repetitive(self) -> bool:
        """Whether nearly every exposure repeats the last channel."""
        return self.repeats >= ALWAYS

    @property
    def independent(self) -> bool:
        """Whether the channel is independent of the journey."""
        return self.high < HARDLY

    @property
    def learnable(self) -> bool:
        """Whether imitation has anything to learn."""
        return not (self.repetitive or self.independent)

    @property
    def sentence(self) -> str:
        """For a person: report, terminal and gates say the same."""
        # Rounded before it is shown, and -0 made 0.
        gain, low, high = (round(nats, 4) + 0.0 for nats in (self.gain, self.low, self.high))
        history = f"own history tells {gain:.4f} nats [{low:.4f}, {high:.4f}] of the next channel"
        if self.repetitive:
            return (
                f"{self.repeats:.1%} of {self.steps:,} exposures are on the channel of the user's last one: there is "
                "nothing to learn about channels; name another column as the channel (of a Criteo log: "
                "data.criteo_channel=cat8)"
            )
        if self.independent:
            return f"The channel is independent of the journey ({history}): imitation has nothing to learn"
        return f"{self.repeats:.1%} of {self.steps:,} exposures repeat the user's last channel; {history}"


def tells(table: Table, train: Windows, unseen: Windows, seed: int = 0) -> Told:
    """Repeats over all of these steps, and the gain on those of unseen users."""
    both = np.unique(np.concatenate([train.row_S, unseen.row_S]))
    row_S = unseen.row_S
    after_S = table.next_channel(row_S)
    log_SC = mixture.fit(table, train, unseen, seed)(unseen).log_SC
    assert log_SC is not None
    count_C = np.bincount(table.next_channel(np.unique(train.row_S)), minlength=table.channels) + 1.0
    gain_S = log_SC[np.arange(len(row_S)), after_S] - np.log(count_C / count_C.sum())[after_S]
    found = figure(mean(gain_S, *draws(table.events.user_R[row_S], seed)))
    repeats = float(np.mean(table.events.channel_R[both] == table.next_channel(both)))
    return Told(len(both), repeats, found.value, found.low, found.high)
