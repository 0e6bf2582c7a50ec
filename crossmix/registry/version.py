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

    @property
    def restored(self) -> dict[str, Any] | None:
        """The rollback that made it champion: `over`, `actor`, `at`, `reason`; `None`: a promotion did."""
        tag: dict[str, Any] = json.loads(self.tags.get("promoted", "{}"))
        return tag if tag.get("rollback") else None

    @property
    def rolled_back(self) -> dict[str, Any] | None:
        """The rollback that took it out, since it was promoted last: `to`, `actor`, `at`, `reason`."""
        tag: dict[str, Any] | None = json.loads(self.tags.get("rolled_back", "null"))
        return tag

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


CHAMPION_DIGEST, CHAMPION_RATIO = "champion_digest", "champion_ratio"
"""Tags of a version that was judged beside the champion of then: its bundle's digest, and its oracle ratio in the
version's own market."""


def compare(
    version: Version, champion: Version, figure: str = "oracle_ratio", label: str = "oracle ratio"
) -> tuple[bool, str]:
    """Whether it wins by its kind's figure, a tag; of a split both in one market. Of different data or config: no.

    A version that was judged beside this champion brings the champion's figure in its own market.
    """
    beside = version.tags.get(CHAMPION_DIGEST) == champion.digest
    for key in () if beside else ("data_digest", "evaluate_digest"):
        if version.tags.get(key) != champion.tags.get(key):
            return False, "they were judged on different data or by different rules; judge both on the same to compare"
    try:
        ours = float(version.tags[figure])
        theirs = float(version.tags[CHAMPION_RATIO] if beside else champion.tags[figure])
    except (KeyError, ValueError):
        return False, f"one of them has no {label}"
    sign = "above" if ours > theirs else "not above"
    return ours > theirs, f"{label} {ours:.4f} is {sign} the champion's {theirs:.4f}"


def rollback_to(champion: Version | None, previous: Version | None, of: int | None) -> tuple[Version, str]:
    """The version that a rollback makes champion; the champion, with a note, where it changes nothing.

    Args:
        previous: the champion before.
        of: version to take out; `None`: the champion, unless a rollback made it champion.

    Raises:
        LookupError: there is no version to go back to, or it was rolled back itself; the message has the remedy.
    """
    if champion is not None and of is not None and champion.number != of:
        return champion, f"version {of} is not champion, nothing was rolled back"
    if champion is not None and of is None and champion.restored is not None:
        gone = champion.restored
        note = (
            f"version {gone['over']} was rolled back already, at {gone['at']} by {gone['actor']}; to take version "
            f"{champion.number} out too, name it"
        )
        return champion, note
    if previous is None or (champion is not None and previous.number == champion.number):
        raise LookupError(
            "no version has the alias 'previous', so there is nothing to roll back to; promote another version instead"
        )
    if previous.rolled_back is not None:
        gone = previous.rolled_back
        raise LookupError(
            f"the champion before is version {previous.number}, which was rolled back at {gone['at']} by "
            f"{gone['actor']} ({gone['reason']}); promote another version instead"
        )
    return previous, ""
