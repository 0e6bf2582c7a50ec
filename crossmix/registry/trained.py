"""What training can go on from, fetched from the registry: the trained policy, market, re-adaptation's start."""

from __future__ import annotations

from crossmix.market.model import Market, load
from crossmix.registry.downloads import downloaded
from crossmix.registry.store import Registry
from crossmix.training.policy_file import AdaptationStart, TrainedPolicy

POLICY_FOLDER, START_FOLDER, MARKET_FOLDER = "trained", "meta", "market"
"""Folders of a version's run that hold the files; `policy` is the name of the logged model there."""
MARKET_FILES = ("market.json", "bank.npz")
UNTIL = "market_until"
"""Tag of a version: market time up to which its market has taken in feedback, ISO 8601."""


def trained_policy(registry: Registry, version: str | int) -> TrainedPolicy:
    """The policy behind a version, by number or alias: weights, and the deviation it may explore with.

    Raises:
        RegistryError: no such version, its artifacts are away, or it was registered before policies were.
        ArtifactError: what came cannot be read.
    """
    with downloaded(registry, version, POLICY_FOLDER) as folder:
        return TrainedPolicy.load(folder)


def adaptation_start(registry: Registry, version: str | int) -> AdaptationStart:
    """Where re-adaptation of a version starts: parameters and inner rates; raises as `trained_policy`."""
    with downloaded(registry, version, START_FOLDER) as folder:
        return AdaptationStart.load(folder)


def trained_market(registry: Registry, version: str | int) -> Market:
    """The market that a version's plan came from; raises as `trained_policy`: versions of before do not hold it."""
    with downloaded(registry, version, MARKET_FOLDER) as folder:
        return load(folder)
