"""What the server holds in memory while it runs, and the threads that keep it true.

Answers read snapshots only; threads of their own look at the database (0.2 s), the feature store
(`serving.state_seconds`) and the registry (`serving.watch_seconds`). Each of the three may be away: the last good
snapshot serves on, also after a restart, and `troubles` says what is away and why.

Shapes: P platforms.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.background import FINISHED, Loop
from crossmix.bundle import Bundle
from crossmix.clock import Clock, wall
from crossmix.config import Config
from crossmix.ledger.campaigns import Campaign, load_all
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.metrics import ARMS, CANARY, EVERY_ARM
from crossmix.response import Response
from serving.assignment import arms
from serving.assignment.arms import Experiment
from serving.campaigns import service as campaigns_module
from serving.campaigns.lane import Lane
from serving.canary.trial import Trial
from serving.feedback.gaps import NOTHING, Gaps, Missing
from serving.kinds.champion import KindChampion, NoChampionError
from serving.kinds.following import Following
from serving.live.begun import Begun
from serving.live.champion import Champion
from serving.live.changes import Changes
from serving.live.database import Database
from serving.live.due import Due
from serving.live.earlier import Earlier
from serving.live.kept import Kept
from serving.live.promoted import Promoted
from serving.live.recorder import Recorder
from serving.live.snapshot import Planned, Snapshot, alike, notes_of, plain, restored
from serving.live.states import OWN, TOGETHER, State, States
from serving.live.ticks import Ticks

Array = NDArray[Any]
LOOK_SECONDS = 0.2
PROBE_SECONDS = 5.0
"""Where nobody writes, how often it is tried whether one could."""
EARLIER_SECONDS = 0.5
FIRST_SECONDS = 5.0
"""How long a server that starts keeps its port closed for the registry. What takes longer it waits for with an open
one, and says so where it cannot answer without (`Live.ready`)."""


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
        named: keys of the section `serving` that a person gave for this start: those of an experiment must be as it
            began.

    Raises:
        ExperimentError: the experiment began with another of the named settings.
    """

    def __init__(
        self,
        config: Config,
        folder: Path,
        database: str,
        champion: Champion,
        features: Path,
        clock: Clock = wall,
        named: Collection[str] = (),
    ) -> None:
        self.config, self.folder, self.database = config, Path(folder), database
        self.champion, self.clock = champion, clock
        self.trial = Trial(champion, lambda: self.experiment)
        self._begun = Begun(config.serving, named)
        self._unknown = arms.unknown(config.serving.experiment)
        self.states = States(features, self.folder / "states.npz", champion.current.bundle.layout)
        self.gaps = Gaps()
        self._database = Database(database, clock)
        self.recorder = Recorder(self._database.open)
        self.earlier = Earlier(lambda: self.bundle, lambda: self.campaigns, self.context, clock)
        self.paced = config.market.return_unspent
        platforms = len(champion.current.bundle.platforms)
        nan_P = np.full(platforms, np.nan)
        self.no_response = Response(nan_P, nan_P, nan_P, nan_P)
        self._changes, self._due = Changes(), Due()
        self._kept: Kept[Snapshot] = Kept(self.folder / "campaigns.json")
        self._means: dict[str, Array] = {}
        self._reading, self._following = threading.Lock(), threading.Lock()
        self._loops = Ticks(clock)
        self._promoted = Promoted(champion)
        self._swapping, self._stopping = threading.Lock(), False
        self.kinds: Mapping[str, KindChampion] = {}
        """Champions of the other kinds, by kind (`follow_kinds`)."""
        self.following = Following((), config.serving.watch_seconds)
        self.lane = Lane(self._database.open, self.folder / "switches.journal", self._switched)
        kept = restored(self._kept.file, self._planned)
        self.snapshot = replace(kept, planned=self._laid_over(kept.planned, kept.revision))
        self.listeners: list[Callable[[], None]] = []

    serves_split = True
    """As against a server of the other kinds alone (`serving.kinds.alone`)."""

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
    def campaigns(self) -> Mapping[str, Campaign]:
        """As last read; the same object until something changes."""
        return self.snapshot.campaigns

    @property
    def experiment(self) -> Experiment:
        """The newest: it runs, or says what everybody gets since it ended."""
        return self.snapshot.experiment or self._unknown

    @property
    def store(self) -> Store:
        """The database; raises `StoreAwayError`."""
        return self._database.open()

    def weight(self, arm: str, start: datetime | None = None) -> float:
        """The arm's part of a campaign's users and budget, in a cycle that begins at `start`; `None`: now.

        Cycles that begin after the experiment's end are one arm's alone; that in which it ends was shared.
        """
        return self.experiment.part(arm, start or self.clock())

    def arm(self, user_id: str, start: datetime | None = None) -> str:
        """The user's arm now, in a campaign's cycle that began at `start`; `None`: in one that begins now."""
        return self.experiment.arm_asked(user_id, start)

    def context(self, bundle: Bundle, campaign: str) -> Array:
        """A campaign's context for a bundle, (D,)."""
        known = bundle.contexts.get(campaign)
        return self.mean_context(bundle) if known is None else known

    def state(self, campaign: str, arm: str) -> State | None:
        """A campaign's statistics in an arm: the canary's are the policy's until it has finished a cycle of its own."""
        own = self.states.get(campaign, arm)
        if arm == CANARY and (own is None or own.source != OWN or own.seconds <= self.trial.began):
            own = self.states.get(campaign, ARMS[0])
        return own

    def mean_context(self, bundle: Bundle) -> Array:
        """Mean context of the campaigns that a bundle knows and that have not ended, (D,): a new campaign's."""
        if bundle.digest not in self._means:
            running = [one for name, one in bundle.contexts.items() if name not in bundle.ended]
            self._means = {bundle.digest: np.mean(running or list(bundle.contexts.values()), axis=0)}
        return self._means[bundle.digest]

    def troubles(self) -> list[dict[str, str]]:
        """What is away or refused now, and since when."""
        trouble = self.lane.trouble  # once: another thread may be rid of it meanwhile
        waits = None if trouble is None else f"changes are served here alone: {trouble}"
        sources = [
            ("feature store", self.states.trouble, self.states.since),
            ("feature store", self.states.waits, self.states.started),
            ("registry", self.champion.trouble, self.champion.since),
            ("database", *self._database.trouble),
            ("kill switch", waits, self.lane.since),
            ("canary", self.trial.trouble, self.trial.since),
            ("settings", self._begun.trouble, self._begun.since),
            ("clock", getattr(self.clock, "trouble", None), getattr(self.clock, "since", None)),
            *((loop.name, loop.trouble, loop.since) for loop in self._loops),
        ]
        return [
            {"what": what, "why": why, "since": datetime.fromtimestamp(since or time.time(), UTC).isoformat()}
            for what, why, since in sources
            if why is not None
        ]

    def missing(self, campaign: Campaign, arm: str, seconds: float) -> Missing:
        """What feedback lacks of a campaign's arm that is asked about; `seconds`: the time, UTC."""
        if self.snapshot.everybody not in (None, arm):
            return NOTHING  # nobody is in it any more
        if arm == CANARY and self.state(campaign.campaign_id, arm) is self.state(campaign.campaign_id, ARMS[0]):
            return NOTHING  # it has finished no cycle yet
        return self.gaps.of(campaign, arm, seconds)

    def degraded(self) -> list[dict[str, str]]:
        """`troubles`, and what feedback lacks of any campaign: the first of it, and how much more there is."""
        return [*self.troubles(), *self.gaps.troubles()]

    @property
    def ready(self) -> bool:
        """Whether it can answer: by a version that is known, of campaigns that were read."""
        return self.awaited() is None

    def awaited(self) -> str | None:
        """What it lacks to answer, in a sentence; `None`: nothing. What it has once it keeps, whatever is away then."""
        if not self.champion.ready:
            return f"no version serves yet: {self.champion.awaited}"
        why, _ = self._database.trouble
        if self._database.lost and self.snapshot.revision < 0 and not self.snapshot.planned:
            return f"no campaign has been read yet: database: {why}"
        return None

    def absent(self) -> NoChampionError:
        """Why it cannot answer; raised as 503 (`serving.protocol.plane`)."""
        return NoChampionError(self.awaited() or "it was not ready a moment ago; ask again")

    # ---- keeping it true ---------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read campaigns and experiment anew, now; what others wait for after a change. Trouble is kept, not raised."""
        with self._reading:
            try:
                self._read(self.store)
            except StoreAwayError as error:
                self._database.away(error)
                return
            self._database.back()

    def refresh_states(self, most: int | None = None) -> None:
        """Read the statistics anew that may have changed (`Due`), and believe what the database knows of.

        They are read, and serve, `TOGETHER` campaigns at a time.

        Args:
            most: campaigns to read; the others wait for the next round, which `troubles` says. `None`: all.
        """
        pushed, identity, campaigns = None, None, self.campaigns
        try:
            identity = self._due.look(self.store)
            pushed = self._due.cycles
        except StoreAwayError as error:
            self._database.away(error)
        names = self._due.names(campaigns, self.states.doubtful())
        arms = ARMS if self.experiment.tried is None else EVERY_ARM
        if most is not None and len(names) > most:
            self.states.wait(names[most:], campaigns, arms, self.clock(), pushed)
            names = names[:most]
        left = set(names)
        while True:
            some = self.states.first(left)
            if not self.states.refresh(campaigns, arms, self.clock(), pushed, identity, some):
                return
            if pushed is not None:
                self._due.done(some)
            left.difference_update(some)
            if not left or self._stopping:
                return

    def read_earlier(self) -> None:
        """Read what answers would know of earlier cycles (`Earlier`)."""
        # What was served a moment ago may still wait to be written.
        if not self.earlier or not self.recorder.flush():
            return
        try:
            self.earlier.read(self.store)
        except StoreAwayError as error:
            self._database.away(error)

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
            self.trial.follow()
            self._promoted.note(self._database.open)

    def start(self) -> None:
        """Ask the registry, read everything once (of statistics `TOGETHER` campaigns'), and begin to watch."""
        self.lane.prepare()
        self.follow_champion(FIRST_SECONDS)
        self.reload()
        self.refresh_states(TOGETHER)
        settings = self.config.serving
        for name, work, seconds in (
            ("database reader", self._look, LOOK_SECONDS),
            ("feature store reader", self.refresh_states, settings.state_seconds),
            ("registry reader", self.follow_champion, settings.watch_seconds),
            ("recorder", self.recorder.flush, LOOK_SECONDS),
            ("database writer", self._probe, PROBE_SECONDS),
            ("earlier cycles reader", self.read_earlier, EARLIER_SECONDS),
        ):
            self.watch(Loop(name, seconds, work))
        if self._loops.driven and not self.champion.ready:
            # By a clock that stands nobody would ask the registry again.
            self.watch(Loop("first version", settings.watch_seconds, self._first_version))
        self._loops.start()

    def _first_version(self) -> object:
        if not self.champion.ready:
            self.follow_champion()
        return FINISHED if self.champion.ready else None

    def follow_kinds(self, kinds: Iterable[KindChampion]) -> None:
        """Serve and follow the champions of other kinds too, beside the rest: nothing here waits for any of them, and
        what is away of them is told at `/serving` alone."""
        self.following = Following(kinds, self.config.serving.watch_seconds)
        self.kinds = {one.kind: one for one in self.following.kinds}
        self.following.start()

    def watch(self, loop: Loop) -> None:
        """Start a loop, and stop it with the server; what troubles it is told in every answer."""
        self._loops.add(loop)

    def tick(self) -> dict[str, Any]:
        """Do at once what is due (`Ticks.tick`)."""
        return self._loops.tick()

    def stop(self) -> None:
        """End the loops, write what waits, close the database."""
        self._stopping = True
        self._loops.stop()
        self.following.stop()
        self.lane.stop()
        self.recorder.flush()
        self._keep(self._kept.unlike)
        self.states.flush()
        self._database.close()

    def _look(self) -> None:
        try:
            changed = self.store.revision() != self.snapshot.revision
        except StoreAwayError as error:
            self._database.away(error)
            return
        if changed or self._database.lost:
            self.reload()
        self._keep(self._kept.due)

    def _probe(self) -> None:
        try:
            self.store.probe(PROBE_SECONDS)
        except StoreAwayError:
            return  # its readers say so

    def _read(self, store: Store) -> None:
        # The revision first: what changes meanwhile is read again.
        revision, old = store.revision(), self.snapshot
        whole = self._database.lost or not 0 <= old.revision <= revision
        campaigns = self._changes.read(store, None if whole else old.campaigns)
        if not campaigns:
            # A first start: what the policy was trained on.
            campaigns = self._first_campaigns(store)
            revision = store.revision()
        experiment = arms.not_ahead(self._begun.read(store, serves=bool(self._loops)), old.experiment, self.clock())
        planned = {
            name: before if before is not None and alike(before.campaign, campaign) else self._planned(campaign)
            for name, campaign, before in ((name, one, old.planned.get(name)) for name, one in campaigns.items())
        }
        if experiment == old.experiment:
            experiment = old.experiment  # an unchanged one stays the same object: answers are kept by it
        self._take(Snapshot(revision, planned, experiment, notes_of(experiment)))
        self.trial.follow()
        self._changes.taken()
        self._keep(self._kept.quick)

    def _first_campaigns(self, store: Store) -> dict[str, Campaign]:
        midnight = self.clock().replace(hour=0, minute=0, second=0, microsecond=0)
        trained = campaigns_module.from_bundle(self.bundle, midnight, self.config.train.cycles)
        campaigns_module.import_(store, trained, "crossmix serve", self.platforms, keep=True)
        return load_all(store)

    def _planned(self, campaign: Campaign) -> Planned:
        return Planned.of(campaign, self.platforms)

    def _switched(self, campaign_id: str) -> None:
        """A change of the kill switch's lane holds from now on; no database is asked."""
        with self._swapping:
            now = self.snapshot
            self.snapshot = replace(now, planned=self._laid_over(now.planned, now.revision, (campaign_id,)))
        self._listen()

    def _laid_over(
        self, planned: Mapping[str, Planned], revision: int, names: Iterable[str] | None = None
    ) -> Mapping[str, Planned]:
        """Campaigns with the changes on top that the database did not have yet, of `names` or of all."""
        names = self.lane.names() if names is None else names
        switched = {name: self.lane.over(planned[name].campaign, revision) for name in names if name in planned}
        fresh = {name: self._planned(one) for name, one in switched.items() if one != planned[name].campaign}
        return {**planned, **fresh} if fresh else planned

    def _take(self, snapshot: Snapshot) -> None:
        with self._swapping:
            self.snapshot = replace(snapshot, planned=self._laid_over(snapshot.planned, snapshot.revision))
        self._listen()

    def _listen(self) -> None:
        for listener in self.listeners:
            listener()

    def _keep(self, now: Callable[[Snapshot], bool]) -> None:
        """Campaigns for a start without the database, if they are to be kept now (`Kept`)."""
        kept = self._kept.keep(lambda: self.snapshot, now, plain)
        if kept is not None:
            self.lane.settled(kept.revision)
