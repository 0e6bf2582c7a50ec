"""A store with campaigns, a feature folder and pushers over them, without a server."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crossmix.config import Config
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.store import Store
from crossmix.schema import Dataset
from crossmix.state import ALLOCATION
from feature_repo import features
from serving.feedback import events as feedback
from serving.feedback.gaps import Gaps
from serving.feedback.materialise import Pusher
from tests.support.serving_live import START, FakeLive, event

PLATFORMS = tuple(f"platform{slot}" for slot in range(10))
DAY = timedelta(days=1)
WINDOW, DECAY, WEIGHT = 3, 0.6, 0.7
SHARE = dict(zip(PLATFORMS, [0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01], strict=True))


def log_statistics(dataset: Dataset, config: Config) -> pd.DataFrame:
    """One row a campaign: every field is its index's hundredth."""
    rows = pd.DataFrame({"campaign_id": list(dataset.meta.campaigns), "event_timestamp": pd.Timestamp(START)})
    values = np.tile(np.arange(ALLOCATION.statistics_size) / 100, (len(rows), 1))
    return pd.concat([rows, pd.DataFrame(values, columns=list(ALLOCATION.names))], axis=1)


@dataclass
class World:
    """A store with a campaign, and a feature folder."""

    live: FakeLive
    folder: Path
    gaps: Gaps = field(default_factory=Gaps)

    @property
    def store(self) -> Store:
        return self.live.store

    @property
    def campaign(self) -> Campaign:
        return self.live.campaigns["c0"]

    @property
    def platforms(self) -> tuple[str, ...]:
        return PLATFORMS

    @property
    def campaigns(self) -> Any:
        return self.live.campaigns

    def weight(self, arm: str, start: datetime | None = None) -> float:
        return {"policy": WEIGHT, "control": 1 - WEIGHT}[arm]

    def take(self, days: float, *raws: dict[str, Any], complete: bool = False) -> None:
        """Events received so many days after the start; `complete`: nothing more comes of their cells."""
        self.live.now = START + days * DAY
        events = feedback.check(raws, self.live.campaigns, PLATFORMS, self.live.experiment, self.live.now)
        feedback.ingest(self.store, [replace(one, complete=complete) for one in events], self.live.now)

    def advance(self, days: float, arm: str = "policy", **more: Any) -> int:
        """A round of a fresh pusher, as after a restart; how many rows it pushed."""
        one = Pusher(
            self, self.folder, window=WINDOW, decay=DECAY, clock=lambda: START + days * DAY, arms=(arm,), **more
        )
        one.once()
        assert one.trouble is None
        return one.pushed

    def row(self, arm: str = "policy", campaign: str = "c0") -> Any:
        return features.online_statistics(self.folder, [campaign], arm)[0]

    def field(self, name: str, arm: str = "policy") -> Any:
        return ALLOCATION.of_platforms(self.row(arm), name)

    def rows(self) -> int:
        """Offline, of the arms that serve."""
        table = pd.read_parquet(self.folder / "sources" / "campaign_statistics.parquet")
        return int((table["arm"] != "log").sum())


def pusher(world: World, now: list[float]) -> Pusher:
    clock = lambda: START + now[0] * DAY  # noqa: E731
    return Pusher(world, world.folder, window=WINDOW, decay=DECAY, seconds=0.01, clock=clock)


def both(world: World, cycle: int, campaign: str = "c0", **told: Any) -> list[dict[str, Any]]:
    """A cycle's reports of every platform in both arms: spent as planned."""
    share = {"policy": WEIGHT, "control": 1 - WEIGHT}
    return [
        event(
            f"{campaign}-{arm}-{name}-{cycle}",
            **{
                "campaign_id": campaign,
                "arm": arm,
                "platform": name,
                "cycle": cycle,
                "spend": 1_000 * part * SHARE[name],
                **told,
            },
        )
        for arm, part in share.items()
        for name in PLATFORMS
    ]
