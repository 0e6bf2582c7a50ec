"""A registered version: number, run, digest, aliases, tags, and who promoted it why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Version:
    """A registered bundle."""

    name: str
    number: int
    run_id: str
    digest: str
    """The bundle's."""
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    note: str = ""
    """Why it is champion, or why it is not."""

    @property
    def promotion(self) -> dict[str, str]:
        """`actor` and `reason` of the change that made it champion; empty where it never was.

        Versions promoted under the names of before have `by` and `why` in their tag.
        """
        tag = json.loads(self.tags.get("promoted", "{}"))
        change = {"actor": tag.get("actor", tag.get("by")), "reason": tag.get("reason", tag.get("why"))}
        return {name: str(value) for name, value in change.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """For summary.json."""
        return {
            "name": self.name,
            "version": self.number,
            "aliases": list(self.aliases),
            "run_id": self.run_id,
            "bundle_digest": self.digest,
            "note": self.note,
        }
