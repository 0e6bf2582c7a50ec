"""Campaigns of a spend history that are read as one account, and campaigns that had better be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmix.artifacts.file import Part

SHOWN = 6
"""Campaigns that a sentence names."""
REMEDY = "--set data.campaigns=together"


@dataclass(frozen=True, slots=True)
class Joined(Part):
    """Campaigns of a spend history that are read as one (`data.campaigns`, `data.campaign_groups`)."""

    campaign: str
    """What they are called together."""
    campaigns: tuple[str, ...]
    """By name; two or more."""

    @property
    def sentence(self) -> str:
        """For a person: answers say it."""
        return (
            f"{self.campaign} = {named(self.campaigns)}: {len(self.campaigns)} campaigns read as one, whose mix on "
            "each platform is taken to stay as it is"
        )


@dataclass(frozen=True, slots=True)
class Alone(Part):
    """Campaigns that ran on one platform each, of an account that ran on several."""

    campaigns: tuple[str, ...]
    """Of those that run today, by name."""
    platforms: tuple[str, ...]
    """Of the account, by name."""
    every: bool
    """No campaign that runs today ran on more than one."""

    @property
    def unmoved(self) -> str:
        """Why budgets within them can hardly move, for the middle of a sentence."""
        if self.every:
            return (
                f"each of the {len(self.campaigns)} campaigns ran on one platform alone, so that a campaign's budget "
                "can move by a probe at most: nothing proves what another platform would bring there"
            )
        each = "alone" if len(self.campaigns) == 1 else "each"
        return (
            f"{named(self.campaigns)} ran on one platform {each}, so that what another would bring there is borrowed "
            "from other campaigns at best, and nothing proves it"
        )

    @property
    def whole(self) -> str:
        """What can be answered of the account as a whole, for the middle of a sentence."""
        return f"how to split the whole budget among {', '.join(self.platforms)}, moving money between campaigns"

    @property
    def sentence(self) -> str:
        """For a person: run, report, allocate and whatif say the same."""
        begun = f"E{self.unmoved[1:]}" if self.every else self.unmoved
        return f"{begun}. Say {REMEDY}, which reads all campaigns as one account: it answers {self.whole}."


def named(campaigns: Sequence[str]) -> str:
    """Their names, at most `SHOWN` of them."""
    rest = len(campaigns) - SHOWN
    return ", ".join(campaigns[:SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")
