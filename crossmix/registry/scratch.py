"""Where a bundle arrives while it is fetched: in a folder beside its own, whose name says which process fetches it.

A fetch that ends takes its folder away. One that was killed cannot, so that whoever starts next does it (`sweep`): a
pod that is killed again and again would fill its disk.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

_NAME = re.compile(r"^\..+-(?P<process>\d+)-[^-]+$")


def prefix(target: Path) -> str:
    """How the name begins of the folder in which this process fetches `target`."""
    return f".{target.name}-{os.getpid()}-"


def arrived(target: Path) -> tuple[int, int]:
    """Files and bytes that have come so far of what this process fetches into `target`."""
    files = bytes_ = 0
    for folder in target.parent.glob(f"{prefix(target)}*"):
        for where, _, names in os.walk(folder):
            for name in names:
                try:
                    bytes_ += Path(where, name).stat().st_size
                except FileNotFoundError:
                    continue  # it was put in its place meanwhile
                files += 1
    return files, bytes_


def sweep(folder: Path) -> int:
    """Remove what fetches of processes that are gone have left in a folder of bundles; how many there were.

    To be called before this process fetches anything into it: after a container's restart its number is that of before.
    """
    swept = 0
    for left in folder.glob(".*"):
        named = _NAME.match(left.name)
        if named is None or not left.is_dir() or _another(int(named["process"])):
            continue
        shutil.rmtree(left, ignore_errors=True)
        swept += 1
    return swept


def _another(process: int) -> bool:
    """Whether another process of this number runs here."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


__all__ = ["arrived", "prefix", "sweep"]
