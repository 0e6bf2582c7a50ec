"""The pipelines as they are compiled for a place: what every pod is given, what caches, and how a run ends."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from components.declared import steps
from crossmix.config import ConfigError, load, read_cluster
from crossmix.config.cluster import Cluster
from pipelines.environment import EVERYWHERE
from pipelines.submit import NAMES, pipeline_of
from pipelines.wiring import arguments, build, write
from tests.support.clusters import DIGESTS, cluster_file

GOLDEN = Path(__file__).parent / "golden" / "cluster.yaml"
CRDS = Path(__file__).resolve().parents[3] / "shared" / "crds"
POD, JOB = 'train = "pod"', 'train = "trainjob"'
BARE = (
    ("[store]                                  #", "#"),
    ('claim = "crossmix-store"', "#"),
    ('path = "/store"', "#"),
    ("train = 3", "# train = 3"),
)


def compiled(name: str, place: Cluster, folder: Path, task: str = "split") -> tuple[dict[str, Any], dict[str, Any]]:
    """The specification, and per executor what Kubernetes is told."""
    write(pipeline_of(name, task), folder / "ir.yaml", place=place)
    spec, platforms = yaml.load_all((folder / "ir.yaml").read_text(), Loader=yaml.CSafeLoader)
    return spec, platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return read_cluster(cluster_file(tmp_path_factory.mktemp("place")))


@pytest.fixture(scope="module")
def built(place: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    return {name: compiled(name, place, tmp_path_factory.mktemp("ir")) for name in NAMES}


def tasks(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every task that runs a container, of every graph."""
    graphs = [spec["root"], *(one for one in spec["components"].values() if "dag" in one)]
    found = {name: task for graph in graphs for name, task in graph["dag"]["tasks"].items()}
    return {name: one for name, one in found.items() if "dag" not in spec["components"][one["componentRef"]["name"]]}


def container(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """A step's container, without its command."""
    whole = spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]
    return {key: whole[key] for key in ("image", "env", "resources")}


def environment(spec: dict[str, Any], name: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(spec, name)["env"]}


def test_three_pods_of_the_training_pipeline_equal_the_golden_file(built: Any) -> None:
    spec, platforms = built["training"]
    shown = {
        name: {"container": container(spec, name), "kubernetes": platforms[f"exec-{name}"], "task": kept(spec, name)}
        for name in ("train", "market", "finish")
    }
    text = yaml.safe_dump(shown, sort_keys=True)
    assert text == GOLDEN.read_text(), f"changed on purpose? write this to {GOLDEN}:\n{text}"


