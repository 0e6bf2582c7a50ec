"""Campaigns as the database has them, of which only those are read that changed since."""

from __future__ import annotations

from collections.abc import Mapping

from crossmix.ledger.campaigns import Campaign, changes_since, load_all, load_some
from crossmix.ledger.store import Store

MOST = 2_000
"""Changed campaigns above which reading all is quicker."""


class Changes:
    """The audit trail up to where its changes were taken."""

    def __init__(self) -> None:
        self._entry = self._read = 0

    def read(self, store: Store, known: Mapping[str, Campaign] | None) -> Mapping[str, Campaign]:
        """Every campaign by name, in order of name; unchanged ones are the same objects. `taken` must follow.

        Args:
            known: as last read; `None`: not yet, or nobody knows what was missed.

        Raises:
            StoreAwayError: the database.
        """
        if known is None:
            # The trail first: what comes between the two is read again.
            entry, _ = changes_since(store, self._entry)
            campaigns = load_all(store)
            self._read = entry
            return campaigns
        entry, names = changes_since(store, self._entry)
        if entry < self._entry or len(names) > MOST:
            return self.read(store, None)
        fresh = load_some(store, names) if names else {}
        self._read = entry
        if not fresh.keys() <= known.keys():
            return dict(sorted({**known, **fresh}.items()))
        return {**known, **fresh} if fresh else known

    def taken(self) -> None:
        """What was read last is what is known: until this is said the same changes are read again."""
        self._entry = self._read
