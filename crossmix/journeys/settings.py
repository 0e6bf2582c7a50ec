"""The settings of journeys, as the config declares them."""

from __future__ import annotations

from crossmix.config import tree
from crossmix.config.journeys import Allocation, Journeys, JourneysGates, Learning, Mtorl, RewardKind

__all__ = ["Allocation", "Journeys", "JourneysGates", "Learning", "Mtorl", "RewardKind", "laptop", "paper"]


def paper() -> Journeys:
    """The seed's hyper-parameters."""
    return tree.paper().journeys


def laptop() -> Journeys:
    """Other sizes only."""
    return tree.laptop().journeys
