"""Python as if only a lock's packages were installed: the others' modules cannot be imported."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

PRELUDE = """
import json, sys
class Absent:
    blocked = frozenset(json.loads(open({file!r}).read()))
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        parts = name.split(".")
        if any(".".join(parts[:end]) in cls.blocked for end in range(1, len(parts) + 1)):
            raise ModuleNotFoundError(f"No module named {{name!r}} (not in the lock)", name=name)
sys.meta_path.insert(0, Absent)
"""
OWN = "crossmix"


def modules(distribution: metadata.Distribution) -> set[str]:
    """Dotted names of the modules that a distribution's files are, packages too."""
    found = set()
    for file in distribution.files or []:
        name = file.name.partition(".")[0]
        if file.suffix not in (".py", ".so") or ".." in file.parts or file.parts[0].endswith((".dist-info", ".data")):
            continue
        whole = (*file.parts[:-1], *(() if name == "__init__" else (name,)))
        found |= {".".join(whole[:end]) for end in range(1, len(whole) + 1)}
    return found


@cache
def blocked(locked: frozenset[str]) -> frozenset[str]:
    """Modules of installed packages that `locked` lacks, less those that a package of `locked` has too.

    Two packages may share a folder, as mlflow and mlflow-skinny: then single modules are blocked.
    """
    held, others = set[str](), set[str]()
    for distribution in metadata.distributions():
        name = canonicalize_name(distribution.metadata["Name"])
        if name in locked or name == OWN:
            held |= modules(distribution)
        else:
            others |= modules(distribution)
    return frozenset(others - held)


def environment(folder: Path, locked: Collection[str]) -> str:
    """A PYTHONPATH under which every Python has only `locked`, of which files come to lie in `folder`."""
    file = folder / "blocked.json"
    file.write_text(json.dumps(sorted(blocked(frozenset(locked)))))
    (folder / "sitecustomize.py").write_text(PRELUDE.format(file=str(file)))
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
