"""Each campaign's newest statistics, kept in memory and read anew in the background: an answer never waits for Feast.

A campaign's arm that has none of its own yet takes the log's; one that the store does not know starts cold (what
`crossmix.history.History` says before the first cycle). While the feature store is away the last good statistics
serve, also after a restart, and `trouble` says why.

A server with many campaigns answers before it has read them all (`wait`): until its turn comes a campaign is answered
from what was kept for a restart, else cold; `waits` says how many there are, and those that are asked for come first.

A row of an arm's own is believed as far as the database says that its cycle was pushed, if it has ended by now and is
of this flight. The feature folder and the file beside the database may hold another database's, those of a flight
before, or what a clock that ran ahead has left: such rows are refused, and `trouble` says so.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nsmallest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.files import replacing
from crossmix.ledger.campaigns import Campaign
from crossmix.schema import DataError
from crossmix.state import Layout, weekday_fields
from feature_repo.sources import LOG_ARM

Array = NDArray[Any]
_log = logging.getLogger(__name__)
OWN, LOG, COLD = "own", "log", "cold"
Key = tuple[str, str]
"""Campaign and arm."""
TOGETHER = 1_000
"""Campaigns that the store is asked for at once."""
UNREAD = (
    "its statistics have not been read since the server started: it is answered as before its first cycle, and is "
    "among those that are read next"
)
"""Told of a campaign that waits and of which nothing was kept."""
MOST_DOUBTFUL = 64
FEW, MOST_OFTEN = 1_000, 20
"""So many statistics are kept for a restart at every change; more, a twentieth of the time at most."""


@dataclass(frozen=True, slots=True)
class State:
    """A campaign's statistics in one arm."""

    statistics_S: Array
    """(X,) float32 in the layout's order."""
    seconds: float
    """When its newest cycle ended, UTC; 0 where it starts cold."""
    source: str
    """own: of this arm's feedback; log: of the log; cold: none yet."""


