"""The place that pipelines run in: images, store, resources, secrets, accounts. Never part of `Config`, so of no key.

`k8s/cluster.toml` is an example; `crossmix compile|submit --cluster FILE` reads one.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from crossmix.config.values import STRICT, ConfigError, NonNegativeInt, PositiveInt

OTHERS = "default"
"""Names every step that a table has no line of its own for."""
ACCELERATOR = "nvidia.com/gpu"
"""Kubernetes' name of an NVIDIA GPU, as a resource and as the usual taint of nodes that have them."""
MANIFEST = "CROSSMIX_MANIFEST_ROUTER"
"""Variable of one of the documents that the deploy step rolls out; who is given it is given all three."""

_DIGEST = re.compile(r"(?P<name>[a-z0-9][a-z0-9._:/-]*)@sha256:[0-9a-f]{64}")
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|[kMGTPE]i?)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _image(value: str) -> str:
    found = _DIGEST.fullmatch(value)
    if found is None or ":" in found["name"].rpartition("/")[2]:
        raise ValueError("is no image by digest; write NAME@sha256:<64 hex digits>, as the registry tells it of a push")
    return value


def _object(value: str) -> str:
    if len(value) > 253 or not _NAME.fullmatch(value):
        raise ValueError("is no name of Kubernetes; use lower-case letters, digits, dashes and dots")
    return value


def _quantity(value: str) -> str:
    if not _QUANTITY.fullmatch(value) or not float(re.sub(r"[a-zA-Z]", "", value)):
        raise ValueError("is no quantity of Kubernetes above 0; write it as '2', '500m' or '8Gi'")
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("is no name of an environment variable; use letters, digits and underscores")
    return value


def _absolute(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._-]+)+", value) or ".." in value.split("/"):
        raise ValueError("is no absolute path below the root; write it as /store")
    return value


