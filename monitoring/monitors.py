"""Monitors: what looks at the ledger and says what is wrong. Each is one file of this package, which registers it.

    MONITORS.register(Monitor(name="late_feed", label="...", look=look, settings=LateFeed))

`monitor.watch` names those that look, `monitor.settings.NAME.KEY` sets their settings. A monitor reads the ledger and
the time it is given; it asks no clock and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from crossmix.config import Config, ConfigError, strictly
from crossmix.ledger.store import Store
from crossmix.registered import Registered


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One figure that a monitor looked at."""

    monitor: str
    campaign_id: str
    arm: str
    observed: float | None
    """`None`: there is nothing to observe yet."""
    limit: float
    unit: str
    alarming: bool
    """Beyond the limit."""
    detail: str
    """One sentence for a person."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """Something to watch."""

    name: str
    label: str
    """What it watches, in a few words."""
    look: Callable[[Store, datetime, Any], Iterable[Finding]]
    """(ledger, now in UTC, its settings) -> what it found, quiet figures too."""
    settings: type[Any]
    """Frozen dataclass whose defaults are the monitor's."""


MONITORS: Registered[Monitor] = Registered("monitor", __package__)


def configured(config: Config) -> list[tuple[Monitor, Any]]:
    """The monitors that look, with their settings.

    Raises:
        ConfigError: a setting of an unknown monitor, or one that does not fit.
    """
    for name in config.monitor.settings:
        if name not in MONITORS.names():
            raise ConfigError(f"monitor.settings.{name}: no such monitor; use one of {', '.join(MONITORS.names())}")
    monitors = [MONITORS.get(name) for name in config.monitor.watch]
    return [
        (monitor, strictly(monitor.settings, settings, f"monitor.settings.{monitor.name}"))
        for monitor in monitors
        for settings in [config.monitor.settings.get(monitor.name, {})]
    ]


def look(store: Store, now: datetime, config: Config) -> list[Finding]:
    """What every configured monitor finds at `now` (UTC), in the order of `monitor.watch`.

    Raises:
        ConfigError: as `configured`.
        StoreAwayError: the database is away.
    """
    return [finding for monitor, settings in configured(config) for finding in monitor.look(store, now, settings)]
