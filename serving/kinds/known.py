"""Which kinds this server answers beside the split, and what answers with a bundle of each.

A kind whose part is not in this version is refused by name once it has a champion; until then it waits for one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from crossmix import bundle as bundles
from crossmix.bundle import BundleError
from crossmix.clock import Clock, wall
from serving.kinds.answering import Answering


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A kind that is served."""

    kind: str
    """`manifest.kind`, and the name of the KServe model."""
    registered: str
    """Setting of `registry` that names its registered model."""
    load: str
    """What reads and verifies a bundle, as `module:function` of its folder."""
    answering: str
    """What answers with what `load` gives, as `module:class` of that, the feature folder and the clock."""
    task: str
    """`config.task` of the runs that make it."""

    def opened(self, folder: Path) -> Any:
        """The bundle of a folder; raises `BundleError`."""
        bundles.verified(folder, bundles.KINDS[self.kind])
        return _named(self.load, self.kind)(folder)

    def answers(self, loaded: Any, features: Path | None, clock: Clock = wall) -> Answering:
        """What answers with a bundle; raises `BundleError` where this version has nothing that does.

        Args:
            features: feature folder, where users' sequences are; `None`: there is none.
            clock: the time at which questions are asked.
        """
        made: Answering = _named(self.answering, self.kind)(loaded, features, clock)
        return made


def _named(where: str, kind: str) -> Any:
    module, _, name = where.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise BundleError(
            f"kind {kind!r}: this version of crossmix has nothing that answers it ({error}); install one that has"
        ) from None


KNOWN: Mapping[str, Known] = MappingProxyType(
    {
        one.kind: one
        for one in (
            Known(
                kind="creators",
                registered="creators_model",
                load="crossmix.creators.bundled:load",
                answering="serving.kinds.creators:Creators",
                task="creators",
            ),
            Known(
                kind="journey",
                registered="journey_model",
                load="crossmix.journeys.bundled:load",
                answering="serving.kinds.journey:Journeys",
                task="journeys",
            ),
        )
    }
)
"""By kind."""