class States:
    """Statistics by (campaign, arm).

    Args:
        features: feature folder.
        keep: file in which the last good statistics outlive a restart.
        layout: of the bundle that serves; statistics of another are refused.
    """

    def __init__(self, features: Path, keep: Path, layout: Layout) -> None:
        self.features, self.keep, self.layout = Path(features), Path(keep), layout
        self.trouble: str | None = None
        self.since: float | None = None
        self.identity: str | None = None
        """Of the database that the statistics are of; `None`: not known yet."""
        self._refused: dict[Key, tuple[str, int]] = {}
        """Why, and in how many readings on end."""
        self._lost: set[Key] = set()
        """Those that the store said once and does not know any more."""
        self._broken: dict[Key, str] = {}
        """Why the store cannot say them, while it says others."""
        self._waiting: set[str] = set()
        """Campaigns that the store was not asked for since the start."""
        self._asked: set[str] = set()
        """Of them, those that an answer was asked for."""
        self.started: float | None = None
        """When the first of them had to wait; seconds, UTC."""
        self._unsaved, self._saved, self._saving = False, -math.inf, 0.0
        self._known: dict[Key, State] = {}
        self._lock = threading.Lock()
        if self.keep.is_file():
            self._restore()

    def get(self, campaign: str, arm: str) -> State | None:
        """The last good statistics; `None`: the store knows none, not even of the log."""
        return self._known.get((campaign, arm))

    def wait(
        self,
        names: Iterable[str],
        campaigns: Mapping[str, Campaign],
        arms: Sequence[str],
        now: datetime,
        pushed: Mapping[Key, int] | None,
    ) -> None:
        """Let campaigns be read later. What was kept of them serves until then, as far as it is to be believed.

        Args:
            names: of the campaigns.
            campaigns, arms, now, pushed: as of `refresh`.
        """
        with self._lock:
            late, kept = set(names), dict(self._known)
            for name in late:
                for arm in arms:
                    noted = None if pushed is None else pushed.get((name, arm), -1)
                    one = kept.get((name, arm))
                    if one is not None and _doubt(one, campaigns[name], now, noted):
                        del kept[name, arm]
            self._known, self._waiting, self.started = kept, late, time.time()

    def awaited(self, campaign: str) -> bool:
        """Whether a campaign that is asked for has not been read since the start; it comes before the others then."""
        if campaign not in self._waiting:
            return False
        self._asked.add(campaign)
        return True

    @property
    def waits(self) -> str | None:
        """How many campaigns have not been read since the start, in a sentence; `None`: all have."""
        many = len(self._waiting)
        if not many:
            return None
        some = "a campaign's statistics have" if many == 1 else f"statistics of {many:,} campaigns have"
        return f"{some} not been read since the start; until then what was kept serves, else what holds before a cycle"

    def first(self, names: Collection[str]) -> list[str]:
        """Of campaigns to read those of the next reading, `TOGETHER` at most, in order: those asked for come first."""
        asked = self._asked
        return sorted(nsmallest(TOGETHER, names, key=lambda name: (name not in asked, name)))

    def refresh(
        self,
        campaigns: Mapping[str, Campaign],
        arms: Sequence[str],
        now: datetime,
        pushed: Mapping[Key, int] | None = None,
        identity: str | None = None,
        names: Sequence[str] | None = None,
    ) -> bool:
        """Read statistics anew. What goes wrong is kept in `trouble`, and the last good ones stay.

        Args:
            campaigns: all.
            now: UTC.
            pushed: newest cycle that the database knows to be pushed; `None`: the database is away.
            identity: of the database; `None`: it is away.
            names: campaigns to read, in order; `None`: all.

        Returns:
            Whether the feature store could be read.
        """
        wanted = {name: campaigns[name] for name in (sorted(campaigns) if names is None else names)}
        foreign = identity is not None and self.identity not in (None, identity)
        with self._lock:
            if identity is not None:
                self.identity = identity
            if foreign:
                # The log's are the feature store's, whichever database.
                self._known = {key: one for key, one in self._known.items() if one.source != OWN}
        broken: dict[Key, str] = {}
        try:
            read = self._read(list(wanted), arms, broken)
        except Exception as error:  # Feast and its stores raise their own kinds each
            self._ill(f"feature store: {(str(error).strip() or type(error).__name__).splitlines()[0]}")
            read, broken = None, {}
        problem = self._take(read, broken, campaigns, wanted, arms, now, pushed)
        if read is not None and self._waiting:
            # Replaced, not changed: answers look into it meanwhile.
            self._waiting = self._waiting.intersection(campaigns).difference(wanted)
            self._asked -= wanted.keys()
        if foreign:
            problem = f"{self.keep.name} is of another database: its statistics are ignored"
        if problem is not None:
            self._ill(problem)
        elif read is not None:
            if self.trouble is not None:
                _log.warning("feature store back")
            self.trouble, self.since = None, None
        return read is not None

    def doubtful(self) -> list[str]:
        """Campaigns whose last reading failed, was refused or found nothing; the first `MOST_DOUBTFUL` of them."""
        return nsmallest(MOST_DOUBTFUL, {name for name, _ in (*self._refused, *self._lost, *self._broken)})

    def flush(self) -> None:
        """Write what waits to be kept for a restart."""
        with self._lock:
            if self._unsaved:
                self._save()

    def _take(
        self,
        read: Mapping[Key, State] | None,
        broken: Mapping[Key, str],
        campaigns: Mapping[str, Campaign],
        wanted: Mapping[str, Campaign],
        arms: Sequence[str],
        now: datetime,
        pushed: Mapping[Key, int] | None,
    ) -> str | None:
        """Keep what is to be believed of what was read and of what was known; what is wrong, in a sentence.

        Args:
            read: `None`: the feature store is away.
            broken: what could not be read, and why: what was known of it stays.
        """
        with self._lock:
            old, new = self._known, {} if read is None else dict(read)
            refused: dict[Key, str] = {}
            lost: set[Key] = set()
            fresh, moved = dict(old), False
            for name, campaign in wanted.items():
                for arm in arms:
                    key = name, arm
                    noted = None if pushed is None else pushed.get(key, -1)
                    before = old.get(key)
                    if before is not None and _doubt(before, campaign, now, noted):
                        before = None
                    one = before if read is None or (key in broken and before is not None) else new.get(key)
                    doubt = None if one is None else _doubt(one, campaign, now, noted)
                    if doubt is not None:
                        refused[key] = doubt
                        one = before if before is not None and before.source == OWN else new.get((name, LOG_ARM))
                    elif before is not None and (one is None or (before.source, one.source) == (OWN, LOG)):
                        lost.add(key)
                        one = before
                    # An unchanged row stays the same object: answers are cached by it.
                    known = old.get(key)
                    if one is None:
                        moved |= fresh.pop(key, None) is not None
                    elif known is None or not _same(known, one):
                        fresh[key], moved = one, True
            self._known = fresh
            self._unsaved |= moved
            if self._unsaved and self._may_save():
                self._save()
            self._judged(wanted, campaigns, refused, lost, broken)
            return self._problem()

    def _judged(
        self,
        wanted: Mapping[str, Campaign],
        campaigns: Mapping[str, Campaign],
        refused: Mapping[Key, str],
        lost: set[Key],
        broken: Mapping[Key, str],
    ) -> None:
        """Note what this reading refused, missed and could not read; of those that it did not read stands what was
        noted before."""

        def stands(key: Key) -> bool:
            return key[0] in campaigns and key[0] not in wanted

        old = self._refused
        kept = {key: one for key, one in old.items() if stands(key)}
        self._refused = kept | {key: (why, old[key][1] + 1 if key in old else 1) for key, why in refused.items()}
        self._lost = {key for key in self._lost if stands(key)} | lost
        self._broken = {key: why for key, why in self._broken.items() if stands(key)} | dict(broken)

    def _problem(self) -> str | None:
        """What the readings so far say is wrong, in a sentence."""
        if self._broken:
            (campaign_id, arm), more = min(self._broken), len(self._broken) - 1
            others = f"; and of {more:,} more" if more else ""
            why = self._broken[campaign_id, arm]
            return f"feature store: statistics of {campaign_id}, arm {arm}, cannot be read: {why}{others}"
        # A row that was pushed a moment ago is noted a moment later: what stays refused is told.
        again = {key: why for key, (why, times) in self._refused.items() if times > 1}
        if again:
            (campaign_id, arm), more = min(again), len(again) - 1
            others = f"; and of {more:,} more" if more else ""
            why = again[campaign_id, arm]
            return f"feature store: statistics of {campaign_id}, arm {arm}, are refused: {why}{others}"
        if self._lost:
            # A store that forgot (a flush, an eviction) is not empty: what it said last serves.
            campaign_id, arm = min(self._lost)
            return f"feature store: it no longer knows {campaign_id}, arm {arm}; push its statistics again"
        return None

    def _ill(self, trouble: str) -> None:
        if self.trouble is None:
            self.since = time.time()
            _log.warning("%s", trouble)
        self.trouble = trouble

    def _read(self, campaigns: Sequence[str], arms: Sequence[str], broken: dict[Key, str]) -> dict[Key, State]:
        """What the store says of campaigns; which of them it cannot say goes into `broken`, and why.

        Raises what the store does where it says nothing at all.
        """
        from feature_repo.apart import apart
        from feature_repo.features import describe, online_known

        read: dict[Key, State] = {}
        if not campaigns:
            return read
        if not self.features.is_dir():
            raise DataError(f"features: {self.features} is not there; bring the feature folder back")
        if describe(self.features).layout != self.layout.digest:
            raise DataError(
                f"features: {self.features} holds statistics of another layout than the bundle's {self.layout.label}; "
                "serve with the features of the run that trained it"
            )
        for start in range(0, len(campaigns), TOGETHER):
            some = list(campaigns[start : start + TOGETHER])
            for arm in (LOG_ARM, *arms):
                found, faults = apart(some, lambda names, of=arm: online_known(self.features, names, of))
                broken |= {(campaign, arm): why for campaign, why in faults.items()}
                for campaign, (row, second) in found.items():
                    if second:
                        read[campaign, arm] = State(row, float(second), LOG if arm == LOG_ARM else OWN)
        for campaign in campaigns:
            if (campaign, LOG_ARM) in read:
                for arm in arms:
                    read.setdefault((campaign, arm), read[campaign, LOG_ARM])
        return read

    def _may_save(self) -> bool:
        return len(self._known) <= FEW or time.monotonic() - self._saved >= MOST_OFTEN * self._saving

    def _save(self) -> None:
        began = time.monotonic()
        rows = [
            {"campaign": campaign, "arm": arm, "seconds": one.seconds, "source": one.source}
            for (campaign, arm), one in self._known.items()
        ]
        values = np.array([one.statistics_S for one in self._known.values()], np.float32)
        self.keep.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.keep, durable=True) as half, half.open("wb") as stream:
            names = {"layout": self.layout.digest, "identity": self.identity or "", "rows": json.dumps(rows)}
            np.savez(
                stream, allow_pickle=False, values=values, **{name: np.array(text) for name, text in names.items()}
            )
        self._saved, self._unsaved = time.monotonic(), False
        self._saving = self._saved - began

    def _restore(self) -> None:
        try:
            with np.load(self.keep) as archive:
                if str(archive["layout"]) != self.layout.digest:
                    return
                rows: list[Mapping[str, Any]] = json.loads(str(archive["rows"]))
                values = archive["values"]
                self.identity = (str(archive["identity"]) or None) if "identity" in archive.files else None
        except (ValueError, KeyError, OSError) as error:
            _log.warning("%s: cannot be read (%s); states come from the feature store alone", self.keep, error)
            return
        self._known = {
            (row["campaign"], row["arm"]): State(value, row["seconds"], row["source"])
            for row, value in zip(rows, values, strict=True)
        }


