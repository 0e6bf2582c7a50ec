"""What the pusher needs of the server that it is in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from crossmix.ledger.campaigns import Campaign
from crossmix.ledger.store import Store
from serving.feedback.gaps import Gaps


class Pushing(Protocol):
    """What the pusher needs of the server."""

    @property
    def store(self) -> Store:
        """The database; raises `StoreAwayError`."""

    @property
    def platforms(self) -> tuple[str, ...]:
        """In slot order."""

    @property
    def campaigns(self) -> Mapping[str, Campaign]:
        """As last read; an unchanged one stays the same object."""

    @property
    def gaps(self) -> Gaps:
        """Where to say what is missing."""

    def weight(self, arm: str, start: datetime | None = None) -> float:
        """The arm's part of the budget of a cycle that begins at `start`."""


class Tried(Protocol):
    """Where the arm of a version on trial begins (`serving.canary.trial.Trial`)."""

    def first(self, campaign: Campaign) -> int | None:
        """Its first cycle; `None`: none is on trial."""

    def weight(self, arm: str, campaign: Campaign, cycle: int) -> float:
        """Its part of the budget of a cycle."""

    def history(self, campaign: Campaign, policy: Any, own: Any) -> Any:
        """What it goes on from: increments, complete cells and splits, as the policy's and its own are."""
