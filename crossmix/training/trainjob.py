"""Training as a TrainJob of Kubeflow Trainer: a job of its own on the GPUs' nodes, made, watched and freed by the step.

The only door to the package `kubeflow`. The job's name is a digest of what the training depends on, so that a step
that was killed finds the job that it had made, and goes on watching; what the job writes lies on the store, which both
mount. Its pods are those of the namespaced TrainingRuntime (k8s/base), which holds volumes, accounts, tolerations and
restarts.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from crossmix.ranks import RankError

_log = logging.getLogger(__name__)

VARIABLE = "CROSSMIX_TRAINJOB"
"""Environment variable of the step's pod that holds a `Place` as JSON; without it, training is in that pod itself."""
EVERY = 10.0
"""Seconds between two looks."""
LINES = 20
"""Of a failed job's log, that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a TrainJob runs."""

    namespace: str
    image: str
    """By digest."""
    runtime: str = "crossmix-torch"
    """The TrainingRuntime."""
    nodes: int = 1
    gpus: int = 4
    """Of each node, a rank each; 0: `ranks` on the CPU, shared evenly by the nodes."""
    cpu: str = ""
    """Of each node, as Kubernetes writes it; "": the runtime's."""
    memory: str = ""
    deadline: int = 86_400
    """Seconds; the job is ended then, and the step fails."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of the job."""


def of_environment() -> Place | None:
    """What `CROSSMIX_TRAINJOB` says; `None`: nothing.

    Raises:
        RankError: it is no JSON object of the fields of `Place`.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return None
    try:
        given: dict[str, Any] = json.loads(text)
        return Place(**given)
    except (ValueError, TypeError) as error:
        known = ", ".join(one.name for one in fields(Place))
        raise RankError(f"{VARIABLE}: {text[:200]!r} is no JSON object of {known} ({error})") from None


def name_of(key: str) -> str:
    """A job's name, of the digest of what its training depends on; JobSet makes longer names of it."""
    return f"crossmix-train-{key[:16].lower()}"


