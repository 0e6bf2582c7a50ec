"""The bundle's files and its manifest: what is in it, what it is called, and whether it is as it was saved.

`digest` names what would be served: equal files, data and config give an equal digest, whatever a gate measured.
`seal` covers the entire manifest.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossmix import config as config_module
from crossmix.bundle.kinds import KINDS, SPLIT, Kind

FORMAT = 2
FILES, EXTRAS = SPLIT.files, SPLIT.extras
"""Of the split: what a bundle has, and what it may have beside it."""


class BundleError(ValueError):
    """A bundle that must not serve; the message names the file, what is wrong with it and the remedy."""


def identity(manifest: Mapping[str, Any]) -> str:
    """Digest of what is served: the files, the data and config behind them, the format; of all but splits the kind."""
    keys = ("format", "files", "data_digest", "config_digest")
    named = () if kind_name(manifest) == SPLIT.name else ("kind",)
    return config_module.digest({key: manifest[key] for key in (*keys, *named)})


def kind_name(manifest: Mapping[str, Any]) -> str:
    """The kind that a manifest names; bundles of before name none and are splits."""
    return str(manifest.get("kind", SPLIT.name))


def close(
    folder: Path,
    kind: Kind,
    *,
    config: config_module.Config,
    data_digest: str,
    probe: Mapping[str, Any],
    extras: Iterable[str] = (),
    gates: Sequence[Mapping[str, Any]] = (),
    lineage: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the manifest of a folder that has the kind's files but for config.json, which is written too.

    Args:
        probe: what the bundle answers to its stored probe, arrays by name as lists, and `tolerance` (`check_answer`).
        extras: names of the files that it has of `kind.extras`.
        more: further keys of the manifest.
    """
    carried = config_module.carried(config)
    write(folder / "config.json", carried)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "kind": kind.name,
        "files": {name: sha256(folder / name) for name in (*kind.files, *extras)},
        "data_digest": data_digest,
        "config_digest": config_module.digest(carried),
        "probe": dict(probe),
        "gates": [dict(gate) for gate in gates],
        "lineage": dict(lineage or {}),
        **(more or {}),
    }
    manifest["digest"] = identity(manifest)
    seal(folder, manifest)
    return manifest


def emptied(folder: Path) -> None:
    """Make the folder and empty it, so that a bundle can be saved into it.

    Raises:
        BundleError: it holds files that are no bundle.
    """
    if folder.exists():
        if any(folder.iterdir()) and not (folder / "manifest.json").exists():
            raise BundleError(f"{folder}: holds other files; save the bundle into an empty folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest with its seal."""
    content = {key: value for key, value in manifest.items() if key != "seal"}
    write(folder / "manifest.json", {**content, "seal": config_module.digest(content)})


def annotate(
    folder: Path, gates: Sequence[Mapping[str, Any]], lineage: Mapping[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """Put gate figures, more lineage and further keys into a saved manifest; its digest stays, its seal is renewed."""
    manifest = read_manifest(folder)
    manifest |= {"gates": [dict(gate) for gate in gates], "lineage": {**manifest["lineage"], **(lineage or {})}, **more}
    seal(folder, manifest)
    return manifest


def read_manifest(folder: Path, kind: Kind | None = None) -> dict[str, Any]:
    """The manifest, its format, seal and kind verified.

    Args:
        kind: what the bundle must be; `None`: any kind that this version knows.

    Raises:
        BundleError: it is another kind, or changed, or of another version.
    """
    file = folder / "manifest.json"
    manifest = read(file)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        written = manifest.get("format") if isinstance(manifest, dict) else None
        raise BundleError(f"{file}: format {written!r}, this version reads {FORMAT}; save the bundle again with it")
    content = {key: value for key, value in manifest.items() if key != "seal"}
    if manifest.get("seal") != config_module.digest(content) or manifest["digest"] != identity(manifest):
        raise BundleError(f"{file}: changed since it was saved; fetch the bundle again")
    named = kind_name(manifest)
    if named not in KINDS:
        raise BundleError(f"{file}: kind {named!r} is unknown here; this version reads {', '.join(KINDS)}")
    if kind is not None and kind.name != named:
        raise BundleError(
            f"{file}: a bundle of kind {named!r} where one of kind {kind.name!r} is asked for; it is for "
            f"{KINDS[named].serves}"
        )
    return manifest


def verified(folder: Path, kind: Kind | None = None) -> dict[str, Any]:
    """The manifest, and every file that the kind has or the manifest lists verified; raises `BundleError`."""
    manifest = read_manifest(folder, kind)
    of_kind = KINDS[kind_name(manifest)]
    for name in of_kind.files:
        verify(folder / name, manifest["files"].get(name))
    for name in of_kind.extras:
        if name in manifest["files"]:
            verify(folder / name, manifest["files"][name])
    return manifest


def check_answer(file: Path, got: Mapping[str, Any], expected: Mapping[str, Any], remedy: str) -> None:
    """Raise `BundleError` unless the answers to the stored probe are those of the manifest, within its tolerance.

    Args:
        file: what answered, for the message.
        got: arrays by name.
        expected: `manifest["probe"]`.
    """
    for name, answer in got.items():
        want = np.asarray(expected.get(name, ()), np.float64)
        answer = np.asarray(answer, np.float64)
        off = float(np.abs(answer - want).max()) if answer.shape == want.shape else np.inf
        if not off <= float(expected["tolerance"]):
            raise BundleError(
                f"{file}: answers the stored probe {off:.2g} off (allowed {expected['tolerance']:g}); {remedy}"
            )


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
