"""Changes of the version that serves, in the audit trail, once for all replicas."""

from __future__ import annotations

from collections.abc import Callable

from crossmix.ledger import audit
from crossmix.ledger.store import Store, StoreAwayError
from serving.live.champion import Champion


class Promoted:
    """What changed, until the database has it.

    Args:
        champion: whose version is followed, from that which it has now.
    """

    def __init__(self, champion: Champion) -> None:
        self._champion = champion
        self._version = champion.current.version
        self._waiting: list[tuple[int | None, int | None]] = []

    def note(self, store: Callable[[], Store]) -> None:
        """Note the version that serves now, where it is another one; while the database is away changes wait."""
        version = self._champion.current.version
        if version != self._version:
            self._waiting.append((self._version, version))
            self._version = version
        while self._waiting:
            before, after = self._waiting[0]
            promotion = self._champion.promotion()
            actor, reason = promotion.get("actor", "registry"), promotion.get("reason", "")
            try:
                audit.note_once(store(), actor, "bundle.serve", f"version {after}", before, after, reason)
            except StoreAwayError:
                return
            self._waiting.pop(0)
