"""A served advertiser's feedback, followed from look to look: what is kept in the ledger, and when it holds no more.

Kept is what the filter believes after each of the newest cycles, in a row of `watched` each, and what the newest cycles
show. A look asks the ledger what of the past has changed since (`crossmix.ledger.past`) and goes on from the last
belief that still holds: usually after the newest cycle, so that it reads and follows the cycles that have ended since;
where a report came late or was corrected, a cell is held or split noted late, from before it. Where no belief holds,
what is kept cannot be read or is of another bundle, all is followed anew from the history. So a look shows what one at
the whole history shows, to the last bit.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from crossmix.evaluate.watch.expectation import Expectation
from crossmix.evaluate.watch.following import Kept, Shown, follow, spread
from crossmix.feedback import Feedback, pooled
from crossmix.ledger import past as pasts
from crossmix.ledger import returned, watched
from crossmix.ledger.past import Past, View
from crossmix.ledger.store import Store
from crossmix.ledger.watched import PART, Watched

FORMAT = 4
_HEAD = f"watched {FORMAT}\n".encode()
NAMED = 7
"""Cycles that a finding adds up at most, or a day's where those are more."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The campaigns of a bundle as a look found them."""

    expectation: Expectation
    digest: str
    """Of the bundle."""
    shown: Shown
    """Of the newest cycles, oldest first."""
    after: Kept
    """After the last of them."""
    fresh: int
    """How many of the last are told."""
    trouble: str = ""
    """Why what was kept could not be gone on from; empty: it could, or nothing was kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Noted:
    """What was kept."""

    past: Past
    base: int
    """Number of the row up to which cycles are told no more."""
    parts: dict[int, str]
    """Row to the digest of what was believed after it."""
    rows: dict[int, str]
    """Row to the digest of what it shows: the last so many, oldest first."""

    def as_bytes(self) -> bytes:
        """The format, a digest and JSON; `from_bytes` reads it."""
        told = {"past": self.past.as_dict(), "base": self.base, "parts": self.parts, "rows": self.rows}
        data = json.dumps(told).encode()
        return _HEAD + hashlib.sha256(data).digest() + data

    @classmethod
    def from_bytes(cls, data: bytes) -> _Noted:
        """Raises one of `_UNREADABLE`."""
        if not data.startswith(_HEAD):
            raise ValueError(f"it is not of format {FORMAT}")
        begins = len(_HEAD) + hashlib.sha256().digest_size
        if hashlib.sha256(data[begins:]).digest() != data[len(_HEAD) : begins]:
            raise ValueError(_OTHER)
        told = json.loads(data[begins:])
        parts, rows = ({int(row): digest for row, digest in told[name].items()} for name in ("parts", "rows"))
        return cls(Past.from_dict(told["past"]), told["base"], parts, rows)


_UNREADABLE = (KeyError, TypeError, ValueError)
_OTHER = "it is not what was written"


def named(expectation: Expectation) -> int:
    """Cycles that a finding adds up at most."""
    return max(NAMED, *expectation.thresholds.windows)


def take(store: Store, now: datetime, name: str, settle: int, expectation: Expectation, digest: str) -> Look | None:
    """Follow what came back since the last look under this name, and keep it; `None`: no cycle has finished.

    Args:
        settle: newest cycles that are told at each look, and after each of which what is believed is kept.
        digest: of the bundle whose expectation it is.

    Raises:
        StoreAwayError: the database is away.
    """
    view = pasts.view(store, expectation.campaigns, expectation.cycle_hours, now)
    if view is None:
        return None
    noted, before, trouble = _noted(store, name, digest, now)
    changed, past = pasts.compare(store, None if noted is None else noted.past, view)
    going: tuple[int, Kept] | None = None
    if noted is not None:
        going, trouble = _believed(store, name, noted, changed)
    if noted is not None and before is not None and going is not None and going[0] == view.row:
        return Look(expectation, digest, before, going[1], view.row - noted.base)
    read = _read(store, now, expectation, view, going)
    if going is not None and read.first != going[0] + 1:
        # Between campaigns that have ended and those that began after them are rows of nobody.
        going, read = None, _read(store, now, expectation, view, None)
    first, ends = read.first, datetime.fromtimestamp(read.ends, UTC)
    shown, beliefs = _followed(expectation, going, read, settle)
    # Of a long history as much as all that is kept.
    del read
    if noted is not None and before is not None and going is not None:
        shown = before.between(0, max(len(before) - (noted.past.row - going[0]), 0)).then(shown)
    settled = max(view.row - settle, first - 1) if going is None else view.row - settle
    base = settled if noted is None else max(settled, noted.base)
    told = view.row - (settled if noted is None else noted.base)
    kept = _Noted(past, base, {}, {})
    if noted is not None and going is not None:
        stays = ({row: one for row, one in some.items() if row <= going[0]} for some in (noted.parts, noted.rows))
        kept = _Noted(past, base, *stays)
    last = shown.last(view.row - base + named(expectation) - 1)
    _keep(store, Watched(name, digest, ends, b""), kept, beliefs, last, settle)
    return Look(expectation, digest, shown, beliefs[view.row], min(told, len(shown)), trouble)


def _keep(store: Store, row: Watched, noted: _Noted, beliefs: Mapping[int, Kept], shown: Shown, settle: int) -> None:
    """In place of what was kept: what was believed after each of the last `settle` rows and before them, and all that
    is shown; what of them is noted stays as it is."""
    newest = noted.past.row
    oldest = newest + 1 - len(shown)
    parts = {at: one for at, one in noted.parts.items() if at >= newest - settle}
    rows = {at: one for at, one in noted.rows.items() if at >= oldest}
    stay = [*(_part(row.name, at) for at in parts), *(_row(row.name, at) for at in rows)]

    def written() -> Iterator[Watched]:
        for at, kept in beliefs.items():
            if at >= newest - settle:
                data = kept.as_bytes()
                parts[at] = hashlib.sha256(data).hexdigest()
                yield replace(row, name=_part(row.name, at), state=data)
        for at in [at for at in range(oldest, newest + 1) if at not in rows]:
            data = shown.at(at - oldest).as_bytes()
            rows[at] = hashlib.sha256(data).hexdigest()
            yield replace(row, name=_row(row.name, at), state=data)
        # Last, as it has the digests of all.
        yield replace(row, state=replace(noted, parts=parts, rows=rows).as_bytes())

    watched.keep(store, row.name, written(), stay)


def _noted(store: Store, name: str, digest: str, now: datetime) -> tuple[_Noted | None, Shown | None, str]:
    """What was kept of this bundle, what its last rows show, and why it cannot be read."""
    row = watched.load(store, name)
    if row is None or row.bundle != digest or row.through > now:
        return None, None, ""
    try:
        noted = _Noted.from_bytes(row.state)
        found = watched.load_some(store, [_row(name, at) for at in noted.rows])
        states = [found[_row(name, at)].state for at in noted.rows]
        if [hashlib.sha256(state).hexdigest() for state in states] != list(noted.rows.values()):
            raise ValueError(_OTHER)
        return noted, Shown.joined([Shown.from_bytes(state) for state in states]), ""
    except _UNREADABLE as error:
        return None, None, _lost(error)


def _believed(store: Store, name: str, noted: _Noted, changed: int | None) -> tuple[tuple[int, Kept] | None, str]:
    """The last row before what has changed, and what was believed after it; and why that cannot be read."""
    rows = [row for row in noted.parts if changed is None or row < changed]
    if not rows:
        return None, ""
    row = watched.load(store, _part(name, max(rows)))
    if row is None or hashlib.sha256(row.state).hexdigest() != noted.parts[max(rows)]:
        return None, _lost(_OTHER)
    return (max(rows), Kept.from_bytes(row.state)), ""


def _part(name: str, row: int) -> str:
    """Under which what was believed after a row is kept."""
    return f"{name}{PART}{row}"


def _row(name: str, row: int) -> str:
    """Under which what a row shows is kept."""
    return f"{_part(name, row)}{PART}shown"


def _lost(error: object) -> str:
    return f"what earlier looks kept cannot be read ({error}): all was followed anew from the history"


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """Cycles of all the bundle's campaigns, both arms together."""

    first: int
    """Number of the first row."""
    feedback: Feedback
    ends: float
    """When the last row ended in every campaign, seconds UTC."""


