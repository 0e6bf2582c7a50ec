"""How much memory ingest may take: the least of the machine's and of its cgroups' limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crossmix.ingest.memory import GIB, SHARE, engine_memory, there_is

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
LIMIT = 256 * 2**20


def _groups(folder: Path, own: str, limits: dict[str, str]) -> tuple[Path, Path]:
    """Mounted cgroups with these files, and the process's own list of them."""
    for name, text in limits.items():
        (folder / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup" / name).write_text(text + "\n")
    (folder / "own").write_text(own)
    return folder / "cgroup", folder / "own"


@pytest.mark.parametrize(
    ("own", "limits", "told"),
    [
        ("0::/\n", {"memory.max": str(LIMIT)}, LIMIT),
        ("0::/\n", {"memory.max": "max"}, MACHINE),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": str(LIMIT), "memory.max": str(2 * LIMIT)}, LIMIT),
        ("3:cpu,memory:/pod\n0::/\n", {"memory/pod/memory.limit_in_bytes": str(LIMIT)}, LIMIT),
        ("4:memory:/docker/not/here\n", {"memory/memory.limit_in_bytes": str(LIMIT)}, LIMIT),
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "9223372036854771712"}, MACHINE),
        ("5:cpu:/x\n", {"memory/x/memory.limit_in_bytes": str(LIMIT)}, MACHINE),
    ],
    ids=["v2", "v2 without", "of a parent", "v1", "path of the host", "v1 without", "another controller"],
)
def test_the_least_limit_counts(tmp_path: Path, own: str, limits: dict[str, str], told: int) -> None:
    assert there_is(*_groups(tmp_path, own, limits)) == told


def test_without_cgroups_it_is_the_machines(tmp_path: Path) -> None:
    assert there_is(tmp_path / "none", tmp_path / "nothing") == MACHINE


def test_what_the_config_names_counts_and_else_a_share_of_what_there_is() -> None:
    assert engine_memory(2.5) == 2.5 * GIB
    assert engine_memory(None) == int(SHARE * there_is())
