"""Folders of a version's run, fetched from the registry; nothing of them is read here, and no torch is needed."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossmix.registry.mlflow_door import RegistryError, open_mlflow, tracking_at
from crossmix.registry.store import Registry

FEATURES_FOLDER = "features"
"""Of a version's run: what a server needs of the feature folder that it was trained on (`feature_repo.served`)."""


def features(registry: Registry, version: str | int, target: Path) -> None:
    """Bring a version's features into `target`, file by file in place of those that are there.

    Raises:
        RegistryError: no such version, its run holds none, or its artifacts are away.
    """
    with downloaded(registry, version, FEATURES_FOLDER) as folder:
        for file in sorted(item for item in folder.rglob("*") if item.is_file()):
            goal = target / file.relative_to(folder)
            goal.parent.mkdir(parents=True, exist_ok=True)
            half = goal.with_name(f"{goal.name}.part")
            shutil.copyfile(file, half)
            half.replace(goal)


@contextmanager
def downloaded(registry: Registry, version: str | int, path: str) -> Iterator[Path]:
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
