"""`crossmix monitor`: what the monitors find in a server's database, once or again and again."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from crossmix.clock import Clock
from crossmix.config import Alerts, Config, ConfigError, load
from crossmix.ledger import where
from crossmix.ledger.store import Store, StoreAwayError
from monitoring.monitors import Finding, MonitorError, Served, configured, look
from pipelines.cli.database import opened
from pipelines.cli.serve import clock_for, run_with
from pipelines.environment import bound_registry

WATCHED = ("monitor.*", "alerts.*", "serving.database", "serving.clock")
"""What of a run's config a look may change."""


def findings(
    out: Path | None, database: str | None, overrides: Sequence[str], bundle: Path | None = None
) -> list[Finding]:
    """What the configured monitors find now.

    Args:
        out: a finished run that was served; its config says what watches.
        database: the server's database instead of the run's.
        overrides: config keys as `a.b=c`.
        bundle: the folder of the bundle that serves; `None`: the one that the run's server says, or the run's own.

    Raises:
        ConfigError: neither is named, a setting does not fit, or the database cannot be read.
        MonitorError: what serves cannot be read.
    """
    with watching(out, database, overrides, bundle) as once:
        return once()


@contextmanager
def watching(
    out: Path | None,
    database: str | None,
    overrides: Sequence[str],
    bundle: Path | None = None,
    raise_alerts: Callable[[Store, list[Finding], datetime, Alerts], int] | None = None,
    afterwards: Callable[[datetime, bool], None] | None = None,
    registry: str | None = None,
) -> Iterator[Callable[[], list[Finding]]]:
    """A call that looks, as often as it is made; arguments and errors as `findings`.

    Args:
        registry: MLflow tracking URI, whose champion is what serves, in place of a run's folder and its bundle.
        raise_alerts: is handed the ledger, all findings of a look, its time and the config's alerts, and says how many
            were new; `None`: nobody is told.
        afterwards: is told the time of each look, and whether an alert was new.
    """
    if registry is not None and (out is not None or bundle is not None):
        raise ConfigError("--registry: its champion is what serves; drop OUT and --bundle, and name --database")
    with (
        nullcontext() if registry is None else champion_of(registry, overrides) as champion,
        ledger_of(out, database, overrides) as (config, store, clock),
    ):

        def once() -> list[Finding]:
            now = clock()
            served = served_by(config, out, bundle) if champion is None else champion()
            found = look(store, now, config, served)
            new = raise_alerts(store, found, now, config.alerts) if raise_alerts is not None else 0
            if afterwards is not None:
                afterwards(now, new > 0)
            return found

        # What was imported stays: a full collection within a look would go through all of it (100 ms and more).
        gc.freeze()
        try:
            yield once
        finally:
            gc.unfreeze()


@contextmanager
def ledger_of(
    out: Path | None, database: str | None, overrides: Sequence[str]
) -> Iterator[tuple[Config, Store, Clock]]:
    """The config, the ledger and the clock of a look; arguments and errors as `findings`."""
    if out is None and database is None and not os.environ.get(where.VARIABLE):
        raise ConfigError(f"monitor: name the folder of a run that was served, --database URL, or {where.VARIABLE}")
    config = load("laptop", overrides) if out is None else run_with(out, overrides, "a monitor", WATCHED)
    configured(config)
    clock = clock_for(config)
    url = database_of(config, out, database)
    kept = url.removeprefix("sqlite:///")
    if out is not None and database is None and kept != url and not Path(kept).is_file():
        raise ConfigError(f"{out}: was never served, so nothing came back; `crossmix serve {out}` begins")
    with opened(url, clock) as store:
        yield config, store, clock


def served_by(config: Config, out: Path | None, bundle: Path | None = None) -> Served:
    """What serves: the bundle that the run's server noted last, else the run's; and whom to ask for its market."""
    if out is None:
        return Served(config=config, bundle=bundle)
    return Served(config=config, bundle=bundle or _noted(out), market=lambda digest: market_of(config, out, digest))


