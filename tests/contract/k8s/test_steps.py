"""Pods of pipeline steps and of a posted TrainJob, as Kubeflow makes them, beside the manifests."""

import copy as copies
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl, kubernetes

from crossmix.training import trainjob
from tests.support import trainer_api
from tests.support.clusters import cluster_file
from tests.support.kfp_pods import CANNOT, executor_faults, executor_pods
from tests.support.manifests import Document, named
from tests.support.pods import UID, pod_faults, trainjob_pods


@dsl.component(base_image="crossmix-steps@sha256:" + "1" * 64, install_kfp_package=False)
def step(text: str) -> None:
    """A step that does nothing."""


@dsl.pipeline(name="steps")
def wired(text: str) -> None:
    """One step that asks for all that a step must."""
    task = step(text=text)
    task.set_cpu_request("1").set_memory_request("1Gi").set_memory_limit("2Gi").set_env_variable("HOME", "/tmp")
    kubernetes.empty_dir_mount(task, "tmp", "/tmp")
    kubernetes.mount_pvc(task, "crossmix-store", "/store")
    kubernetes.use_secret_as_env(task, "crossmix-s3", {"AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID"})
    kubernetes.set_security_context(task, run_as_user=UID, run_as_group=UID, run_as_non_root=True)
    kubernetes.add_pod_label(task, "app.kubernetes.io/name", "step")


@pytest.fixture(scope="module")
def ir(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    path = tmp_path_factory.mktemp("ir") / "steps.yaml"
    compiler.Compiler().compile(wired, str(path))
    return list(yaml.safe_load_all(path.read_text()))


def test_a_step_that_asks_for_all_holds(ir: list[Any], builds: dict[str, list[Document]]) -> None:
    (pod,) = executor_pods(ir, "crossmix-steps")
    assert executor_faults(pod, builds["cluster"]) == []
    faults = pod_faults(pod.spec, labels=pod.labels, documents=builds["cluster"])
    assert [fault.partition(": ")[0] for fault in faults] == list(CANNOT), "and nothing else is left out"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (1, ("podMetadata",)),
        (1, ("emptyDirMounts",)),
        (1, ("securityContext",)),
        (1, ("securityContext", "runAsUser")),
        (1, ("securityContext", "runAsNonRoot")),
        (0, ("container", "resources")),
        (0, ("container", "resources", "resourceCpuRequest")),
        (0, ("container", "resources", "resourceMemoryRequest")),
        (0, ("container", "resources", "resourceMemoryLimit")),
    ],
)
def test_what_it_does_not_ask_for_is_missed(
    ir: list[Any], builds: dict[str, list[Document]], document: int, path: tuple[str, ...]
) -> None:
    mutated = copies.deepcopy(ir)
    whole = mutated[1]["platforms"]["kubernetes"] if document else mutated[0]
    inner = whole["deploymentSpec"]["executors"]["exec-step"]
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    (pod,) = executor_pods(mutated, "crossmix-steps")
    assert executor_faults(pod, builds["cluster"])


def test_a_tag_and_a_run_of_nobody_are_missed(ir: list[Any], builds: dict[str, list[Document]], tmp_path: Path) -> None:
    mutated = copies.deepcopy(ir)
    mutated[0]["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = "crossmix-steps:0.1.0"
    (pod,) = executor_pods(mutated, "crossmix-steps")
    assert executor_faults(pod, builds["cluster"]) == ["containers.main.image: 'crossmix-steps:0.1.0' is no digest"]
    (pod,) = executor_pods(ir, "pipeline-runner")
    assert [fault for fault in executor_faults(pod, builds["cluster"]) if "'pipeline-runner' is none of" in fault]


@pytest.mark.parametrize("name", ["training", "readapt", "online"])
def test_every_step_of_our_pipelines_holds(builds: dict[str, list[Document]], name: str, tmp_path: Path) -> None:
    from crossmix.config.cluster import read_cluster
    from pipelines import submit, wiring

    place = read_cluster(cluster_file(tmp_path))
    wiring.write(submit.pipeline_of(name), tmp_path / "ir.yaml", None, 0, place)
    found = executor_pods(yaml.safe_load_all((tmp_path / "ir.yaml").read_text()), place.account_of(name))
    assert len(found) >= 6
    assert {pod.name: executor_faults(pod, builds["cluster"]) for pod in found} == {pod.name: [] for pod in found}


def posted(documents: list[Document], place: trainjob.Place, folder: Path) -> Document:
    """What the train step posts beside the built TrainingRuntime, through Trainer's own client."""
    with pytest.MonkeyPatch.context() as patched, trainer_api.serving(folder) as (api, kubeconfig):
        patched.setattr(trainer_api, "RUNTIME", named(documents, "TrainingRuntime", place.runtime))
        patched.setenv("KUBECONFIG", str(kubeconfig))
        patched.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        api.made = lambda job: api.become(job["metadata"]["name"], "Complete")
        name = trainjob.name_of("0" * 16)
        trainjob.run(place, name, "crossmix.train", [], 4, lambda: None, lambda: None, lambda: True)
        (job,) = api.posted
    return job


def test_the_ranks_of_a_posted_trainjob_hold(builds: dict[str, list[Document]], tmp_path: Path) -> None:
    image = "crossmix-train@sha256:" + "2" * 64
    place = trainjob.Place(namespace="crossmix", image=image, nodes=2, gpus=2, cpu="8", memory="64Gi")
    job = posted(builds["cluster"], place, tmp_path)
    (pod,) = trainjob_pods(job, builds["cluster"])
    assert pod_faults(pod.spec, labels=pod.labels, documents=builds["cluster"]) == []
    (container,) = pod.spec["containers"]
    assert (container["image"], container["command"]) == (image, ["torchrun"])
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/store", "/dev/shm"}
    tagged = {**job, "spec": {**job["spec"], "trainer": {**job["spec"]["trainer"], "image": "crossmix-train:1"}}}
    (pod,) = trainjob_pods(tagged, builds["cluster"])
    assert pod_faults(pod.spec, labels=pod.labels, documents=builds["cluster"]) == [
        "containers.node.image: 'crossmix-train:1' is no digest"
    ]


def test_a_job_without_wishes_has_what_the_runtime_says(builds: dict[str, list[Document]], tmp_path: Path) -> None:
    image = "crossmix-train@sha256:" + "2" * 64
    place = trainjob.Place(namespace="crossmix", image=image, nodes=1, gpus=0)
    (pod,) = trainjob_pods(posted(builds["cluster"], place, tmp_path), builds["cluster"])
    assert pod_faults(pod.spec, labels=pod.labels, documents=builds["cluster"]) == []
    assert pod.spec["containers"][0]["resources"]["requests"]["memory"] == "32Gi"