def kept(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """What of a task is not wiring."""
    return {key: tasks(spec)[name].get(key) for key in ("cachingOptions", "retryPolicy", "triggerPolicy")}


@pytest.mark.parametrize("name", NAMES)
def test_every_pod_has_identity_volumes_environment_and_limits(name: str, built: Any) -> None:
    spec, platforms = built[name]
    pods = {*steps(name), "finish"}
    assert set(platforms) == {f"exec-{one}" for one in pods} == set(spec["deploymentSpec"]["executors"])
    for one in pods:
        told = platforms[f"exec-{one}"]
        assert told["securityContext"] == {"runAsUser": "10001", "runAsGroup": "10001", "runAsNonRoot": True}
        assert [(mount["constant"], mount["mountPath"]) for mount in told["pvcMount"]] == [("crossmix-store", "/store")]
        mounts = {mount["mountPath"]: mount.get("medium") for mount in told["emptyDirMounts"]}
        assert mounts == ({"/tmp": None, "/dev/shm": "Memory"} if one == "train" else {"/tmp": None})
        assert told["podMetadata"]["labels"] == {
            "app.kubernetes.io/part-of": "crossmix",
            "app.kubernetes.io/name": "step",
            "sidecar.istio.io/inject": "false",
        }
        assert told["fieldPathAsEnv"] == [{"name": "CROSSMIX_RUN", "fieldPath": "metadata.labels['pipeline/runid']"}]
        assert told["imagePullPolicy"] == "IfNotPresent"
        assert told["activeDeadlineSeconds"] == ("86400" if one == "train" else "14400")
        whole = container(spec, one)
        image = "train" if one == "train" else "steps"
        assert whole["image"] == f"crossmix-{image}@sha256:{DIGESTS[image]}"
        assert {"resourceCpuRequest", "resourceMemoryRequest", "resourceMemoryLimit"} <= set(whole["resources"])
        told_env = environment(spec, one)
        assert EVERYWHERE.items() <= told_env.items()
        assert (told_env["HOME"], told_env["MLFLOW_TRACKING_URI"]) == ("/tmp", "http://mlflow.crossmix.svc:5000")
        secrets = {secret["secretName"] for secret in told["secretAsEnv"]}
        database = {name: {"crossmix-database"} for name in ("feedback", "register")}
        more = {**database, "features": {"crossmix-redis"}}.get(one, set())
        assert secrets == {"crossmix-s3"} | more


def test_gpus_and_their_nodes_are_the_train_steps_alone(built: Any) -> None:
    spec, platforms = built["training"]
    asking = [one for one in steps() if "accelerator" in container(spec, one)["resources"]]
    assert asking == ["train"]
    assert container(spec, "train")["resources"]["accelerator"]["resourceCount"] == "4"
    assert [name for name, told in platforms.items() if "nodeSelector" in told] == ["exec-train"]
    tolerated = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert platforms["exec-train"]["tolerations"] == [tolerated]


@pytest.mark.parametrize("name", NAMES)
def test_with_a_store_nothing_is_cached_by_kubeflow(name: str, built: Any) -> None:
    spec, _ = built[name]
    caching = {one: task["cachingOptions"] for one, task in tasks(spec).items()}
    assert set(caching) == {*steps(name), "finish"}  # those within `dsl.If` too
    assert not any(one.get("enableCache") for one in caching.values())


def test_without_a_store_kubeflow_caches_all_but_what_a_run_reads_anew(tmp_path: Path) -> None:
    bare = read_cluster(cluster_file(tmp_path, *BARE))
    assert bare.store is None
    anew = {"training": {"finish", "deploy"}, "online": {"finish", "champion", "feedback", "deploy"}}
    for name, never in anew.items():
        spec, platforms = compiled(name, bare, tmp_path)
        caching = {one: bool(task["cachingOptions"].get("enableCache")) for one, task in tasks(spec).items()}
        assert {one for one, on in caching.items() if not on} == never
        assert not any("pvcMount" in told for told in platforms.values())


def test_a_step_that_every_run_does_for_itself_has_a_key_of_the_runs_own() -> None:
    """With a store our keys decide: there, too, another run's result is not taken."""
    run = {name for name, step in steps(None).items() if "readapt.run" in step.settings}
    assert run == {name for name, step in steps(None).items() if step.anew} == {"champion", "feedback", "deploy"}


def test_the_deploy_step_is_told_what_to_roll_out_where_it_is_given_documents(tmp_path: Path) -> None:
    manifests = """[config_maps.crossmix-manifests]
env = { CROSSMIX_MANIFEST_ROUTER = "router.yaml" }

[labels]"""
    for given, rolled in ((("[labels]", manifests), True), (("[labels]", "[labels]"), False)):
        place = read_cluster(cluster_file(tmp_path, given))
        spec, _ = compiled("readapt", place, tmp_path)
        told = environment(spec, "deploy")
        assert told.get("CROSSMIX_SERVE_IMAGE") == (place.images.serve if rolled else None)
        assert told.get("CROSSMIX_NAMESPACE") == ("crossmix" if rolled else None)
        assert "CROSSMIX_SERVE_IMAGE" not in environment(spec, "register")


@pytest.mark.parametrize("name", NAMES)
def test_a_run_ends_with_finish_whatever_becomes_of_it(name: str, built: Any) -> None:
    spec, _ = built[name]
    root = spec["root"]["dag"]["tasks"]
    assert set(root) == {"exit-handler-1", "finish"}
    assert root["finish"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    given = root["finish"]["inputs"]["parameters"]
    assert given["status"] == {"taskFinalStatus": {"producerTask": "exit-handler-1"}}
    assert given["namespace"]["runtimeValue"]["constant"] == ""  # its ranks are in the step's pod


@pytest.mark.parametrize("name", NAMES)
def test_only_a_step_that_resumes_is_started_again(name: str, built: Any) -> None:
    spec, _ = built[name]
    again = {one: task["retryPolicy"]["maxRetryCount"] for one, task in tasks(spec).items() if "retryPolicy" in task}
    assert again == ({"train": 3} if name == "training" else {})


def test_a_step_that_waits_for_a_trainjob_has_no_gpus_and_tells_whose_it_is(tmp_path: Path) -> None:
    place = read_cluster(cluster_file(tmp_path, (POD, JOB), ("nodes = 1", "nodes = 2")))
    spec, platforms = compiled("training", place, tmp_path)
    whole = container(spec, "train")
    assert "accelerator" not in whole["resources"]
    assert whole["image"] == f"crossmix-steps@sha256:{DIGESTS['steps']}"
    assert "nodeSelector" not in platforms["exec-train"]
    assert json.loads(environment(spec, "train")["CROSSMIX_TRAINJOB"]) == {
        "namespace": "crossmix",
        "image": f"crossmix-train@sha256:{DIGESTS['train']}",
        "runtime": "crossmix-torch",
        "nodes": 2,
        "gpus": 4,
        "cpu": "8",
        "memory": "48Gi",
        "deadline": 86400,
        "labels": {"crossmix/run": "$(CROSSMIX_RUN)"},
    }
    assert [name for name in steps() if "CROSSMIX_TRAINJOB" in environment(spec, name)] == ["train"]
    given = spec["root"]["dag"]["tasks"]["finish"]["inputs"]["parameters"]
    assert given["namespace"]["runtimeValue"]["constant"] == "crossmix"


@pytest.mark.parametrize("job", [(), ((POD, JOB),)])
def test_another_task_trains_in_its_own_pod_without_gpus_or_a_trainjob(job: Any, tmp_path: Path) -> None:
    place = read_cluster(cluster_file(tmp_path, *job))
    spec, platforms = compiled("training", place, tmp_path, "creators")
    assert set(tasks(spec)) == {"ingest", "train", "gate", "register", "finish"}
    whole = container(spec, "train")
    assert "accelerator" not in whole["resources"]
    assert whole["image"] == f"crossmix-steps@sha256:{DIGESTS['steps']}"
    assert "nodeSelector" not in platforms["exec-train"]
    assert "CROSSMIX_TRAINJOB" not in environment(spec, "train")
    # its walk, where it trains one, goes on from its last checkpoint; no other step of it does
    assert [one for one, task in tasks(spec).items() if "retryPolicy" in task] == ["train"]
    assert spec["root"]["dag"]["tasks"]["finish"]["inputs"]["parameters"]["namespace"]["runtimeValue"]["constant"] == ""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[resources.ingest]", "[resources.ingst]", r"resources\.ingst: no step is called so; use align, champion"),
        ("[timeouts] ", "[timeouts]\ntrian = 1 #", r"timeouts\.trian: no step is called so"),
        (
            "train = 3",
            "ingest = 3",
            r"retries\.ingest: 3, but it has no checkpoint to go on from; drop it, it is for m",
        ),
        (
            'steps = ["features"]',
            'steps = ["feature"]',
            r"secrets\.crossmix-redis\.steps: 'feature' is no step; use al",
        ),
    ],
)
def test_a_place_names_steps_that_there_are(before: str, after: str, message: str, tmp_path: Path) -> None:
    place = read_cluster(cluster_file(tmp_path, (before, after)))
    with pytest.raises(ConfigError, match=message):
        build(pipeline_of("training"), place)


