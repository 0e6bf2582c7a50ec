"""What the server holds in memory while it runs, and the threads that keep it true.

Answers read snapshots only; threads of their own look at the database (0.2 s), the feature store
(`serving.state_seconds`) and the registry (`serving.watch_seconds`). Each of the three may be away: the last good
snapshot serves on, also after a restart, and `troubles` says what is away and why.

Shapes: P platforms.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix import constraints, files
from crossmix.background import Loop
from crossmix.bundle import Bundle
from crossmix.clock import Clock, wall
from crossmix.config import Config
from crossmix.ledger import audit, experiments, pushes
from crossmix.ledger.campaigns import Campaign, load_all
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.metrics import ARMS
from crossmix.response import Response
from serving.assignment.arms import Experiment, ExperimentError
from serving.campaigns import service as campaigns_module
from serving.feedback.gaps import NOTHING, Gaps, Missing
from serving.live.champion import Champion
from serving.live.recorder import Recorder
from serving.live.states import States
from serving.live.ticks import Ticks

Array = NDArray[Any]
_log = logging.getLogger(__name__)
LOOK_SECONDS = 0.2
FIRST_SECONDS = 5.0
"""How long a server that starts waits for the registry."""


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A campaign with its numbers in slot order."""

    campaign: Campaign
    limits: constraints.Limits[Array]
    static_P: Array
    override_P: Array | None
    """The split that an override serves, (P,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Campaigns and experiment as the database had them at `revision`."""

    revision: int = -1
    planned: Mapping[str, Planned] = field(default_factory=dict)
    ended: str | None = None
    """Why the experiment ended; then every user gets the control's split."""
    ended_at: datetime | None = None
    notes: tuple[str, ...] = ()


