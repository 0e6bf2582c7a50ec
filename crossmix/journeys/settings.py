"""The settings of journeys, as the config declares them."""

from crossmix.config.journeys import Allocation, Journeys, JourneysGates, Learning, Mtorl, RewardKind

__all__ = ["Allocation", "Journeys", "JourneysGates", "Learning", "Mtorl", "RewardKind"]
