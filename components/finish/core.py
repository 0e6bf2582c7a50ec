"""What is done at the end of a run: its state into the store and the Kubeflow UI, its GPUs back."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.pod import LABEL, RUN
from components.steps import tell
from crossmix.artifacts import RunState

FOLDER = "runs"
"""In the step store: a folder per run, with its state."""
GROUP, VERSION, PLURAL = "trainer.kubeflow.org", "v1alpha1", "trainjobs"
TRIES = 4
PAUSE = 5.0
"""Seconds before a second try, twice as many before the next."""


class FinishError(RuntimeError):
    """A TrainJob may still hold its GPUs; the message says which command frees them."""


def end(pipeline: str, state: str, error: str, store: str, namespace: str, told: str) -> None:
    """Tell what became of the run, then free its TrainJobs.

    Args:
        pipeline: its name in Kubeflow.
        state: as Kubeflow says it: SUCCEEDED, FAILED or CANCELED.
        error: of the step that failed; "": none.
        store: the step store, or "".
        namespace: of the TrainJobs; "": it makes none.
        told: file of the Markdown for the UI.

    Raises:
        FinishError: a TrainJob could not be deleted; the state is told all the same.
    """
    run = os.environ.get(RUN, "")
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    report = RunState(run=run, pipeline=pipeline, state=state, error=error or None, at=at)
    Path(told).parent.mkdir(parents=True, exist_ok=True)
    Path(told).write_text(_markdown(report))
    tell(f"run {run} {state}{f': {error}' if error else ''}")
    if store:
        try:
            folder = Path(store) / FOLDER / run
            folder.mkdir(parents=True, exist_ok=True)
            report.save(folder)
        except OSError as unwritten:
            tell(f"run {run}: {store} cannot be written ({unwritten.strerror}); its state is in Kubeflow alone")
    if namespace and run:
        for name in freed(namespace, run):
            tell(f"TrainJob {name} freed")


def _markdown(report: RunState) -> str:
    lines = [f"# {report.state}", "", f"Run {report.run} of {report.pipeline}, ended {report.at}."]
    return "\n".join([*lines, *(["", report.error] if report.error else [])]) + "\n"


def freed(
    namespace: str, run: str, api: Callable[[], Any] | None = None, sleep: Callable[[float], None] = time.sleep
) -> list[str]:
    """Delete the TrainJobs that a run made and that are still there; their names.

    Args:
        api: makes a `kubernetes.client.CustomObjectsApi`; `None`: of the pod's own account.

    Raises:
        FinishError: one may still be there.
    """
    for number in range(TRIES):
        try:
            return _delete(namespace, run, (api or _of_pod)())
        except Exception as error:  # the client's own, urllib3's, and those of a pod without an account
            trouble = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            if number + 1 < TRIES:
                sleep(PAUSE * 2**number)
    raise FinishError(
        f"run {run}: its TrainJobs may still hold GPUs ({trouble}); "
        f"kubectl delete trainjobs -n {namespace} -l {LABEL}={run}"
    )


def _delete(namespace: str, run: str, api: Any) -> list[str]:
    from kubernetes.client.exceptions import ApiException

    found = api.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, label_selector=f"{LABEL}={run}")
    names = [item["metadata"]["name"] for item in found["items"]]
    for name in names:
        try:
            api.delete_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, name)
        except ApiException as error:
            if error.status != 404:  # it has gone by itself
                raise
    return names


def _of_pod() -> Any:
    from kubernetes import client, config

    config.load_incluster_config()
    return client.CustomObjectsApi()
