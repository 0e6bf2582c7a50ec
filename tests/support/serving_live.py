"""What the routes of the serving room need, without a bundle: a store, platforms, an experiment, a clock to turn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from crossmix.ledger.campaigns import Campaign, load_all
from crossmix.ledger.store import Store
from serving.assignment.arms import Experiment
from serving.campaigns.lane import Lane

PLATFORMS = ("search", "social", "video")
START = datetime(2026, 1, 5, tzinfo=UTC)


def raw(campaign_id: str = "spring", **changes: Any) -> dict[str, Any]:
    """A campaign as a person writes it."""
    return {
        "campaign_id": campaign_id,
        "currency": "EUR",
        "cycle_budget": 1_000.0,
        "share": {"search": 0.5, "social": 0.3, "video": 0.2},
        "limits": {"search": {"min": 0.1, "max": 0.6}, "video": {"freeze": True}},
        "starts": START.isoformat(),
        "cycles": 14,
        "cycle_hours": 24,
        **changes,
    }


def event(event_id: str, /, **changes: Any) -> dict[str, Any]:
    """An event as a bidder sends it."""
    told = {"campaign_id": "spring", "arm": "policy", "platform": "search", "cycle": 0, "impressions": 10, "spend": 2.5}
    return {"event_id": event_id, **told, **changes}


class FakeLive:
    """The server's snapshot of campaigns, read anew by `reload`."""

    def __init__(self, store: Store, now: datetime = START + timedelta(hours=12)) -> None:
        self.store, self.now = store, now
        self.platforms = PLATFORMS
        self.experiment = Experiment("first", "salt")
        self.campaigns: Mapping[str, Campaign] = {}
        self.reloads = 0
        self.revision = -1
        folder = Path(str(store.engine.url.database)).parent if store.kind == "sqlite" else Path(mkdtemp())
        self.lane = Lane(lambda: self.store, folder / "switches.journal", self._switched)
        self.reload()

    def reload(self) -> None:
        self.revision = self.store.revision()
        read = load_all(self.store)
        self.campaigns = {name: self.lane.over(one, self.revision) for name, one in read.items()}
        self.lane.settled(self.revision)
        self.reloads += 1

    def _switched(self, campaign_id: str) -> None:
        if campaign_id in self.campaigns:
            switched = self.lane.over(self.campaigns[campaign_id], self.revision)
            self.campaigns = {**self.campaigns, campaign_id: switched}

    def clock(self) -> datetime:
        return self.now
