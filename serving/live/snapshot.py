"""What answers read: campaigns with their numbers in slot order, and the experiment, as the database had them.

Shapes: P platforms.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix import constraints
from crossmix.ledger import canaries
from crossmix.ledger.campaigns import Campaign
from serving.assignment import arms
from serving.assignment.arms import Experiment

Array = NDArray[Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A campaign with its numbers in slot order."""

    campaign: Campaign
    limits: constraints.Limits[Array]
    static_P: Array
    override_P: Array | None
    """The split that an override serves, (P,)."""

    @classmethod
    def of(cls, campaign: Campaign, platforms: Sequence[str]) -> Planned:
        """`platforms`: in slot order."""
        static_P, override_P = np.array([campaign.share.get(name, 0.0) for name in platforms]), None
        if campaign.override is not None:
            share = campaign.override.share
            override_P = static_P if share is None else np.array([share.get(name, 0.0) for name in platforms])
        return cls(campaign, campaign.box(platforms), static_P, override_P)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Campaigns and experiment as the database had them at `revision`."""

    revision: int = -1
    planned: Mapping[str, Planned] = field(default_factory=dict)
    experiment: Experiment | None = None
    """The newest, with those before; `None`: none is known yet."""
    notes: tuple[str, ...] = ()
    campaigns: Mapping[str, Campaign] = field(init=False)
    """Of `planned`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "campaigns", {name: planned.campaign for name, planned in self.planned.items()})

    @property
    def everybody(self) -> str | None:
        """The arm that every user gets since the experiment ended; `None` while it runs, or where none is known."""
        return None if self.experiment is None else self.experiment.everybody

    @property
    def ended(self) -> str | None:
        """Why the experiment ended; `None` while it runs."""
        return None if self.experiment is None or self.everybody is None else self.experiment.reason or "it was ended"

    @property
    def ended_at(self) -> datetime | None:
        """When it ended."""
        return None if self.experiment is None or self.everybody is None else self.experiment.ended


def alike(one: Campaign, other: Campaign) -> bool:
    """Whether two campaigns say the same."""
    return one is other or one == other


def plain(snapshot: Snapshot) -> dict[str, Any]:
    """What `Live._restored` reads."""
    rows = [campaign.as_dict() for campaign in snapshot.campaigns.values()]
    experiment = snapshot.experiment
    if experiment is None:
        return {"campaigns": rows, "experiments": [], "canaries": []}
    tried = [canaries.plain(one) for one in experiment.canaries]
    return {"campaigns": rows, "experiments": arms.kept(experiment), "canaries": tried}


def notes_of(experiment: Experiment | None) -> tuple[str, ...]:
    """What every answer must say of an experiment."""
    if experiment is None:
        return ("every user gets the static split: the database is away and no experiment is known yet",)
    if experiment.everybody == "policy":
        return (f"the experiment has ended, the policy was shipped to every user: {experiment.reason}",)
    if experiment.everybody is not None:
        return (f"the experiment has ended, every user gets the static split: {experiment.reason}",)
    return ()


def restored(file: Path, planned: Callable[[Campaign], Planned]) -> Snapshot:
    """What `plain` wrote into a file, for a start without the database; nothing where there is none to be read."""
    try:
        kept = json.loads(file.read_text())
        campaigns = [Campaign.from_dict(row) for row in kept["campaigns"]]
        tried = [canaries.from_plain(row) for row in kept.get("canaries", ())]
        experiment = arms.restored(kept.get("experiments", ()), tried)
    except FileNotFoundError:
        return Snapshot()
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("%s: cannot be read (%s)", file, error)
        return Snapshot()
    return Snapshot(-1, {one.campaign_id: planned(one) for one in campaigns}, experiment, notes_of(experiment))
