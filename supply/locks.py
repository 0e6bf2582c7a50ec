"""The images' lock files: which there are, how one is read, what belongs in it.

A lock lists `name==version` and the SHA-256 of each file that may be installed for it, for one platform: CPython 3.11
on Linux x86_64. It names no index: where the files come from is whoever builds to say, what they are is not.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "locks"
PYTHON = "3.11.3"
"""The oldest that the locks serve: an older 3.11 needs one package more (async-timeout, for redis)."""
PLATFORM = "x86_64-manylinux_2_28"
CPU_TORCH = "2.13.0+cpu"
"""The build without CUDA, which its makers give out from a page of their own."""
_LINE = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[^\s\\]+)")
_HASH = re.compile(r"--hash=sha256:(?P<digest>[0-9a-f]{64})")


class LockError(ValueError):
    """A lock that cannot be made, or one that says something else than a lock says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target of the Dockerfile."""

    extras: tuple[str, ...]
    """Of pyproject.toml, beside its dependencies."""
    cuda: bool = False
    """Torch with CUDA, and CUDA's own packages, rather than the build for CPUs."""
    runs: tuple[str, ...]
    """Modules that its processes start from."""


CORES = (
    "crossmix.ingest.step", "feature_repo.features", "crossmix.fusion.fit", "crossmix.market.fit.fit",
    "crossmix.registry.step_train", "crossmix.training.align", "crossmix.evaluate.gates.judge_step",
    "crossmix.training.meta", "crossmix.registry.step_register", "crossmix.registry.step_champion",
    "crossmix.ledger.step_feedback", "crossmix.training.readapt_step", "crossmix.evaluate.gates.readapt_step",
    "serving.deploy",
)  # fmt: skip
"""The steps' core functions' modules (ARCHITECTURE.md, "The flow")."""

TARGETS: Mapping[str, Target] = {
    "steps": Target(
        extras=("steps", "cluster"),
        runs=(
            "kfp.dsl.executor_main", "components.steps", "components.artifacts", *CORES, "pipelines.cli.main",
            "pipelines.training", "pipelines.readapt", "pipelines.online", "pipelines.submit", "pipelines.launch",
            "monitoring.server", "monitoring.monitors", "monitoring.drift", "mlflow.cli", "boto3", "kfp.kubernetes",
            "kubernetes", "kubeflow.trainer", "psycopg", "redis",
        ),
    ),
    "train": Target(
        extras=("steps", "cluster"),
        cuda=True,
        runs=("kfp.dsl.executor_main", "components.steps", "crossmix.fusion.fit", "crossmix.registry.step_train",
              "torch.distributed.run"),
    ),
    "serve": Target(
        extras=("serve",),
        runs=("pipelines.cli.main", "pipelines.cli.serve", "pipelines.cli.serve_registry", "serving.app",
              "serving.live.beside", "crossmix.registry.store",
              "crossmix.registry.refusing", "feature_repo.features", "crossmix.ledger.store", "psycopg", "redis"),
    ),
    "spark": Target(
        extras=("spark",),
        runs=("pipelines.spark_pod", "components.ingest.step", "components.steps", "crossmix.ingest.step",
              "crossmix.sources.spark", "pyspark.sql", "py4j.protocol", "ibis.backends.pyspark"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Locked:
    """One package of a lock."""

    version: str
    digests: tuple[str, ...] = field(default=())
    """SHA-256 of the files that may be installed, lower-case hex."""


def parse(text: str, where: str = "lock") -> dict[str, Locked]:
    """A lock's packages, by canonical name.

    Raises:
        LockError: a line that is no pin with hashes, as an option or an address; a package twice.
    """
    found: dict[str, Locked] = {}
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pin, *hashes = line.split()
        named = _LINE.fullmatch(pin)
        digests = [_HASH.fullmatch(one) for one in hashes]
        if named is None or not digests or None in digests:
            raise LockError(f"{where}: {line.strip()!r} is no pin with hashes; make the lock anew with `make lock`")
        if named["name"] in found:
            raise LockError(f"{where}: {named['name']} is pinned twice; make the lock anew with `make lock`")
        found[named["name"]] = Locked(named["version"], tuple(one["digest"] for one in digests if one))
    return found


def read(name: str, folder: Path = FOLDER) -> dict[str, Locked]:
    """The lock of a target, or `build`: by canonical name.

    Raises:
        LockError: it is not there, or it is no lock.
    """
    file = folder / f"{name}.txt"
    if not file.is_file():
        raise LockError(f"locks/{name}.txt: missing; make it with `make lock`")
    return parse(file.read_text(), f"locks/{name}.txt")


def asked(target: Target) -> list[Requirement]:
    """What the project itself asks for on a target."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"]]
    for extra in target.extras:
        lines += project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def missing(lock: Mapping[str, Locked], requirements: Iterable[Requirement]) -> list[str]:
    """What `requirements` lead to and the lock lacks, or holds in a version that is not wanted.

    What a package asks for is read from the one installed here; one that is not installed is taken at its word.
    """
    wrong: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [(requirement, "pyproject.toml") for requirement in requirements]
    while queue:
        requirement, by = queue.pop()
        name = canonicalize_name(requirement.name)
        held = lock.get(name)
        if held is None or not requirement.specifier.contains(held.version, prereleases=True):
            wrong.add(f"{requirement} (asked for by {by})")
            continue
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        try:
            lines = metadata.requires(requirement.name) or []
        except metadata.PackageNotFoundError:
            continue
        for needed in map(Requirement, lines):
            environments = [{"extra": extra} for extra in ("", *requirement.extras)]
            if needed.marker is None or any(needed.marker.evaluate(each) for each in environments):
                queue.append((needed, name))
    return sorted(wrong)
