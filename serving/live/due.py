"""Which campaigns' statistics are read anew in a round: those that were pushed since, and a part of the others.

A round over all campaigns would cost the same whether anything happened or not. What was pushed is told by the
database; what it cannot tell (a feature store that forgot, or a row that somebody else wrote) is found by going through
all campaigns a slice at a time, which is every round where they are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crossmix.ledger import pushes
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.pushes import Key
from crossmix.ledger.store import Store

FEW, SLICE = 16, 4
"""So many campaigns are all read in every round, and of more so many by turns, at half a millisecond each: a store that
forgot everything shows at once, a row that somebody else wrote in an hour and a half with ten thousand campaigns."""


class Due:
    """What has to be read, round by round."""

    def __init__(self) -> None:
        self.cycles: Mapping[Key, int] | None = None
        """Newest pushed cycle, as the database last told; `None`: it has not yet, or is another one since."""
        self._stamp: tuple[int, int] | None = None
        self._pushes: dict[Key, tuple[int, int]] = {}
        self._identity: str | None = None
        self._read: Mapping[str, Campaign] = {}
        self._wanted: set[str] = set()
        self._next = 0

    def look(self, store: Store) -> str:
        """Ask the database what was pushed, and which it is; raises `StoreAwayError`."""
        identity, stamp = store.identity(), pushes.stamp(store)
        if identity != self._identity:
            self._identity, self._stamp, self._read = identity, None, {}
        if stamp != self._stamp:
            rows = pushes.all_pushes(store)
            self._wanted |= {key[0] for key, _ in rows.items() ^ self._pushes.items()}
            self._stamp, self._pushes = stamp, rows
            self.cycles = {key: cycle for key, (cycle, _) in rows.items()}
        return identity

    def names(self, campaigns: Mapping[str, Campaign], doubtful: Iterable[str] = ()) -> list[str]:
        """Campaigns to read in this round, in order.

        Args:
            campaigns: all; an unchanged one stays the same object.
            doubtful: those whose last reading was refused or found nothing.
        """
        if campaigns is not self._read:
            # `get` gives None for a new one.
            self._wanted |= {name for name, one in campaigns.items() if self._read.get(name) is not one}
            self._read = campaigns
        every = list(campaigns)
        start = self._next if self._next < len(every) else 0
        self._next = start + SLICE
        turn = every if len(every) <= FEW else every[start : start + SLICE]
        return sorted({*turn, *doubtful, *self._wanted} & campaigns.keys())

    def done(self, names: Iterable[str]) -> None:
        """They were read, and judged by what the database told; others stay wanted."""
        self._wanted -= set(names)
