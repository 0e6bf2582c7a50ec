"""What training can go on from, fetched from the registry: the trained policy, market, re-adaptation's start."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from crossmix.market.model import Market, load
from crossmix.registry.mlflow_door import RegistryError, open_mlflow, tracking_at
from crossmix.registry.store import Registry
from crossmix.training.policy_file import AdaptationStart, TrainedPolicy

POLICY_FOLDER, START_FOLDER, MARKET_FOLDER = "trained", "meta", "market"
"""Folders of a version's run that hold the files; `policy` is the name of the logged model there."""
MARKET_FILES = ("market.json", "bank.npz")
KEPT_FOLDER = "markets"
"""Of markets, in a run's folder, by the first 16 digits of the digest of the bundle whose plan came from them."""
UNTIL = "market_until"
"""Tag of a version: market time up to which its market has taken in feedback, ISO 8601."""


def trained_policy(registry: Registry, version: str | int) -> TrainedPolicy:
    """The policy behind a version, by number or alias: weights, and the deviation it may explore with.

    Raises:
        RegistryError: no such version, its artifacts are away, or it was registered before policies were.
        ArtifactError: what came cannot be read.
    """
    with _downloaded(registry, version, POLICY_FOLDER) as folder:
        return TrainedPolicy.load(folder)


def adaptation_start(registry: Registry, version: str | int) -> AdaptationStart:
    """Where re-adaptation of a version starts: parameters and inner rates; raises as `trained_policy`."""
    with _downloaded(registry, version, START_FOLDER) as folder:
        return AdaptationStart.load(folder)


def trained_market(registry: Registry, version: str | int) -> Market:
    """The market that a version's plan came from; raises as `trained_policy`: versions of before do not hold it."""
    with _downloaded(registry, version, MARKET_FOLDER) as folder:
        return load(folder)


def keep_market(market: Path, digest: str, home: Path) -> Path:
    """Keep the market that a bundle's plan came from in a run's folder, under the bundle's digest; its folder."""
    kept = home / KEPT_FOLDER
    kept.mkdir(parents=True, exist_ok=True)
    folder = kept / digest[:16]
    with tempfile.TemporaryDirectory(dir=kept, prefix=".") as scratch:
        half = Path(scratch, "market")
        half.mkdir()
        for name in MARKET_FILES:
            shutil.copy(market / name, half / name)
        try:
            half.rename(folder)
        except OSError:
            if not folder.is_dir():  # else it is kept already
                raise
    return folder


def kept_market(registry: Callable[[], Registry], digest: str, home: Path) -> Path:
    """The folder of the market that a bundle's plan came from: as a run's folder keeps it, else the registry's, kept.

    Args:
        registry: asked only where the folder has it not: that takes seconds.
        digest: of the bundle.

    Raises:
        RegistryError: no version is of this bundle; and as `trained_market`.
    """
    folder = home / KEPT_FOLDER / digest[:16]
    if folder.is_dir():
        return folder
    asked = registry()
    number = next((one.number for one in asked.versions() if one.digest == digest), None)
    if number is None:
        raise RegistryError(f"{asked.model}: no version is of bundle {digest[:12]}, so nobody knows its market")
    with _downloaded(asked, number, MARKET_FOLDER) as came:
        return keep_market(came, digest, home)


@contextmanager
def _downloaded(registry: Registry, version: str | int, path: str) -> Iterator[Path]:
    """A folder of the version's run, here for as long as it is read."""
    wanted = registry.get(version)
    with tempfile.TemporaryDirectory() as scratch, tracking_at(registry.uri):
        artifacts = open_mlflow().artifacts
        try:
            if not any(artifacts.list_artifacts(run_id=wanted.run_id, artifact_path=path)):
                raise RegistryError(
                    f"{wanted.name} version {wanted.number}: its run holds no {path}/; "
                    "make a version that does with `crossmix run`"
                )
            folder = artifacts.download_artifacts(run_id=wanted.run_id, artifact_path=path, dst_path=scratch)
        except RegistryError:
            raise
        except Exception as error:  # MLflow's stores raise their own kinds each
            raise RegistryError(
                f"{wanted.name} version {wanted.number}: {path}/ cannot be read ({error}); "
                "bring the artifact store back, or register the bundle again"
            ) from error
        yield Path(folder)
