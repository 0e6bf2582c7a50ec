"""Whom training used: hashes of user ids, written by the train step as it learns and read back by the gate step.

The gates part users anew from the log. What they must not do is take training's word for it by running the same code:
`users_seen.npz` holds, of the very windows that training was handed, whose steps they are.

    learned   users whose steps were fitted on: features' scale, encoder, heads, rates of first exposures
    stopped   users whose steps ended training and calibrated, or tell lambda

Each is the first 64 bits of SHA-256 of the id, ascending; two of ten million users share one with a chance of 3 in a
million. The file names nobody, and whoever knows an id can find it: it is a check, no protection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmix.journeys.log import Events, JourneyError
from crossmix.journeys.prepared import Log, Prepared
from crossmix.journeys.windows import TEST, TRAIN, VALIDATION, Windows

FILE = "users_seen.npz"
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Seen:
    """Hashes of users, ascending, each once."""

    learned: Hashes
    stopped: Hashes

    def save(self, folder: Path) -> Path:
        """Write `FILE`; its path."""
        np.savez(folder / FILE, learned=self.learned, stopped=self.stopped)
        return folder / FILE

    @classmethod
    def load(cls, folder: Path) -> Seen:
        """Read what `save` wrote.

        Raises:
            JourneyError: it is missing or cannot be read.
        """
        try:
            with np.load(folder / FILE, allow_pickle=False) as stored:
                return cls(stored["learned"], stored["stopped"])
        except (OSError, KeyError, ValueError) as error:
            raise JourneyError(
                f"{folder / FILE}: whom training used cannot be read ({error}); run the train step again"
            ) from None


@dataclass(frozen=True, slots=True)
class Parts:
    """Whom training used against who is judged on, by hash."""

    learned: frozenset[int]
    stopped: frozenset[int]
    tested: frozenset[int]
    held_out: frozenset[int]
    """By ingest, of every fit."""


def used(ready: Prepared) -> Seen:
    """Of what training is handed: windows, and users of a single exposure, who have none and tell first exposures."""
    return Seen(everybody(ready, ready.learn, TRAIN), everybody(ready, ready.validate, VALIDATION))


def parts(log: Log, policy: Path) -> Parts:
    """What the train step wrote into `policy`, and the users of a log whom the gates judge on.

    Raises:
        JourneyError: the train step wrote nothing of it.
    """
    wrote, events = Seen.load(policy), log.ready.events
    return Parts(
        learned=frozenset(wrote.learned.tolist()),
        stopped=frozenset(wrote.stopped.tolist()),
        tested=frozenset(everybody(log.ready, log.ready.test, TEST).tolist()),
        held_out=frozenset(hashes(np.asarray(events.users)[log.held_out_U].tolist()).tolist()),
    )


def hashes(ids: Iterable[str]) -> Hashes:
    """Of user ids, ascending, each once."""
    heads = [hashlib.sha256(one.encode()).digest()[:8] for one in ids]
    return np.unique(np.frombuffer(b"".join(heads), ">u8").astype(np.uint64))


def everybody(ready: Prepared, windows: Windows, part: int) -> Hashes:
    """Whose steps are in the windows, and whose exposures are in the part."""
    user = np.unique(ready.events.of_users(ready.is_of(part)).user_R)
    return np.union1d(users_of(ready.events, windows), hashes(ready.events.users[one] for one in user))


def users_of(events: Events, windows: Windows) -> Hashes:
    """Whose steps are in the windows, judged there or not."""
    user = np.unique(events.user_R[windows.row_NT[windows.real_NT]])
    return hashes(events.users[one] for one in user)
