"""The step store: a folder of finished steps that any number of processes, on any number of hosts, may share.

<step>/<key>/                  a finished result with its done.json: there as a whole, or not at all
<step>/<key>.<n>.<token>.tmp/  one being written, under a name that nobody else has; renamed once, the first one wins
<step>/<key>.<n>.work/         checkpoints of a step that can resume, of the n-th of those that compute the key at once
<step>/<key>.<n>.lock          held by that one; the kernel frees it with its process, so that the next goes on there
current/<step>                 the result that the last run used

Two processes with one key both compute it, neither waits: one may hang. The volume must know file locks (flock), as
NFS 4, CephFS and local disks do.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crossmix.artifacts import Done

MOST = 64
"""Processes that may compute one key at once."""
TAKEN = {errno.ENOTEMPTY, errno.EEXIST}


class StoreError(ValueError):
    """The step store cannot be used; the message says what to mount."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Where one process computes one key."""

    half: Path
    """The folder that the result is written to; not made yet."""
    work: Path
    """For its checkpoints; not made yet, or left by a process that was killed."""


def opened(store: str) -> Path:
    """The store's folder, made where its volume is mounted.

    Raises:
        StoreError: it is not mounted, or may not be written.
    """
    path = Path(store)
    if not path.parent.is_dir():
        raise StoreError(
            f"store: {store} is not there: {path.parent} does not exist; mount the volume of the step store on every "
            "step ([store] of the cluster's file), or run without a store"
        )
    try:
        path.mkdir(exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StoreError(
            f"store: {store} cannot be written ({error.strerror}) by user {os.getuid()}, group {os.getgid()}; mount "
            "the volume of the step store, writable to that user"
        ) from None
    return path


@contextmanager
def claim(folder: Path) -> Iterator[Claim]:
    """A place to compute what goes to `folder`, ours until the end.

    What a killed process left there half-written is gone; its checkpoints are not.

    Raises:
        StoreError: the volume knows no file locks, or too many processes compute this key.
    """
    folder.parent.mkdir(exist_ok=True)
    for number in range(MOST):
        base = f"{folder.name}.{number}"
        lock = _locked(folder.with_name(f"{base}.lock"))
        if lock is None:
            continue
        half = folder.with_name(f"{base}.{secrets.token_hex(8)}.tmp")
        try:
            for left in folder.parent.glob(f"{base}.*.tmp"):
                shutil.rmtree(left, ignore_errors=True)
            yield Claim(half, folder.with_name(f"{base}.work"))
        finally:
            shutil.rmtree(half, ignore_errors=True)
            folder.with_name(f"{base}.lock").unlink(missing_ok=True)
            os.close(lock)
        return
    raise StoreError(f"store: {MOST} processes compute {folder} already; wait for them")


def _locked(path: Path) -> int | None:
    """A lock's file, held; `None`: another process holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _same(handle, path):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:
            os.close(handle)
            raise StoreError(
                f"store: {path.parent} takes no file locks ({error.strerror}); use a volume that does, as NFS 4"
            ) from None
        os.close(handle)  # its owner removed it as we opened it


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def publish(half: Path, folder: Path) -> Done:
    """Rename a whole result to its place, once: where another process was first, its result stands and ours goes.

    Returns:
        What stands there.

    Raises:
        StoreError: something without a done.json does, and comes back as it is put aside.
    """
    for _ in range(MOST):
        try:
            half.rename(folder)
        except OSError as error:
            if error.errno not in TAKEN:
                raise
            if (done := Done.found(folder)) is not None:
                shutil.rmtree(half, ignore_errors=True)
                return done
            _put_aside(folder)
            continue
        return Done.load(folder)
    raise StoreError(f"store: {folder} is there without {Done.FILE}, again and again; remove it")


def _put_aside(folder: Path) -> None:
    """Make room where a folder without done.json lies: somebody damaged it."""
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}.tmp")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another process made room
    if Done.found(aside) is not None:  # and put a whole one there before we moved it
        try:
            aside.rename(folder)
        except OSError as error:
            if error.errno not in TAKEN:
                raise
    shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left beside a finished result: their checkpoints and half-written ones."""
    for path in folder.parent.glob(f"{folder.name}.*.lock"):
        lock = _locked(path)
        if lock is None:
            continue
        for left in folder.parent.glob(f"{path.stem}.*"):
            if left != path:
                shutil.rmtree(left, ignore_errors=True)
        path.unlink(missing_ok=True)
        os.close(lock)


def record(store: Path, name: str, folder: Path) -> None:
    """Say which folder this run uses for the step: `<store>/current/<step>` links to it, at every moment."""
    link = store / "current" / name
    link.parent.mkdir(exist_ok=True)
    fresh = link.with_name(f".{name}.{secrets.token_hex(8)}")
    fresh.symlink_to(Path("..") / folder.relative_to(store), target_is_directory=True)
    try:
        fresh.replace(link)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
