"""What monitors keep: the newest under each name, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crossmix.ledger.store import Store
from crossmix.ledger.watched import Watched, keep, load

THROUGH = datetime(2026, 1, 9, 12, 30, tzinfo=UTC)


def test_what_is_kept_is_read_and_replaced(empty: str) -> None:
    store = Store(empty)
    assert load(store, "residuals@24h") is None
    first = Watched("residuals@24h", "a" * 64, THROUGH, b"\x00\xff state")
    keep(store, first)
    keep(store, Watched("residuals@1h", "b" * 64, THROUGH, b"hours"))
    assert load(store, "residuals@24h") == first
    later = Watched("residuals@24h", "c" * 64, THROUGH + timedelta(days=1), b"")
    keep(store, later)
    assert load(store, "residuals@24h") == later
    assert load(store, "residuals@1h") == Watched("residuals@1h", "b" * 64, THROUGH, b"hours")
    store.close()
