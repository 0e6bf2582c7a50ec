"""What a bundle can be, and which files make one of each kind.

A kind's own `save` and `load` stand with what it is: the split's here (`crossmix.bundle.folder`), that of creators in
`crossmix.creators.bundled`. Manifest, seal, digest and probe are one for all (`crossmix.bundle.manifest`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind."""

    name: str
    """`manifest.kind`."""
    files: tuple[str, ...]
    """What every bundle of it has beside its manifest."""
    extras: tuple[str, ...] = ()
    """What one may have besides; where the manifest lists one, it is verified as the others are."""
    serves: str
    """What answers with it, for the sentence with which others refuse it."""


SPLIT = Kind(
    name="split",
    files=(
        "policy.onnx",
        "config.json",
        "state_layout.json",
        "platforms.json",
        "limits.json",
        "plans.json",
        "contexts.npz",
        "responses.npz",
        "probe.npz",
    ),
    extras=("usual.npz", "watch.npz"),
    serves="`crossmix allocate` and the model of the split",
)
JOURNEY = Kind(
    name="journey",
    files=("config.json", "layout.json", "prices.json", "response.onnx", "probe.npz"),
    serves="`crossmix journeys simulate` and the model of journeys",
)
CREATORS = Kind(
    name="creators",
    files=("config.json", "catalogue.npz", "predictor.npz", "probe.npz"),
    extras=("actor.onnx",),
    serves="`crossmix plan` and the model of creators",
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (SPLIT, JOURNEY, CREATORS)})
KIND_OF_TASK: Mapping[str, str] = MappingProxyType({"split": "split", "journeys": "journey", "creators": "creators"})
"""`config.task` to the kind of its bundle."""