@contextmanager
def champion_of(uri: str, overrides: Sequence[str]) -> Iterator[Callable[[], Served]]:
    """What serves, asked of a registry each time; its bundle is fetched once.

    The call raises `MonitorError`: the registry is away, or has no champion.
    """
    from crossmix.background import sentence
    from crossmix.registry.store import CHAMPION, Registry

    bound_registry()
    config = load("laptop", overrides, {"registry.tracking_uri": uri})
    with tempfile.TemporaryDirectory(prefix="crossmix-monitor-") as scratch:
        home = Path(scratch)

        def asked() -> Served:
            try:
                registry = Registry.of(config, home)
                version = registry.get(CHAMPION)
                folder = home / version.digest[:16]
                if not (folder / "manifest.json").is_file():
                    registry.fetch(version.number, folder)
            except Exception as error:  # MLflow's stores raise their own kinds each
                raise MonitorError(f"--registry {uri}: {sentence(error)}") from error
            return Served(config=config, bundle=folder, market=lambda digest: market_of(config, home, digest))

        yield asked


def market_of(config: Config, out: Path, digest: str) -> Path:
    """The folder of the market that a bundle's plan came from, of the registry's version.

    Args:
        digest: of the bundle.

    Raises:
        RegistryError: no version is of this bundle, it holds no market, or the registry cannot be read.
    """
    from crossmix.registry.store import Registry
    from crossmix.registry.trained import kept_market

    bound_registry()
    return kept_market(lambda: Registry.of(config, out), digest, out)


def _noted(out: Path) -> Path | None:
    folder = out / "serving" / "bundles"
    try:
        noted = json.loads((folder / "serving.json").read_text())
        found = folder / noted["folder"] if "folder" in noted else Path(noted["path"])
    except (OSError, ValueError, KeyError):
        found = out / "bundle"
    return next((one for one in (found, out / "bundle") if (one / "manifest.json").is_file()), None)


def every(seconds: float, once: Callable[[], list[Finding]], show: Callable[[list[Finding]], None]) -> None:
    """Look and show until SIGTERM or SIGINT, so many seconds of the wall's clock between the ends of two looks.

    What the database or a bundle cannot tell for a while is told on stderr, and looked at again.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        try:
            show(once())
        except (StoreAwayError, MonitorError) as error:
            print(f"monitor: {error}", file=sys.stderr, flush=True)
        stop.wait(seconds)


@contextmanager
def delivering(out: Path | None, database: str | None, overrides: Sequence[str]) -> Iterator[None]:
    """Alerts are delivered to their targets beside, until the block ends.

    Raises:
        ConfigError: a target that cannot be used.
    """
    from monitoring.outbox import loops
    from monitoring.targets import destinations

    with ledger_of(out, database, overrides) as (config, store, _):
        running = loops(lambda: store, destinations(config), config.alerts)
        for loop in running:
            loop.start()
        try:
            yield
        finally:
            for loop in running:
                loop.stop()


def database_of(config: Config, out: Path | None, database: str | None) -> str:
    """The named database, else the config's, else the environment's, else the one in the run's folder; a URL."""
    named = where.normal(database) if database else where.database_of(config.serving)
    return named or f"sqlite:///{(out or Path()).absolute() / 'serving' / 'serving.db'}"


def table(findings: Sequence[Finding]) -> str:
    """The findings for people, the alarming ones marked."""
    if not findings:
        return "nothing to watch: no campaign is running"
    rows = [("", "monitor", "campaign", "arm", "observed", "limit", ""), *(_row(finding) for finding in findings)]
    width = [max(len(row[column]) for row in rows) for column in range(6)]
    padded = ([cell.ljust(size) for cell, size in zip(row, width, strict=False)] for row in rows)
    return "\n".join("  ".join([*cells, row[6]]).rstrip() for cells, row in zip(padded, rows, strict=True))


def _row(finding: Finding) -> tuple[str, ...]:
    if finding.score is not None:
        observed, limit = f"{finding.score:.1f} sd", f"{finding.limit:.1f} sd"
    else:
        observed = "-" if finding.observed is None else f"{finding.observed:.3g} {finding.unit}"
        limit = f"{finding.limit:g} {finding.unit}"
    mark = "ALARM" if finding.alarming else "ok"
    return mark, finding.monitor, finding.campaign_id, finding.arm, observed, limit, finding.detail


def plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings for programs."""
    return [finding.as_dict() for finding in findings]