class Live:
    """Bundle, campaigns, states, experiment.

    Args:
        config: of the run, with its `serving` section.
        folder: the server's own folder: what outlives a restart.
        database: SQLAlchemy URL.
        champion: the bundle that serves.
        features: feature folder.
        clock: what time it is for cycles, experiment, audit and cooldowns; since when something is away is the
            machine's time.

    Raises:
        ExperimentError: the experiment's id ran with another salt or other weights.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        database: str,
        champion: Champion,
        features: Path,
        clock: Clock = wall,
    ) -> None:
        self.config, self.folder, self.database = config, Path(folder), database
        self.champion, self.clock = champion, clock
        settings = config.serving
        self.experiment = Experiment(
            settings.experiment,
            settings.salt,
            {"policy": settings.weight, "control": round(1 - settings.weight, 9)},
        )
        self.states = States(features, self.folder / "states.npz", champion.current.bundle.layout)
        self.gaps = Gaps()
        self.recorder = Recorder(self._open)
        self.paced = config.market.return_unspent
        platforms = len(champion.current.bundle.platforms)
        nan_P = np.full(platforms, np.nan)
        self.no_response = Response(nan_P, nan_P, nan_P, nan_P)
        self._means: dict[str, Array] = {}
        self._store: Store | None = None
        self._store_trouble: str | None = None
        self._store_since: float | None = None
        self._opening, self._reading, self._following = threading.Lock(), threading.Lock(), threading.Lock()
        self._loops = Ticks(clock)
        self._followed = champion.current.version
        self._served_changes: list[tuple[int | None, int | None]] = []
        self.snapshot = self._restored()
        self.listeners: list[Callable[[], None]] = []

    # ---- what answers read -------------------------------------------------------------------------------------------

    @property
    def bundle(self) -> Bundle:
        """The bundle that serves."""
        return self.champion.current.bundle

    @property
    def version(self) -> int | None:
        """Its version in the registry."""
        return self.champion.current.version

    @property
    def platforms(self) -> tuple[str, ...]:
        return self.bundle.platforms

    @property
    def campaigns(self) -> dict[str, Campaign]:
        """As last read."""
        return {name: planned.campaign for name, planned in self.snapshot.planned.items()}

    @property
    def ended_at(self) -> datetime | None:
        """When the experiment ended."""
        return self.snapshot.ended_at

    @property
    def store(self) -> Store:
        """The database; raises `StoreAwayError`."""
        return self._open()

    def weight(self, arm: str, start: datetime | None = None) -> float:
        """The arm's part of a campaign's users and budget, in a cycle that begins at `start`; `None`: now.

        Cycles that begin after the experiment's end are the control's alone; that in which it ends was shared.
        """
        ended = self.snapshot.ended_at
        if ended is not None and (start or self.clock()) >= ended:
            return 1.0 if arm == "control" else 0.0
        return float(self.experiment.weights[arm])

    def arm(self, user_id: str) -> str:
        """The user's arm."""
        return "control" if self.snapshot.ended is not None else self.experiment.arm(user_id)

    def mean_context(self, bundle: Bundle) -> Array:
        """Mean context of the campaigns that a bundle knows, (D,): a new campaign's."""
        if bundle.digest not in self._means:
            self._means = {bundle.digest: np.mean(list(bundle.contexts.values()), axis=0)}
        return self._means[bundle.digest]

    def troubles(self) -> list[dict[str, str]]:
        """What is away or refused now, and since when."""
        sources = [
            ("feature store", self.states.trouble, self.states.since),
            ("registry", self.champion.trouble, self.champion.since),
            ("database", self._store_trouble, self._store_since),
            *((loop.name, loop.trouble, loop.since) for loop in self._loops),
        ]
        return [
            {"what": what, "why": why, "since": datetime.fromtimestamp(since or time.time(), UTC).isoformat()}
            for what, why, since in sources
            if why is not None
        ]

    def missing(self, campaign: Campaign, arm: str, seconds: float) -> Missing:
        """What feedback lacks of a campaign's arm that is asked about; `seconds`: the time, UTC."""
        if self.snapshot.ended is not None and arm != "control":
            return NOTHING
        return self.gaps.of(campaign, arm, seconds)

    def degraded(self) -> list[dict[str, str]]:
        """`troubles`, and what feedback lacks of any campaign: the first of it, and how much more there is."""
        return [*self.troubles(), *self.gaps.troubles()]

    # ---- keeping it true ---------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read campaigns and experiment anew, now; what others wait for after a change. Trouble is kept, not raised."""
        with self._reading:
            try:
                self._read(self.store)
            except StoreAwayError as error:
                self._database_away(error)
                return
            self._store_trouble, self._store_since = None, None

    def refresh_states(self) -> None:
        """Read the statistics of every campaign anew, and believe what the database knows of."""
        pushed, identity = None, None
        try:
            pushed, identity = pushes.all_newest(self.store), self.store.identity()
        except StoreAwayError as error:
            self._database_away(error)
        self.states.refresh(self.campaigns, ARMS, self.clock(), pushed, identity)

    def follow_champion(self, seconds: float | None = None) -> None:
        """Ask the registry for the champion; a change is written into the audit trail, once for all replicas.

        Args:
            seconds: how long to wait for it; `None`: as long as it takes.
        """
        with self._following:
            if seconds is None:
                self.champion.refresh()
            else:
                self.champion.ask(seconds)
            version = self.champion.current.version
            if version != self._followed:
                self._served_changes.append((self._followed, version))
                self._followed = version
            while self._served_changes:
                try:
                    self._audit_change(*self._served_changes[0])
                except StoreAwayError:
                    return
                self._served_changes.pop(0)

    def _audit_change(self, before: int | None, after: int | None) -> None:
        promotion = self.champion.promotion()
        actor, reason = promotion.get("actor", "registry"), promotion.get("reason", "")
        audit.note_once(self.store, actor, "bundle.serve", f"version {after}", before, after, reason)

    def start(self) -> None:
        """Ask the registry, read everything once, and begin to watch."""
        self.follow_champion(FIRST_SECONDS)
        self.reload()
        self.refresh_states()
        settings = self.config.serving
        for name, work, seconds in (
            ("database reader", self._look, LOOK_SECONDS),
            ("feature store reader", self.refresh_states, settings.state_seconds),
            ("registry reader", self.follow_champion, settings.watch_seconds),
            ("recorder", self.recorder.flush, LOOK_SECONDS),
        ):
            self.watch(Loop(name, seconds, work))
        self._loops.start()

    def watch(self, loop: Loop) -> None:
        """Start a loop, and stop it with the server; what troubles it is told in every answer."""
        self._loops.add(loop)

    def tick(self) -> dict[str, Any]:
        """Do at once what is due (`Ticks.tick`)."""
        return self._loops.tick()

    def stop(self) -> None:
        """End the loops, write what waits, close the database."""
        self._loops.stop()
        self.recorder.flush()
        if self._store is not None:
            self._store.close()

    def _look(self) -> None:
        try:
            changed = self.store.revision() != self.snapshot.revision
        except StoreAwayError as error:
            self._database_away(error)
            return
        if changed or self._store_trouble is not None:
            self.reload()

    def _database_away(self, error: StoreAwayError) -> None:
        if self._store_trouble is None:
            self._store_since = time.time()
            _log.warning("%s", error)
        self._store_trouble = str(error)

    def _open(self) -> Store:
        with self._opening:
            if self._store is None:
                self._store = Store(self.database, self.clock)
            return self._store

    def _read(self, store: Store) -> None:
        # The revision first: what changes meanwhile is read again.
        revision = store.revision()
        campaigns = load_all(store)
        if not campaigns:
            # A first start: what the policy was trained on.
            campaigns = self._first_campaigns(store)
            revision = store.revision()
        ended, ended_at = self._experiment(store)
        ended_at = self._not_ahead(ended, ended_at)
        old = self.snapshot.planned
        planned = {
            name: old[name] if name in old and old[name].campaign == campaign else self._planned(campaign)
            for name, campaign in campaigns.items()
        }
        self._take(Snapshot(revision, planned, ended, ended_at, _notes(ended)))
        self._save()

    def _first_campaigns(self, store: Store) -> dict[str, Campaign]:
        midnight = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        trained = campaigns_module.from_bundle(self.bundle, midnight, self.config.train.cycles)
        campaigns_module.import_(store, trained, "crossmix serve", self.platforms, keep=True)
        return load_all(store)

    def _experiment(self, store: Store) -> tuple[str | None, datetime | None]:
        """Why and when the experiment ended, if it did; begins it at the first start."""
        settings, mine = self.config.serving, self.experiment
        begun = experiments.begun(store, mine.id, mine.salt, mine.weights, settings.days, settings.level)
        if begun.salt != mine.salt or begun.weights != dict(mine.weights):
            raise ExperimentError(
                f"serving.experiment: {mine.id!r} began with salt {begun.salt!r} and weights {begun.weights}; users "
                "must keep their arms: set serving.salt and serving.weight back, or name a new experiment"
            )
        if begun.ended is None:
            return None, None
        return begun.reason or "it was ended", begun.ended

    def _not_ahead(self, ended: str | None, at: datetime | None) -> datetime | None:
        """When the experiment ended, at the latest when this server first heard of it.

        An end that lies ahead was noted by a clock that ran ahead: the cycles that begin from now on are the control's,
        not only those after that moment.
        """
        now, known = self.clock(), self.snapshot
        if at is None or at <= now:
            return at
        return known.ended_at if known.ended == ended and known.ended_at is not None and known.ended_at <= now else now

    def _planned(self, campaign: Campaign) -> Planned:
        static_P = np.array([campaign.share.get(name, 0.0) for name in self.platforms])
        override_P = None
        if campaign.override is not None:
            share = campaign.override.share
            override_P = static_P if share is None else np.array([share.get(name, 0.0) for name in self.platforms])
        return Planned(campaign, campaign.box(self.platforms), static_P, override_P)

    def _take(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        for listener in self.listeners:
            listener()

    def _save(self) -> None:
        """Campaigns for a start without the database."""
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [planned.campaign.as_dict() for planned in self.snapshot.planned.values()]
        at = self.snapshot.ended_at
        ended = {"ended": self.snapshot.ended, "ended_at": None if at is None else at.isoformat()}
        files.write_json(self.folder / "campaigns.json", {"campaigns": rows, **ended})

    def _restored(self) -> Snapshot:
        try:
            kept = json.loads((self.folder / "campaigns.json").read_text())
            campaigns: Iterable[Campaign] = [Campaign.from_dict(row) for row in kept["campaigns"]]
            at = None if kept["ended_at"] is None else datetime.fromisoformat(kept["ended_at"])
        except FileNotFoundError:
            return Snapshot()
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s: cannot be read (%s)", self.folder / "campaigns.json", error)
            return Snapshot()
        return Snapshot(
            -1, {one.campaign_id: self._planned(one) for one in campaigns}, kept["ended"], at, _notes(kept["ended"])
        )


def _notes(ended: str | None) -> tuple[str, ...]:
    return () if ended is None else (f"the experiment has ended, every user gets the static split: {ended}",)
