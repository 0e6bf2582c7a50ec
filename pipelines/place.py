"""What a place puts on a step's task, through `kfp.kubernetes`: volumes, environment, identity, resources, deadlines.

What Kubeflow Pipelines (2.16 or newer) sets on every pod by itself: no privilege escalation, all capabilities dropped,
seccomp `RuntimeDefault`. What no pipeline can ask it for: a read-only root file system, and `fsGroup`.
"""

from __future__ import annotations

import json
from typing import Any

from kfp import kubernetes

from components.declared import SPLIT, Step, steps
from components.pod import LABEL, RUN, TRAINJOB
from crossmix.config import ConfigError
from crossmix.config.cluster import ACCELERATOR, OTHERS, Cluster, Given, Resources
from pipelines.environment import EVERYWHERE, THREADS

USER = 10001
"""Of every image, uid and gid."""
FINISH = "finish"
"""The task that ends a run; no step."""
TRAIN = "train"
DEPLOY = "deploy"
SERVE_IMAGE = "CROSSMIX_SERVE_IMAGE"
"""What the deploy step rolls out (`serving.rollout`): where it is given documents, it gets the image for them."""
RUN_LABEL = "pipeline/runid"
"""Kubeflow's label of a run's pods."""
BACKOFF = {"backoff_duration": "30s", "backoff_factor": 2.0, "backoff_max_duration": "600s"}
"""Between two starts of a step that is started again."""
SMALL = Resources(cpu="100m", memory="256Mi", memory_limit="512Mi")
"""What `finish` asks for where the place says nothing."""


def check(place: Cluster) -> None:
    """Refuse what the file alone cannot tell.

    Raises:
        ConfigError: a table names a step that no pipeline has, or retries one that has no checkpoint to go on from.
    """
    declared = steps(None)
    known = {*declared, FINISH, OTHERS}
    for key in ("resources", "timeouts", "retries"):
        for name in getattr(place, key):
            if name not in known:
                raise ConfigError(f"{key}.{name}: no step is called so; use {', '.join(sorted(known))}")
    for kind, table in (("secrets", place.secrets), ("config_maps", place.config_maps)):
        for name, given in table.items():
            for step in given.steps:
                if step not in known - {OTHERS}:
                    raise ConfigError(f"{kind}.{name}.steps: {step!r} is no step; use {', '.join(sorted(declared))}")
    resuming = sorted(name for name, step in declared.items() if step.resumes)
    for name, times in place.retries.items():
        if times and name not in resuming:
            raise ConfigError(
                f"retries.{name}: {times}, but it has no checkpoint to go on from; drop it, it is for "
                f"{', '.join(resuming)}"
            )
    if place.retries and place.store is None:
        raise ConfigError("retries: without [store] no step finds its checkpoints again; add it, or drop retries")


def put_on(task: Any, step: Step | None, place: Cluster) -> Any:
    """The task, with all that the place says of it; `step`: `None` for `finish`."""
    name = FINISH if step is None else step.name
    asked = _asked(name, step, place)
    _image(task, asked, place)
    _resources(task, asked, place)
    _environment(task, name, asked, place, trainjob=_waits(step, place))
    _volumes(task, asked, place)
    _pod(task, place)
    if (seconds := place.timeout_of(name)) is not None:
        kubernetes.set_timeout(task, seconds)
    if (times := place.retries.get(name, 0)) and step is not None and step.resumes:
        task.set_retry(num_retries=times, **BACKOFF)
    # With a store our keys decide; what `finish` tells is never another run's.
    anew = step is None or step.anew
    task.set_caching_options(enable_caching=place.store is None and not anew)
    return task


def _waits(step: Step | None, place: Cluster) -> bool:
    """Whether the step waits for a TrainJob: another task than the split trains in its own pod."""
    return step is not None and step.name == TRAIN and step.task == SPLIT and place.train == "trainjob"


def _asked(name: str, step: Step | None, place: Cluster) -> Resources:
    alone = step is not None and step.name == TRAIN and step.task != SPLIT  # no ranks, so no GPU each
    if alone or _waits(step, place):  # the ranks have what is asked for training
        return place.resources.get(OTHERS, Resources())
    return place.resources.get(FINISH, SMALL) if name == FINISH else place.resources_of(name)


def _image(task: Any, asked: Resources, place: Cluster) -> None:
    task.set_container_image(place.images.train if asked.gpus else place.images.steps)
    kubernetes.set_image_pull_policy(task, place.pull_policy)
    if place.pull_secret:
        kubernetes.set_image_pull_secrets(task, [place.pull_secret])


def _resources(task: Any, asked: Resources, place: Cluster) -> None:
    task.set_cpu_request(asked.cpu)
    task.set_memory_request(asked.memory)
    task.set_memory_limit(asked.limit)
    if not asked.gpus:
        return
    task.set_accelerator_type(ACCELERATOR)
    task.set_accelerator_limit(asked.gpus)
    for label, value in place.gpu.selector.items():
        kubernetes.add_node_selector(task, label, value)
    if place.gpu.toleration:
        kubernetes.add_toleration(task, key=place.gpu.toleration, operator="Exists", effect="NoSchedule")


def _environment(task: Any, name: str, asked: Resources, place: Cluster, *, trainjob: bool) -> None:
    told = {**EVERYWHERE, THREADS: str(asked.threads), "HOME": "/tmp", **place.environment}
    if trainjob:
        told[TRAINJOB] = _trainjob(place)
    if name == DEPLOY and place.rolls_out():
        told |= {SERVE_IMAGE: place.images.serve, "CROSSMIX_NAMESPACE": place.namespace}
    for variable, value in told.items():
        task.set_env_variable(variable, value)
    kubernetes.use_field_path_as_env(task, RUN, f"metadata.labels['{RUN_LABEL}']")
    for secret, given in place.secrets.items():
        for variable, key in _reaching(given, name):
            kubernetes.use_secret_as_env(task, secret, {key: variable})
    for config_map, given in place.config_maps.items():
        for variable, key in _reaching(given, name):
            kubernetes.use_config_map_as_env(task, config_map, {key: variable})


def _reaching(given: Given, name: str) -> list[tuple[str, str]]:
    return sorted(given.env.items()) if given.reaches(name) else []


def _trainjob(place: Cluster) -> str:
    """What `crossmix.training` reads: the ranks' pods, whose volumes and accounts are the TrainingRuntime's."""
    asked = place.resources_of(TRAIN)
    deadline = place.timeout_of(TRAIN)
    told = {
        "namespace": place.namespace,
        "image": place.images.train,
        "runtime": place.runtime,
        "nodes": place.nodes,
        "gpus": asked.gpus,
        "cpu": asked.cpu,
        "memory": asked.limit,
        "labels": {**place.labels, LABEL: f"$({RUN})"},
    }
    return json.dumps(told if deadline is None else told | {"deadline": deadline}, sort_keys=True)


def _volumes(task: Any, asked: Resources, place: Cluster) -> None:
    kubernetes.empty_dir_mount(task, "tmp", "/tmp")
    if asked.gpus:
        kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=asked.shm)
    if place.store is not None:
        kubernetes.mount_pvc(task, place.store.claim, place.store.path)
    for claim, path in place.logs.items():
        kubernetes.mount_pvc(task, claim, path)


def _pod(task: Any, place: Cluster) -> None:
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    labels = {
        **place.labels,
        "app.kubernetes.io/part-of": "crossmix",
        "app.kubernetes.io/name": "step",
        "sidecar.istio.io/inject": "false",
    }
    for label, value in labels.items():
        kubernetes.add_pod_label(task, label, value)
