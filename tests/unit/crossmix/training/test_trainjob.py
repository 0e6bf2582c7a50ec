"""A TrainJob is made, found again, outlives a tired API, and is freed; through Trainer's own client."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crossmix.ranks import RankError
from crossmix.training import trainjob
from crossmix.training.trainjob import Place
from tests.support.trainer_api import NAMESPACE, TrainerApi, serving

IMAGE = "crossmix-train@sha256:" + "0" * 64
NAME = trainjob.name_of("0123456789abcdefGHI")
PLACE = Place(namespace=NAMESPACE, image=IMAGE, nodes=2, gpus=2, cpu="8", memory="64Gi", labels={"run": "one"})


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainerApi]:
    with serving(tmp_path) as (made, kubeconfig):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        yield made


class Driver:
    """Runs a job; `steps` happen one by one, each at a look."""

    def __init__(self, *steps: Callable[[], Any]) -> None:
        self.steps, self.looks, self.begun, self.now, self.result = list(steps), 0, 0, 0.0, False

    def run(self, place: Place = PLACE, ranks: int = 4) -> None:
        def afresh() -> None:
            self.begun += 1

        def sleep(seconds: float) -> None:
            self.now += seconds
            assert self.steps, "it waits, and nothing more happens"
            self.steps.pop(0)()

        def look() -> None:
            self.looks += 1

        trainjob.run(
            place, NAME, "a.module", ["config", "out"], ranks, afresh, look, lambda: self.result,
            clock=lambda: self.now, sleep=sleep,
        )  # fmt: skip


def test_a_job_is_posted_watched_and_deleted(api: TrainerApi) -> None:
    driver = Driver(lambda: None, lambda: api.become(NAME, "Complete"))
    driver.run()
    (job,) = api.posted
    assert job["metadata"]["name"] == NAME == "crossmix-train-0123456789abcdef"
    assert job["metadata"]["labels"] == {
        "app.kubernetes.io/part-of": "crossmix", "app.kubernetes.io/name": "train", "run": "one"
    }  # fmt: skip
    assert job["spec"]["runtimeRef"] == {"kind": "TrainingRuntime", "name": "crossmix-torch"}
    assert job["spec"]["activeDeadlineSeconds"] == 86_400
    trainer = job["spec"]["trainer"]
    assert (trainer["image"], trainer["numNodes"]) == (IMAGE, 2)
    assert (trainer["command"], trainer["args"]) == (["torchrun"], ["-m", "a.module", "config", "out"])
    assert trainer["resourcesPerNode"]["requests"] == {"nvidia.com/gpu": 2, "cpu": "8", "memory": "64Gi"}
    assert {"name": "PYTHONHASHSEED", "value": "0"} in trainer["env"]
    assert (api.deleted, driver.begun, driver.looks) == ([NAME], 1, 3)


def test_the_posted_job_passes_its_schema(api: TrainerApi) -> None:
    schema = Path(__file__).parents[5] / "shared" / "crds" / "trainer.kubeflow.org_v1alpha1_TrainJob.json"
    if not schema.exists():
        pytest.skip("../shared/crds is not there")
    jsonschema = pytest.importorskip("jsonschema")
    Driver(lambda: api.become(NAME, "Complete")).run()
    jsonschema.validate(api.posted[0], json.loads(schema.read_text()))


def test_without_gpus_ranks_are_processes_of_each_node(api: TrainerApi) -> None:
    place = Place(namespace=NAMESPACE, image=IMAGE, nodes=2, gpus=0)
    Driver(lambda: api.become(NAME, "Complete")).run(place, ranks=6)
    trainer = api.posted[0]["spec"]["trainer"]
    assert trainer["args"][0] == "--nproc-per-node=3"
    assert "resourcesPerNode" not in trainer


def test_a_step_that_comes_again_watches_the_job_that_runs(api: TrainerApi) -> None:
    api.add(NAME)
    driver = Driver(lambda: api.become(NAME, "Complete"))
    driver.run()
    assert (api.posted, api.deleted, driver.begun) == ([], [NAME], 0)


def test_a_job_that_another_made_meanwhile_is_watched(api: TrainerApi) -> None:
    """The client asks, is told that there is none, and is refused as it makes one."""
    api.add(NAME)
    api.troubles.append(("GET", 404))
    driver = Driver(lambda: api.become(NAME, "Complete"))
    driver.run()
    assert (api.posted, api.deleted) == ([], [NAME])


@pytest.mark.parametrize(
    ("status", "result", "again"), [("Failed", True, 1), ("Complete", False, 1), ("Complete", True, 0)]
)
def test_an_ended_job_is_made_anew_unless_its_result_is_there(
    api: TrainerApi, status: str, result: bool, again: int
) -> None:
    api.add(NAME, status)
    driver = Driver(lambda: None, lambda: api.become(NAME, "Complete"))
    driver.result = result
    driver.run()
    assert (len(api.posted), driver.begun) == (again, again)
    assert api.jobs == {}


def test_an_api_that_answers_with_errors_is_asked_again(api: TrainerApi, caplog: pytest.LogCaptureFixture) -> None:
    api.troubles += [("GET", 500), ("POST", 503)]
    driver = Driver(
        lambda: None,
        lambda: None,
        lambda: api.troubles.append(("GET", 500)),
        lambda: api.become(NAME, "Complete"),
    )
    driver.run()
    assert len(api.posted) == 1
    assert "asked again until the deadline" in caplog.text


def test_a_job_that_failed_says_how_and_is_freed(api: TrainerApi) -> None:
    api.log = "\n".join(f"line {n}" for n in range(50)) + "\nCUDA out of memory"
    with pytest.raises(
        RankError,
        match=r"0123456789abcdef in namespace crossmix failed; its log ends:\nline 31\n(.*\n)+CUDA out of memory",
    ):
        Driver(lambda: api.become(NAME, "Failed")).run()
    assert api.deleted == [NAME]


def test_a_job_that_does_not_end_is_ended(api: TrainerApi) -> None:
    place = Place(namespace=NAMESPACE, image=IMAGE, nodes=4, gpus=1, deadline=25)
    with pytest.raises(RankError, match="has not ended within 25 s"):
        Driver(*[lambda: None] * 3).run(place)
    assert api.deleted == [NAME]


def test_a_job_that_somebody_deletes_is_told(api: TrainerApi) -> None:
    with pytest.raises(RankError, match="somebody deleted it"):
        Driver(lambda: api.jobs.clear()).run()


def test_a_cluster_without_the_runtime_is_a_sentence_at_once(api: TrainerApi) -> None:
    api.runtime = False
    with pytest.raises(RankError, match="needs the TrainingRuntime crossmix-torch and an account whose role"):
        Driver().run()


def test_without_a_cluster_it_ends_at_once_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(RankError, match=r"no cluster is known here .*set KUBECONFIG"):
        Driver().run()


@pytest.mark.parametrize(
    ("place", "ranks", "sentence"),
    [
        ({"nodes": 2, "gpus": 4}, 4, r"train\.ranks: 4, but the TrainJob has 2 x 4 GPUs .*; set train\.ranks=8"),
        ({"nodes": 3, "gpus": 0}, 4, r"train\.ranks: 4 ranks cannot be shared evenly by 3 nodes"),
        ({"nodes": 0}, 4, "nodes 0, gpus 4; at least one node"),
    ],
)
def test_ranks_that_do_not_fit_are_refused_before_anything_is_made(
    place: dict[str, int], ranks: int, sentence: str
) -> None:
    with pytest.raises(RankError, match=sentence):
        Driver().run(Place(namespace=NAMESPACE, image=IMAGE, **place), ranks)


def test_the_place_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(trainjob.VARIABLE, raising=False)
    assert trainjob.of_environment() is None
    monkeypatch.setenv(trainjob.VARIABLE, json.dumps({"namespace": "n", "image": IMAGE, "nodes": 4, "gpus": 1}))
    assert trainjob.of_environment() == Place(namespace="n", image=IMAGE, nodes=4, gpus=1)
    for wrong in ("[1]", "{", '{"name": 1}'):
        monkeypatch.setenv(trainjob.VARIABLE, wrong)
        with pytest.raises(RankError, match=r"CROSSMIX_TRAINJOB: .* is no JSON object of namespace, image"):
            trainjob.of_environment()
