"""The bundle's files and its manifest: what is in it, what it is called, and whether it is as it was saved.

`digest` names what would be served: equal files, data and config give an equal digest, whatever a gate measured.
`seal` covers the entire manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossmix import config as config_module

FORMAT = 2
FILES = (
    "policy.onnx",
    "config.json",
    "state_layout.json",
    "platforms.json",
    "limits.json",
    "plans.json",
    "contexts.npz",
    "responses.npz",
    "probe.npz",
)
OPTIONAL = ("watch.npz",)
"""What a bundle may lack; where the manifest lists one, it is verified as the others are."""


class BundleError(ValueError):
    """A bundle that must not serve; the message names the file, what is wrong with it and the remedy."""


def identity(manifest: Mapping[str, Any]) -> str:
    """Digest of what is served: the files, the data and config behind them, the format."""
    return config_module.digest({key: manifest[key] for key in ("format", "files", "data_digest", "config_digest")})


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest with its seal."""
    content = {key: value for key, value in manifest.items() if key != "seal"}
    write(folder / "manifest.json", {**content, "seal": config_module.digest(content)})


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, its format and seal verified; raises `BundleError`."""
    file = folder / "manifest.json"
    manifest = read(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        written = manifest.get("format") if isinstance(manifest, dict) else None
        raise BundleError(f"{file}: format {written!r}, this version reads {FORMAT}; save the bundle again with it")
    content = {key: value for key, value in manifest.items() if key != "seal"}
    if manifest.get("seal") != config_module.digest(content) or manifest["digest"] != identity(manifest):
        raise BundleError(f"{file}: changed since it was saved; fetch the bundle again")
    return manifest


def verify(file: Path, expected: str | None) -> None:
    """Raise `BundleError` unless the file is there and has the manifest's digest; `None`: the manifest has none."""
    if expected is None:
        raise BundleError(f"{file}: the manifest does not list it; save the bundle again")
    if not file.is_file():
        raise BundleError(f"{file}: missing; fetch the bundle again")
    digest = sha256(file)
    if digest != expected:
        raise BundleError(
            f"{file}: SHA-256 {digest[:12]} is not the manifest's {expected[:12]}; fetch the bundle again"
        )


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write(file: Path, content: Any) -> None:
    """Write JSON: the same bytes for equal content."""
    file.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read(file: Path) -> Any:
    """Read JSON; raises `BundleError`."""
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        raise BundleError(f"{file}: missing; fetch the bundle again") from None
    except ValueError as error:
        raise BundleError(f"{file}: not JSON ({error}); fetch the bundle again") from None