def test_retries_without_a_store_are_refused(tmp_path: Path) -> None:
    place = read_cluster(cluster_file(tmp_path, *BARE[:3]))
    with pytest.raises(ConfigError, match=r"retries: without \[store\] no step finds its checkpoints again"):
        build(pipeline_of("training"), place)


def test_a_step_that_declares_that_it_resumes_takes_a_folder_for_it() -> None:
    for step in steps(None).values():
        module, _, function = step.core.partition(":")
        takes = inspect.signature(getattr(importlib.import_module(module), function)).parameters
        assert step.resumes == ("work" in takes), step.name


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("train.seed=5", ["align", "gate", "train"]),
        ("fusion.epochs=9", ["fusion", "gate"]),
        ("registry.model=other", ["register", "train"]),
        ("data.demo.days=30", ["gate", "ingest"]),
        ("serving.weight=0.5", ["deploy"]),
    ],
)
def test_a_change_of_one_setting_reaches_the_parameters_of_the_steps_that_declare_it(
    override: str, changed: list[str]
) -> None:
    """So Kubeflow's fingerprint, which is of parameters, is right."""
    one, other = (arguments(pipeline_of("training"), load("laptop", more)) for more in ([], [override]))
    assert sorted(name for name in one if one[name] != other[name]) == [f"{name}_config" for name in changed]


def test_where_the_log_lies_reaches_ingest_alone() -> None:
    def given(path: str) -> dict[str, str]:
        config = load("laptop", ["data.source=criteo", f"data.path={path}"])
        return arguments(pipeline_of("training"), config, "", "digest")

    one, other = given("/a/log.tsv"), given("/b/log.tsv")
    assert [name for name in one if one[name] != other[name]] == ["ingest_config"]
    assert one["log"] == "digest"


@pytest.mark.parametrize("name", NAMES)
def test_a_version_of_the_pipeline_fits_kubeflows_resources(name: str, built: Any, place: Cluster) -> None:
    """As Kubeflow keeps it where pipelines are Kubernetes objects."""
    if not CRDS.is_dir():
        pytest.skip(f"{CRDS} is not there: the schemas of Kubeflow's resources are read from it")
    spec, platforms = built[name]
    title = pipeline_of(name).title
    kind = {"apiVersion": "pipelines.kubeflow.org/v2beta1", "metadata": {"name": title, "namespace": place.namespace}}
    whole = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": platforms}}}}
    content = {
        "pipelineName": title,
        "versionName": f"{title}-0123456789ab",
        "pipelineSpec": spec,
        "platformSpec": whole,
    }
    documents = {"PipelineVersion": {**kind, "spec": content}, "Pipeline": {**kind, "spec": {"displayName": title}}}
    for of, document in documents.items():
        schema = json.loads((CRDS / f"pipelines.kubeflow.org_v2beta1_{of}.json").read_text())
        jsonschema_rs.validator_for(schema).validate({**document, "kind": of})
