"""The kill switch's own lane: overrides and pauses hold at once, whatever the database does.

A change goes into a file and into memory, is served from then on, and is written to the database before every other
writer that waits. Where that takes longer than `ANSWER_SECONDS` the change is acknowledged as pending: this server
serves it, also after a restart; other servers learn of it from the database. The order of changes is kept, none is
written twice, and what somebody decided later stands.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from crossmix.background import sentence
from crossmix.ledger import switches
from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.store import Store
from crossmix.ledger.switches import Switch
from serving.campaigns.journal import Journal

_log = logging.getLogger(__name__)
ANSWER_SECONDS = 0.5
"""How long an answer waits for the database."""
RETRY_SECONDS = 0.5
WAITS = "the database has not answered yet"
PENDING = (
    "this server serves it from now on, also after a restart; the database cannot be written now and gets it when it "
    "can, and other servers learn of it then"
)
NOT_KEPT = (
    "this server serves it from now on, but neither the database nor its own folder can be written: until one can, a "
    "restart forgets it, and other servers do not learn of it"
)


@dataclass(eq=False, slots=True)
class Entry:
    """A change on its way."""

    number: str
    switch: Switch
    kept: bool = False
    """In the file."""
    revision: int | None = None
    """The database's with it; `None`: it is not written."""
    written: threading.Event = field(default_factory=threading.Event)

    def note(self) -> str | None:
        """What its answer must say while it is not in the database."""
        if self.revision is not None:
            return None
        return PENDING if self.kept else NOT_KEPT


class Lane:
    """Changes that wait for the database, in their order.

    Args:
        store: gives the database, or raises `StoreAwayError`.
        file: in which they outlive a restart.
        applied: called with a campaign's name once a change of it holds, before it is acknowledged.
    """

    def __init__(self, store: Callable[[], Store], file: Path, applied: Callable[[str], None]) -> None:
        self.trouble: str | None = None
        """Why what waits is not in the database; `None`: nothing waits, or for less than `ANSWER_SECONDS`."""
        self.since: float | None = None
        """Of the trouble; seconds, UTC."""
        self._store, self._applied = store, applied
        self._journal = Journal(file)
        self._entries: list[Entry] = []
        self._changed = threading.Condition()
        self._moments: deque[Any] = deque(maxlen=1_000)
        self._thread: threading.Thread | None = None
        self._halt = False
        self._own = ThreadPoolExecutor(1, thread_name_prefix="kill switch")
        for number, row in self._journal.rows.items():
            try:
                self._entries.append(Entry(number, Switch.from_dict(row), kept=True))
            except (KeyError, TypeError, ValueError) as error:
                _log.error("%s: a change cannot be read (%s)", file, error)

    # ---- who asks ----------------------------------------------------------------------------------------------------

    async def ask(self, switch: Switch) -> Entry:
        """`put`, and a short wait for the database; on a thread of its own, whatever other writers do."""
        entry = await asyncio.get_running_loop().run_in_executor(self._own, self.put, switch)
        last = time.monotonic() + ANSWER_SECONDS
        while not entry.written.is_set() and time.monotonic() < last:
            await asyncio.sleep(0.005)
        # Without the lock, which a slow disk may hold: this is the loop's thread.
        if entry.revision is None and self.trouble is None:
            self._away(WAITS)
            if entry.revision is not None:  # it was written meanwhile
                self.trouble, self.since = None, None
        return entry

    def put(self, switch: Switch) -> Entry:
        """Let a change hold from now on, here and after a restart."""
        with self._changed:
            switch = self._of_its_own_moment(switch)
            entry = Entry(secrets.token_hex(8), switch)
            try:
                self._journal.add(entry.number, switch.as_dict())
                entry.kept = True
            except OSError as error:
                _log.error("%s: %s cannot be kept (%s)", switch.action, switch.campaign_id, error.strerror)
            self._entries.append(entry)
        self._applied(switch.campaign_id)
        self.start()
        return entry

    def _of_its_own_moment(self, switch: Switch) -> Switch:
        """With a moment that no other change of this lane has: by it the trail knows a change again."""
        at = switch.at
        while at in self._moments:
            at += timedelta(microseconds=1)
        self._moments.append(at)
        return replace(switch, at=at)

    # ---- who serves --------------------------------------------------------------------------------------------------

    def names(self) -> set[str]:
        """Campaigns with changes that the server may not have read from the database yet."""
        with self._changed:
            return {entry.switch.campaign_id for entry in self._entries}

    def over(self, campaign: Campaign, revision: int) -> Campaign:
        """A campaign with the changes on top that the database did not have at `revision`."""
        with self._changed:
            for entry in self._entries:
                later = entry.revision is None or entry.revision > revision
                if later and entry.switch.campaign_id == campaign.campaign_id:
                    campaign = entry.switch.on(campaign)
        return campaign

    def settled(self, revision: int) -> None:
        """The server has read, and kept for a restart, what the database had at `revision`."""
        with self._changed:
            for entry in [one for one in self._entries if one.revision is not None and one.revision <= revision]:
                self._entries.remove(entry)
                try:
                    self._journal.done(entry.number)
                except OSError as error:
                    _log.warning("the kill switch's file cannot be written (%s)", error.strerror)

    # ---- the writer --------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Take the file's room, and begin to write what an earlier process left."""
        try:
            self._journal.prepare()
        except OSError as error:
            _log.warning("the kill switch's file has no room of its own (%s)", error.strerror)
        if self._entries:
            self.start()

    def start(self) -> None:
        """Begin to write, or go on."""
        with self._changed:
            self._changed.notify_all()
            if self._thread is None and not self._halt:
                self._thread = threading.Thread(target=self._run, name="kill switch writer", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the writer; what it did not write stays in the file."""
        with self._changed:
            self._halt = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)
        self._own.shutdown(wait=False)

    def _next(self) -> Entry | None:
        return next((entry for entry in self._entries if entry.revision is None), None)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._halt or self._next() is not None)
                entry = self._next()
                if self._halt or entry is None:
                    return
            if self._write(entry):
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._halt, RETRY_SECONDS)

    def _away(self, why: str) -> None:
        self.since = self.since or time.time()
        self.trouble = why

    def _write(self, entry: Entry) -> bool:
        try:
            revision = switches.write(self._store(), entry.switch)
        except Exception as error:  # whatever it is, the change must not get lost
            if self.trouble in (None, WAITS):
                _log.warning("%s of %s waits: %s", entry.switch.action, entry.switch.campaign_id, error)
            self._away(sentence(error))
            return False
        if revision is None:
            _log.error("%s: there is no campaign %r", entry.switch.action, entry.switch.campaign_id)
        with self._changed:
            entry.revision = -1 if revision is None else revision
            self.trouble, self.since = None, None
        entry.written.set()
        return True
