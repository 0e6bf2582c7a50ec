"""How much memory ingest may take: what the machine has, or the container it runs in."""

from __future__ import annotations

import os
from pathlib import Path

GIB = 2**30
SHARE = 0.6
"""Of the memory there is, what the engine may hold where the config names nothing: the rest is for Arrow, Parquet and
what else runs. DuckDB's own default is 80 %, and it does not count all that it takes."""


def engine_memory(gib: float | None) -> int:
    """Bytes that the engine may hold: `data.memory` where it is named."""
    return int(SHARE * there_is() if gib is None else gib * GIB)


def there_is(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of memory that this process may use at most: the machine's, or the least limit of the cgroups it is in.

    Args:
        groups: where cgroups are mounted, of version 2 or 1.
        own: the process's cgroups; each line is `number:controllers:path`. A container may see the path of its host,
            which is not there; its own limit is then at the top.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    lines = own.read_text().splitlines() if own.is_file() else []
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
        below = Path(path.lstrip("/"))
        for folder in (below, *below.parents):
            file = top / folder / name
            limit = file.read_text().strip() if file.is_file() else "max"
            limits += [int(limit)] if limit.isdecimal() else []
    return min(limits)
