"""The register step of a task other than the split: the judged bundle and its figures go to the registry."""

from __future__ import annotations

from pathlib import Path

from crossmix.artifacts import GateTable, Registration, TaskJudged
from crossmix.config import Config
from crossmix.ledger.where import database_of
from crossmix.registry.kinds import kind_of
from crossmix.registry.shared import shared
from crossmix.registry.store import Registry
from crossmix.registry.version import Version


def register(config: Config, evaluation: Path, home: Path, out: Path) -> Version:
    """Register `evaluation`/bundle and write `registration.json` (`Registration`) into `out`.

    Args:
        evaluation: what the gate step wrote: figures.json, gates.json, bundle/.
        home: the run's folder, where a registry without an address of its own lives.

    Raises:
        BundleError: the bundle does not verify.
        ArtifactError: an input cannot be read.
    """
    gates, judged = GateTable.load(evaluation), TaskJudged.load(evaluation)
    figure = judged.figures[judged.judged]
    metrics = {name: one.mean for name, one in judged.figures.items()}
    metrics |= {f"gate.{gate.name}": gate.value for gate in gates.gates if gate.value is not None}
    artifacts = {file.name: file for file in sorted(evaluation.glob("*.json")) if file.name != "done.json"}
    registry = shared(Registry.of(config, home), database_of(config.serving))
    version = registry.register(
        evaluation / "bundle",
        metrics=metrics,
        artifacts=artifacts,
        tags={kind_of(config).figure: str(figure.mean), "generated": str(judged.generated).lower()},
    )
    Registration.of(version.as_dict()).save(out)
    return version
