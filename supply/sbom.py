"""A bill of materials from a lock: CycloneDX 1.6, the same bytes for the same lock."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from supply import licences
from supply.locks import ROOT, Locked


def of(name: str, lock: Mapping[str, Locked]) -> dict[str, Any]:
    """The bill of materials of a target, with its packages' files' hashes and what they say of their licences.

    It has no time and no serial number: those would tell when it was written, which is no matter of what it lists.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": f"crossmix-{name}",
                "name": f"crossmix-{name}",
                "version": version,
            }
        },
        "components": [_component(package, locked) for package, locked in sorted(lock.items())],
        "dependencies": [
            {
                "ref": f"crossmix-{name}",
                "dependsOn": [_purl(package, locked) for package, locked in sorted(lock.items())],
            }
        ],
    }


def _purl(package: str, locked: Locked) -> str:
    return f"pkg:pypi/{package}@{locked.version.replace('+', '%2B')}"


def _component(package: str, locked: Locked) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _purl(package, locked),
        "name": package,
        "version": locked.version,
        "purl": _purl(package, locked),
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in locked.digests],
        "licenses": [{"license": {"name": licences.of(package)}}],
    }
