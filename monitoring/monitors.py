"""Monitors: what looks at the ledger and says what is wrong. Each is one file of this package, which registers it.

    MONITORS.register(Monitor(name="late_feed", label="...", look=look, settings=LateFeed))

`monitor.watch` names those that look, `monitor.settings.NAME.KEY` sets their settings. A monitor reads the ledger and
the time it is given; it asks no clock, and changes nothing but its own notes (`crossmix.ledger.watched`). One that
needs to know what serves, its bundle or its market, says so (`Monitor.served`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from crossmix.config import Config, ConfigError, strictly
from crossmix.ledger.store import Store
from crossmix.registered import Registered

EVERY = "*"
"""All of an advertiser's campaigns, or all arms."""


class MonitorError(ValueError):
    """What is served cannot be watched; one sentence with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One figure that a monitor looked at."""

    monitor: str
    campaign_id: str
    """`EVERY`: all of the advertiser's."""
    arm: str
    """`EVERY`: all of them."""
    observed: float | None
    """`None`: there is nothing to observe yet."""
    limit: float
    unit: str
    alarming: bool
    """Beyond the limit."""
    detail: str
    """One sentence for a person."""
    cause: str | None = None
    """What is wrong, as cvr or silent, a name that stays; an alarm without one is called as its monitor."""
    platform: str | None = None
    quantity: str | None = None
    cycle: int | None = None
    """First of the episode, from 0, by the oldest campaign."""
    expected: float | None = None
    """In the unit of `observed`."""
    z: float | None = None
    """(observed - expected) / standard deviation."""
    score: float | None = None
    """What is held against `limit` where that is not `observed`."""
    campaigns: tuple[str, ...] = ()
    """Those that show it most."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What serves, for monitors that hold feedback against it."""

    config: Config
    bundle: Path | None = None
    """The champion's folder; `None`: nobody said where it lies."""
    market: Callable[[str], Path] | None = None
    """Gives the folder of the market that a bundle's plan came from, by the bundle's digest; raises `ValueError` where
    there is none, or the registry is away. It may take seconds, so who needs none does not ask. `None`: unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """Something to watch."""

    name: str
    label: str
    """What it watches, in a few words."""
    look: Callable[..., Iterable[Finding]]
    """(ledger, now in UTC, its settings) -> what it found, quiet figures too."""
    settings: type[Any]
    """Frozen dataclass whose defaults are the monitor's."""
    served: bool = False
    """Whether `look` takes a `Served` after the settings."""


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


def look(store: Store, now: datetime, config: Config, served: Served | None = None) -> list[Finding]:
    """What every configured monitor finds at `now` (UTC), in the order of `monitor.watch`.

    Args:
        served: what serves; `None`: not known.

    Raises:
        ConfigError: as `configured`.
        MonitorError: what serves cannot be read.
        StoreAwayError: the database is away.
    """
    served = Served(config=config) if served is None else served
    return [
        finding
        for monitor, settings in configured(config)
        for finding in monitor.look(store, now, settings, *((served,) if monitor.served else ()))
    ]
