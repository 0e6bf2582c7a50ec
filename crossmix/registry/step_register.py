"""The register step: the judged bundle and its figures go to the registry, and its answer into the step's folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crossmix.artifacts import Curve, Evaluation, GateTable, Interval, MetaTraining, Registration
from crossmix.config import Config
from crossmix.registry.store import Registry
from crossmix.registry.trained import POLICY_FOLDER, START_FOLDER
from crossmix.registry.version import Version
from crossmix.report.page import judged_figures
from crossmix.training.policy_file import POLICY_FILES, START_FILES


def register(config: Config, evaluation: Path, policy: Path, meta: Path, home: Path, out: Path) -> Version:
    """Register `evaluation`/bundle and write `registration.json` (`Registration`) into `out`.

    Args:
        evaluation: what the gate step wrote: evaluation.json, gates.json, bundle/.
        policy: what the align step wrote: the policy that was judged, and curve.json.
        meta: what the meta step wrote: where re-adaptation starts, and meta.json.
        home: the run's folder, where a registry without an address of its own lives.

    Raises:
        BundleError: the bundle does not verify.
        ArtifactError: an input cannot be read.
    """
    judged, gates = Evaluation.load(evaluation), GateTable.load(evaluation)
    ratio = judged.policies["policy"].oracle_ratio.mean
    version = Registry.of(config, home).register(
        evaluation / "bundle",
        metrics=dict(_numbers(judged, gates)),
        artifacts={name: evaluation / name for name in (Evaluation.FILE, GateTable.FILE)}
        | {f"{POLICY_FOLDER}/{name}": policy / name for name in POLICY_FILES}
        | {f"{START_FOLDER}/{name}": meta / name for name in (*START_FILES, MetaTraining.FILE)},
        figures=judged_figures(judged),
        tags={"oracle_ratio": str(ratio), "generated": str(judged.generated).lower()},
        curve=Curve.load(policy).plain(),
    )
    Registration.of(version.as_dict()).save(out)
    return version


def _numbers(judged: Evaluation, gates: GateTable) -> Iterator[tuple[str, float]]:
    """Every mean of every policy and every gate's figure, where defined."""
    for name, result in judged.policies.items():
        for key in result.__dataclass_fields__:
            figure = getattr(result, key)
            if isinstance(figure, Interval):
                yield f"{name}.{key}", figure.mean
    for gate in gates.gates:
        if gate.value is not None:
            yield f"gate.{gate.name}", gate.value
