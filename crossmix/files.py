"""One way to write a file: a reader sees the whole of it, or what was there before."""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECRET_MODES = (0o600, 0o400)
"""Of a file of secrets that its owner alone reads."""
GROUP_MODE = 0o440
"""As a cluster mounts a secret for a user that is not root: the volume's group (`fsGroup`) reads it."""


def exposed(status: os.stat_result) -> str | None:
    """Why a file of secrets is not this process's alone, with the remedy; `None`: it is.

    Its owner alone reads it (mode 600 or 400), or it has mode 440 and a group that this process is in.
    """
    mode = stat.S_IMODE(status.st_mode)
    if mode in SECRET_MODES:
        return None
    if mode != GROUP_MODE:
        return f"its mode is {mode:o}, others could use it; run chmod 600 on it"
    if status.st_gid in {os.getegid(), *os.getgroups()}:
        return None
    return (
        f"its mode is 440 and its group {status.st_gid} is none of this process's, which others could be in; "
        "run chmod 600 on it, or name the group as fsGroup where a cluster mounts it"
    )


@contextmanager
def replacing(path: Path, *, durable: bool = False, mode: int = 0o666) -> Iterator[Path]:
    """An empty file beside `path` to be written; at the end it takes the place of `path`, after an error it is gone.

    Args:
        durable: on the disk before it returns, so that it outlives a power cut.
        mode: of the file, less the umask.

    Raises:
        OSError: the folder is not there or cannot be written.
    """
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield half
        if durable:
            _sync(half)
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    if durable:
        _sync(path.parent)


def write(path: Path, content: str | bytes, *, durable: bool = False, mode: int = 0o666) -> None:
    """Write text (UTF-8) or bytes by `replacing`."""
    with replacing(path, durable=durable, mode=mode) as half:
        half.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: Any, *, durable: bool = False, mode: int = 0o666) -> None:
    """Write a value as JSON, indented, by `replacing`; raises `ValueError` for what JSON cannot hold, as NaN."""
    write(path, json.dumps(value, indent=2, allow_nan=False) + "\n", durable=durable, mode=mode)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