Image = Annotated[str, AfterValidator(_image)]
ObjectName = Annotated[str, AfterValidator(_object)]
Quantity = Annotated[str, AfterValidator(_quantity)]
Variable = Annotated[str, AfterValidator(_variable)]
Absolute = Annotated[str, AfterValidator(_absolute)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Images:
    """Images by digest, never by tag: what ran can be told, and a cached step stays right."""

    __pydantic_config__ = STRICT
    steps: Image
    """Of every step that names no other."""
    train: Image
    """Of the steps that train on GPUs: CUDA torch."""
    serve: Image
    """Of predictors, router, pusher and feedback; no step runs it."""
    postgresql: Image | None = None
    """With component stores (`k8s/`), as `overlays/local`: the database's own image."""
    redis: Image | None = None
    """With component stores: Redis."""
    s3: Image | None = None
    """With component stores: SeaweedFS."""
    spark: Image | None = None
    """With component spark: ours with Java and PySpark."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreVolume:
    """Where finished steps and checkpoints lie: a volume that every step mounts."""

    __pydantic_config__ = STRICT
    claim: ObjectName = "crossmix-store"
    """PersistentVolumeClaim, ReadWriteMany."""
    path: Absolute = "/store"
    """Where steps see it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What a step asks for."""

    __pydantic_config__ = STRICT
    cpu: Quantity = "1"
    """Request, cores; no limit: an idle core is used, and none is throttled."""
    memory: Quantity = "4Gi"
    """Request, bytes."""
    memory_limit: Quantity | None = None
    """Above it the step is killed, bytes; the request if absent."""
    gpus: NonNegativeInt = 0
    """NVIDIA GPUs."""
    threads: PositiveInt = 1
    """OpenMP threads of each process; 1, as on a laptop: another number adds in another order, so last digits move."""
    shm: Quantity = "1Gi"
    """/dev/shm of a step with GPUs, in memory, bytes: NCCL's ranks pass through it. Counts against `memory_limit`."""

    @property
    def limit(self) -> str:
        """The memory limit."""
        return self.memory_limit or self.memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Nodes with GPUs."""

    __pydantic_config__ = STRICT
    selector: Mapping[str, str] = field(default_factory=dict)
    """Labels that a node must have."""
    toleration: str = ACCELERATOR
    """Key of the taint that keeps others off (`Exists`, `NoSchedule`); "": none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What steps are given of a Secret or ConfigMap, by reference."""

    __pydantic_config__ = STRICT
    env: Mapping[Variable, str]
    """Environment variable -> key."""
    steps: tuple[str, ...] = ()
    """Which steps; empty: all."""

    def reaches(self, step: str) -> bool:
        """Whether a step gets it."""
        return not self.steps or step in self.steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounts:
    """ServiceAccounts, one a job. Kubeflow Pipelines gives all steps of a run one account (`Cluster.account_of`)."""

    __pydantic_config__ = STRICT
    steps: ObjectName = "crossmix-steps"
    """Of runs whose steps ask nothing of Kubernetes."""
    train: ObjectName = "crossmix-train"
    """Of training runs where `train` is "trainjob"."""
    deploy: ObjectName = "crossmix-deploy"
    """Of runs that bring a version into service: readapt and online, and training where its deploy step is given
    documents."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """The Kubeflow Pipelines API, as the machine sees it that submits."""

    __pydantic_config__ = STRICT
    host: str | None = None
    """Address; `--host` overrides it."""
    token: str | None = None
    """File of a bearer token; `--token` overrides it."""
    ca: str | None = None
    """File of the CA that signed the API's certificate; `--ca` overrides it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """One place."""

    __pydantic_config__ = STRICT
    namespace: ObjectName = "crossmix"
    """Of the runs and of everything they name."""
    images: Images
    """Of steps, of training and of servers, each by digest."""
    store: StoreVolume | None = None
    """The step store; absent: Kubeflow's own caching."""
    logs: Mapping[ObjectName, Absolute] = field(default_factory=dict)
    """Further claims: claim -> path. Raw logs (`data.path`) lie there or in the store."""
    resources: Mapping[str, Resources] = field(default_factory=dict)
    """By step; `default` for every other."""
    gpu: Pool = field(default_factory=Pool)
    """Where steps with GPUs run."""
    secrets: Mapping[ObjectName, Given] = field(default_factory=dict)
    """Secrets as environment, by name."""
    config_maps: Mapping[ObjectName, Given] = field(default_factory=dict)
    """ConfigMaps as environment, by name."""
    environment: Mapping[Variable, str] = field(default_factory=dict)
    """Further environment of every step, as MLFLOW_TRACKING_URI."""
    accounts: Accounts = field(default_factory=Accounts)
    """ServiceAccounts."""
    retries: Mapping[str, Annotated[int, Field(ge=0, le=10)]] = field(default_factory=dict)
    """How often a step is started again; only of steps that go on from a checkpoint."""
    timeouts: Mapping[str, PositiveInt] = field(default_factory=dict)
    """Seconds after which a step's pod is ended, by step; `default` for every other."""
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """Of images; a digest never changes, so `Always` buys nothing."""
    pull_secret: ObjectName | None = None
    """Secret of the image registry."""
    train: Literal["pod", "trainjob"] = "pod"
    """Who holds the ranks: the step's own pod, or a TrainJob that the step makes."""
    runtime: ObjectName = "crossmix-torch"
    """TrainingRuntime of the TrainJob."""
    nodes: PositiveInt = 1
    """Pods of the TrainJob, with `resources.train` each: `train.ranks` is nodes times GPUs."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Further labels of every pod."""
    api: Api = field(default_factory=Api)
    """Kubeflow Pipelines."""

    def resources_of(self, step: str) -> Resources:
        """What a step asks for."""
        return self.resources.get(step) or self.resources.get(OTHERS) or Resources()

    def timeout_of(self, step: str) -> int | None:
        """Seconds that a step may take; `None`: any."""
        return self.timeouts.get(step, self.timeouts.get(OTHERS))

    def rolls_out(self) -> bool:
        """Whether the deploy step is given the documents of k8s/ that it rolls out."""
        return any(MANIFEST in given.env and given.reaches("deploy") for given in self.config_maps.values())

    def account_of(self, pipeline: str) -> str:
        """The ServiceAccount of a pipeline's runs, by what its steps ask of Kubernetes."""
        if pipeline == "training" and not self.rolls_out():
            return self.accounts.train if self.train == "trainjob" else self.accounts.steps
        return self.accounts.deploy


def read_cluster(path: Path) -> Cluster:
    """The place that a TOML file describes, as strictly as `Config`.

    Raises:
        ConfigError: it cannot be read, is no TOML, has an unknown key or a value outside its domain.
    """
    try:
        tree = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"--cluster {path}: cannot be read ({error.strerror}); name the place's file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--cluster {path}: is no TOML ({error}); k8s/cluster.toml is an example") from None
    try:
        return TypeAdapter(Cluster).validate_python(tree)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(path, error))) from None


def _explain(path: Path, error: ValidationError) -> list[str]:
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"] if part != "[key]")
        if item["type"] == "unexpected_keyword_argument":
            close = difflib.get_close_matches(str(item["loc"][-1]), _known(), n=1)
            hint = f"did you mean {close[0]}?" if close else "k8s/cluster.toml shows them all"
            lines.append(f"{where}: unknown key; {hint}")
        elif item["type"] in {"missing", "missing_argument"}:
            lines.append(f"{where}: is missing; k8s/cluster.toml shows how it is written")
        else:
            reason = item["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {item['input']!r} {reason if reason != item['msg'] else f'does not fit: {reason}'}")
    return [f"{path}: {line}" for line in lines]


def _known() -> list[str]:
    """Every field's name, those of the tables too."""
    kinds: tuple[Any, ...] = (Cluster, Images, StoreVolume, Resources, Pool, Given, Accounts, Api)
    return [item.name for kind in kinds for item in fields(kind)]