def _read(store: Store, now: datetime, expectation: Expectation, view: View, going: tuple[int, Kept] | None) -> _Read:
    newest = None if going is None else view.row - going[0]
    (every,) = returned.read(store, expectation.platforms, now, campaigns=view.campaigns, newest=newest)
    found = returned.believed(store, every)
    ends_C = found.ends_TC[-1]
    ends = float(ends_C[~np.isnat(ends_C)].max().astype(np.int64) / 1e6)
    return _Read(found.first, spread(pooled(list(found.arms.values())), expectation.campaigns), ends)


def _followed(
    expectation: Expectation, going: tuple[int, Kept] | None, read: _Read, settle: int
) -> tuple[Shown, dict[int, Kept]]:
    """What the cycles show, and what is believed after each of the last, by row."""
    kept = Kept.begin(expectation) if going is None else going[1]
    feedback, beliefs, parts = read.feedback, dict[int, Kept](), list[Shown]()
    bulk = max(len(feedback) - settle, 1)
    for first, stop in pairwise((0, *range(bulk, len(feedback) + 1))):
        kept, part = follow(expectation, kept, feedback.between(first, stop))
        parts.append(part)
        beliefs[read.first + stop - 1] = kept
    if not parts:
        raise RuntimeError("no cycle was read")
    return Shown.joined(parts), beliefs
