"""A run holds OUT/.lock; its steps watch it, and end when the run is gone.

kfp starts each step as a child of a child, so a SIGKILL of the run would leave the step alive: it would go on writing
into the step store beside the run that was started after it. The kernel drops a file lock with the process that
holds it, however that process ends, so the lock is the lifeline.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from crossmix.background import Loop

LOCK_VARIABLE = "CROSSMIX_LOCK"
POLL_SECONDS = 0.25
KILLED = 137


class RunningError(ValueError):
    """Another run holds the folder."""


@contextlib.contextmanager
def hold(out: Path) -> Iterator[None]:
    """Own `out` for one run: steps started meanwhile end with this process. `RunningError` if another run owns it."""
    path = (out / ".lock").resolve()
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunningError(
                f"--out {out}: another run is writing there; wait for it, or name another folder"
            ) from None
        lock.seek(0)
        if lock.read():  # the last owner was killed: give its steps time to notice
            time.sleep(4 * POLL_SECONDS)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        os.environ[LOCK_VARIABLE] = f"{os.getpid()}:{path}"
        try:
            yield
        finally:
            del os.environ[LOCK_VARIABLE]
            lock.truncate(0)


def watch() -> None:
    """In a step: end this process at once when the run that started it is gone. Nothing to do on a cluster."""
    owner, _, path = os.environ.get(LOCK_VARIABLE, "").partition(":")
    if path:
        Loop("lifeline", POLL_SECONDS, partial(_end_without, owner, Path(path)), at_once=True).start()


def _end_without(owner: str, path: Path) -> None:
    if not _alive(owner, path):
        os._exit(KILLED)


def _alive(owner: str, path: Path) -> bool:
    try:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return path.read_text() == owner  # held: by ours, or already by the next run
    except OSError:
        return False
    return False