def cold(layout: Layout, share_P: Array, minimum_P: Array, maximum_P: Array, weekday: int) -> State:
    """The statistics of a campaign before its first cycle, as `History` has them.

    Args:
        share_P, minimum_P, maximum_P: the plan's split and limits, (P,).
        weekday: of the coming cycle, Monday 0.
    """
    known_P = {"previous_share": share_P, "min": minimum_P, "max": maximum_P}
    return State(layout.cold_start(known_P, weekday_fields(weekday)), 0.0, COLD)


def _doubt(state: State, campaign: Campaign, now: datetime, noted: int | None) -> str | None:
    """Why an arm's own statistics are not to be believed; `None`: they are.

    Args:
        noted: newest cycle that the database knows to be pushed, -1 where none was; `None`: it is away.
    """
    if state.source != OWN:
        return None
    end = datetime.fromtimestamp(state.seconds, UTC)
    if end > now:
        return f"they end {end.isoformat()}, which is to come; a clock ran ahead, or the rows are another database's"
    if end <= campaign.starts:
        return f"they end {end.isoformat()}, before the flight that began {campaign.starts.isoformat()}"
    if noted is not None and (noted < 0 or end > campaign.ends(noted)):
        pushed = "no cycle" if noted < 0 else f"cycles up to {noted}"
        return f"they end {end.isoformat()}, and this database has pushed {pushed}; they are another database's"
    return None


def _same(one: State, other: State) -> bool:
    return (one.seconds, one.source) == (other.seconds, other.source) and np.array_equal(
        one.statistics_S, other.statistics_S
    )
