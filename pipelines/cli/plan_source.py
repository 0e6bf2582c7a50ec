"""What a plan came from: which version and bundle planned, or which file, and whether its catalogue is an old one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crossmix.artifacts import CatalogueReport, Registration
from pipelines.cli import standing
from pipelines.environment import bound_registry
from pipelines.local import run_steps

if TYPE_CHECKING:
    from crossmix.creators.bundled import BundledPlanner


@dataclass(frozen=True, slots=True)
class Source:
    """Where catalogue and predictor are from."""

    told: str
    """In a sentence."""
    bundle: str | None = None
    """Its digest; `None`: there is none, a file was read."""
    version: int | None = None
    """In the registry; `None`: it has none, or is not known."""
    old: str | None = None
    """That the run has read another catalogue since, in a sentence; `None`: it has not."""


def of_catalogue(path: Path, *, assumed: bool = False) -> Source:
    """Of a CSV file.

    Args:
        assumed: it has no past results.
    """
    how = "it has no past results, effects are assumed" if assumed else "the predictor is fitted on it"
    return Source(f"planned with {path}: {how}, and no run has judged it")


def of_run(out: Path, planner: BundledPlanner) -> Source:
    """Of the bundle that answers for a run.

    Args:
        planner: the bundle's.
    """
    steps = run_steps(out)
    own = Registration.found(steps["register"]) if "register" in steps else None
    mine = own is not None and own.bundle_digest == planner.digest
    judged = standing.judged_bundle(out)
    version = own.version if mine and own is not None else None
    name = f"bundle {planner.digest[:12]}"
    if own is None and judged == planner.path:
        told = f"planned with {name}, which is no version: its gates did not pass"
    else:
        version = version or _version(out, planner.digest)
        told = f"planned with {'a version that is not known' if version is None else f'version {version}'}, {name}"
    return Source(told, planner.digest, version, _old(out, steps, planner, own))


def _old(out: Path, steps: dict[str, Path], planner: BundledPlanner, own: Registration | None) -> str | None:
    report = CatalogueReport.found(steps["ingest"]) if "ingest" in steps else None
    if report is None or report.digest == planner.manifest["data_digest"]:
        return None
    remedy = (
        f"no gate let what was learned from it pass, see {out / 'report.html'}"
        if own is None
        else f"`crossmix promote {out} {own.version} --reason ...` and `crossmix run` again make it the one that plans"
    )
    return (
        f"old catalogue: this bundle plans with {len(planner.catalogue):,} creators of a run before; the last run in "
        f"{out} read another catalogue, of {report.creators:,}: {remedy}"
    )


def _version(out: Path, digest: str) -> int | None:
    """The number that the registry has for a bundle; `None`: it has none, or is away."""
    from crossmix.registry.store import Registry
    from pipelines.cli.serve import run_with

    bound_registry()  # a plan is asked for, and is done already: nobody waits minutes for a number
    try:
        versions = Registry.of(run_with(out, ()), out).versions()
    except Exception:  # MLflow's stores raise their own kinds each; a plan needs no registry
        return None
    return next((one.number for one in versions if one.digest == digest), None)


__all__ = ["Source", "of_catalogue", "of_run"]