def run(
    place: Place,
    name: str,
    module: str,
    arguments: Sequence[str],
    ranks: int,
    afresh: Callable[[], None],
    meanwhile: Callable[[], None],
    finished: Callable[[], bool],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Run `torchrun -m module arguments` as `ranks` ranks of a TrainJob; it is deleted once it has ended.

    A job of this name that is there already is watched instead, unless it has failed or its result is gone: then it is
    deleted and made anew. An API that is away, or answers with an error, is asked again until the deadline.

    Args:
        afresh: called before a new job is made.
        meanwhile: called every so often while it runs, and once after.
        finished: whether the job's result is there.

    Raises:
        RankError: the ranks cannot be had there; the job failed, is gone, or has not ended within `place.deadline`.
    """
    _require_ranks(place, ranks)
    jobs = _Jobs(place)
    end = clock() + place.deadline
    told = ""
    attached = False
    while True:
        try:
            if not attached:
                attached = _attach(jobs, name, module, arguments, ranks, afresh, finished)
            status = jobs.status(name) if attached else None
        except _AwayError as error:
            if told != str(error):
                _log.warning("TrainJob %s: %s; asked again until the deadline", name, error)
            told, status = str(error), ""
        meanwhile()
        if attached and status is None:
            raise RankError(f"TrainJob {name}: somebody deleted it; run the step again to make it anew")
        if status == jobs.complete:
            jobs.delete(name)
            return
        if status == jobs.failed:
            lines = jobs.log(name)
            jobs.delete(name)
            said = f"; its log ends:\n{lines}" if lines else ""
            raise RankError(f"TrainJob {name} in namespace {place.namespace} failed{said}")
        if clock() >= end:
            jobs.delete(name)
            raise RankError(
                f"TrainJob {name} has not ended within {place.deadline} s; raise the deadline (timeouts.train of the "
                "cluster's file), or look why it waits: kubectl describe trainjob"
            )
        sleep(EVERY)


def _require_ranks(place: Place, ranks: int) -> None:
    if place.nodes < 1 or place.gpus < 0:
        raise RankError(f"{VARIABLE}: nodes {place.nodes}, gpus {place.gpus}; at least one node, and no fewer than 0")
    if place.gpus and place.nodes * place.gpus != ranks:
        raise RankError(
            f"train.ranks: {ranks}, but the TrainJob has {place.nodes} x {place.gpus} GPUs (nodes x gpus), a rank "
            f"each; set train.ranks={place.nodes * place.gpus}, or other nodes"
        )
    if not place.gpus and ranks % place.nodes:
        raise RankError(f"train.ranks: {ranks} ranks cannot be shared evenly by {place.nodes} nodes")


def _attach(
    jobs: _Jobs,
    name: str,
    module: str,
    arguments: Sequence[str],
    ranks: int,
    afresh: Callable[[], None],
    finished: Callable[[], bool],
) -> bool:
    """Find or make the job; False: an old one is being deleted."""
    status = jobs.status(name)
    if status == jobs.complete and finished():
        return True
    if status in (jobs.complete, jobs.failed):
        jobs.delete(name)
        return False
    if status is None:
        afresh()
        if jobs.make(name, module, arguments, ranks):
            _log.info("TrainJob %s is made", name)
            return True
    _log.info("TrainJob %s was there already, and is watched", name)
    return True


class _AwayError(Exception):
    """Kubernetes does not answer, or with an error."""


class _Jobs:
    """TrainJobs of a namespace, through Trainer's own client.

    Raises:
        _AwayError: of `status` and `make`: asking again may help.
        RankError: of both: it does not.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._client: Any = None
        from kubeflow.trainer.constants import constants

        self.complete, self.failed = constants.TRAINJOB_COMPLETE, constants.TRAINJOB_FAILED
        self._kind = constants.TRAINJOB_KIND

    def status(self, name: str) -> str | None:
        """`None`: there is no such job."""
        client = self.client
        try:
            found: str = client.get_job(name).status
        except Exception as error:  # the client raises RuntimeError, TimeoutError and plain Exception
            if _code(error) == 404 and str(error).startswith(f"Failed to get {self._kind}:"):
                return None
            raise self._trouble(error) from error
        return found

    def make(self, name: str, module: str, arguments: Sequence[str], ranks: int) -> bool:
        """False: there is one of this name."""
        from kubeflow.trainer import CustomTrainerContainer
        from kubeflow.trainer.options import ActiveDeadlineSeconds, Labels, Name, TrainerArgs, TrainerCommand

        place, client = self.place, self.client
        each = {"gpu": place.gpus, "cpu": place.cpu, "memory": place.memory}
        processes = () if place.gpus else (f"--nproc-per-node={ranks // place.nodes}",)
        try:
            client.train(
                runtime=client.get_runtime(place.runtime),
                trainer=CustomTrainerContainer(
                    image=place.image,
                    num_nodes=place.nodes,
                    resources_per_node={key: value for key, value in each.items() if value} or None,
                    env={"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
                ),
                options=[
                    Name(name),
                    Labels(
                        {"app.kubernetes.io/part-of": "crossmix", "app.kubernetes.io/name": "train", **place.labels}
                    ),
                    TrainerCommand(["torchrun"]),
                    TrainerArgs([*processes, "-m", module, *arguments]),
                    ActiveDeadlineSeconds(place.deadline),
                ],
            )
        except Exception as error:  # as above
            if _code(error) == 409:
                return False
            raise self._trouble(error) from error
        return True

    def delete(self, name: str) -> None:
        """One that cannot be deleted now is told in the log: its deadline ends it."""
        try:
            self.client.delete_job(name)
        except Exception as error:  # as above
            if _code(error) != 404:
                _log.warning("TrainJob %s: not deleted (%s); its deadline ends it", name, _sentence(error))

    def log(self, name: str) -> str:
        """The last lines of the first rank's log; "": there is none any more."""
        try:
            lines = list(self.client.get_job_logs(name))
        except Exception as error:  # as above
            return f"(no log: {_sentence(error)})"
        return "\n".join(lines[-LINES:])

    def _trouble(self, error: Exception) -> Exception:
        """`_AwayError`, or what asking again does not mend."""
        if _code(error) not in (400, 401, 403, 404, 422):
            return _AwayError(_sentence(error))
        return RankError(
            f"TrainJob in namespace {self.place.namespace}: {_sentence(error)}; it needs the TrainingRuntime "
            f"{self.place.runtime} and an account whose role may make TrainJobs: kubectl apply -k k8s/overlays/cluster"
        )

    @property
    def client(self) -> Any:
        """Connected on first use: within a pod by its account, else by the user's kubeconfig."""
        if self._client is None:
            from kubeflow.common.types import KubernetesBackendConfig
            from kubeflow.trainer import TrainerClient

            settings = KubernetesBackendConfig(namespace=self.place.namespace, config_file=os.environ.get("KUBECONFIG"))
            try:
                self._client = TrainerClient(settings)
            except Exception as error:  # as above; and Kubernetes' own, of a place that names no cluster
                if type(error).__name__ != "ConfigException":
                    raise _AwayError(_sentence(error)) from error
                raise RankError(
                    f"TrainJob in namespace {self.place.namespace}: no cluster is known here ({error}); run the "
                    "step in a pod with a service account's token, or set KUBECONFIG"
                ) from None
        return self._client


def _code(error: BaseException) -> int | None:
    """HTTP status that an error of the client comes from."""
    cause: BaseException | None = error
    while cause is not None:
        status = getattr(cause, "status", None)
        if isinstance(status, int):
            return status
        cause = cause.__cause__
    return None


def _sentence(error: BaseException) -> str:
    cause = error.__cause__ or error
    reason = getattr(cause, "reason", None)
    code = _code(error)
    return f"{error} ({code} {reason})" if code else f"{error} ({type(cause).__name__})"
