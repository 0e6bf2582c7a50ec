"""A roll-out against a Kubernetes API, by the real client, and a router: done, or taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from crossmix.artifacts import Deployment, Registration
from crossmix.config import Config, load
from serving.deploy import deploy
from serving.rollout import RELEASE, SERVICES, Place, RolloutError, documents, roll_out, settings_of
from tests.support.json_api import Asked, answering
from tests.support.kube_api import Cluster, serving

K8S = Path(__file__).resolve().parents[3] / "k8s" / "base" / "serving"
OLD, NEW = ("crossmix-serve@sha256:" + "0" * 63 + digit for digit in "12")
WEIGHTS = {"policy": 0.7, "control": 0.3}


class Router:
    """Answers as the pods of what was applied last would; `told` changes what it tells."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.told: dict[str, Any] = {}
        self.arms: tuple[str, ...] = ("policy", "policy", "control")
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    def serving(self) -> dict[str, Any]:
        service = next((one for path, one in self.cluster.objects.items() if path.endswith("/router")), None)
        env = {} if service is None else service["spec"]["predictor"]["containers"][0]["env"]
        release = next((one["value"] for one in env if one["name"] == RELEASE), None)
        experiment = {"id": "first", "weights": WEIGHTS, "everybody": None}
        now = {"version": 3, "release": release, "campaigns": ["c0"], "experiment": experiment, "degraded": []}
        return now | self.told

    def predicted(self, instance: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(instance)
        arm = self.arms[int(instance["user_id"].rpartition("-")[2]) % len(self.arms)]
        return {"arm": arm, "allocation": [{"platform": "search", "share": 0.4}, {"platform": "social", "share": 0.6}]}

    def answer(self, asked: Asked) -> tuple[int, Any]:
        assert asked.headers["authorization"] == "Bearer secret"
        if asked.method == "GET":
            assert asked.path == "/serving"
            return 200, self.serving()
        assert asked.path == "/v1/models/router:predict"
        return 200, {"predictions": [self.predicted(one) for one in asked.json["instances"]]}


def ready(found: dict[str, Any]) -> dict[str, Any]:
    conditions = [{"type": "PredictorReady", "status": "True"}, {"type": "Ready", "status": "True"}]
    return {"observedGeneration": found["metadata"]["generation"], "conditions": conditions}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Nothing is applied yet."""
    with serving(Cluster(ready)) as made:
        monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig(tmp_path / "kubeconfig")))
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        yield made


@pytest.fixture
def router(cluster: Cluster) -> Iterator[Router]:
    made = Router(cluster)
    with answering(made.answer) as made.url:
        yield made


@pytest.fixture
def place(router: Router) -> Place:
    return Place(
        image=NEW,
        manifests={name: (K8S / f"{name}.yaml").read_text() for name in SERVICES},
        namespace="crossmix",
        router=router.url,
        token="secret",
        seconds=0.0,
        pause=0.0,
    )


@pytest.fixture
def config() -> Config:
    return load("laptop", ["serving.days=20", "serving.salt=pepper"])


def image(cluster: Cluster, name: str) -> str:
    (found,) = (one for path, one in cluster.objects.items() if path.endswith(f"/{name}"))
    return str(found["spec"]["predictor"]["containers"][0]["image"])


def test_what_is_applied_is_the_manifest_with_image_version_and_settings(place: Place, config: Config) -> None:
    settings, *services = documents(place, config, 3)
    told = json.loads(settings["data"]["config.json"])
    assert (settings["metadata"]["name"], settings["metadata"]["namespace"]) == ("crossmix-settings", "crossmix")
    assert (told["serving"]["days"], told["serving"]["weight"], told.keys()) == (20, 0.7, {"serving"})
    assert not {"salt", "database", "clock"} & told["serving"].keys()
    assert [one["metadata"]["name"] for one in services] == list(SERVICES)
    for one in services:
        written = yaml.safe_load(place.manifests[one["metadata"]["name"]])
        container, before = one["spec"]["predictor"]["containers"][0], written["spec"]["predictor"]["containers"][0]
        assert container["image"] == NEW
        assert one["metadata"]["annotations"]["crossmix/version"] == "3"
        assert len(one["spec"]["predictor"]["annotations"]["crossmix/settings"]) == 16
        added = [row for row in container["env"] if row not in before["env"]]
        assert [row["name"] for row in added] == [RELEASE]
        assert {**container, "image": before["image"], "env": before["env"]} == before
    # Other settings, another image or version are another release, which starts the servers anew.
    others = (documents(place, load("laptop"), 3), documents(replace(place, image=OLD), config, 3))
    releases = {services[2]["spec"]["predictor"]["containers"][0]["env"][-1]["value"]} | {
        other[3]["spec"]["predictor"]["containers"][0]["env"][-1]["value"]
        for other in (*others, documents(place, config, 4))
    }
    assert len(releases) == 4


def test_a_document_that_is_none_is_refused(place: Place, config: Config) -> None:
    for text, told in (("kind: [", "no document"), ("kind: Pod\nmetadata: {name: policy}\n", "no document")):
        with pytest.raises(RolloutError, match=f"policy.yaml: {told}"):
            documents(replace(place, manifests={**place.manifests, "policy": text}), config, 3)
    swapped = {**place.manifests, "policy": place.manifests["control"]}
    with pytest.raises(RolloutError, match="it is InferenceService 'control'; give the InferenceService 'policy'"):
        documents(replace(place, manifests=swapped), config, 3)


def test_it_is_applied_on_the_servers_side_and_done_once_all_answer(
    place: Place, config: Config, cluster: Cluster, router: Router
) -> None:
    told = roll_out(place, config, 3, champion=True)
    assert told == (f"policy, control, router run {NEW} in crossmix, the router tells version 3, and each arm answers")
    assert [one["metadata"]["name"] for _, one in cluster.applied] == ["crossmix-settings", *SERVICES]
    assert [one for _, one in cluster.applied] == documents(place, config, 3)
    assert {(query["fieldManager"], query["force"]) for query, _ in cluster.applied} == {("crossmix", "True")}
    assert [one["user_id"] for one in router.asked] == [f"crossmix-deploy-{number}" for number in range(10)]
    assert {one["explore"] for one in router.asked} == {False}


@pytest.fixture
def before(place: Place, config: Config, cluster: Cluster, router: Router) -> list[dict[str, Any]]:
    """What an earlier roll-out applied."""
    old = load("laptop")
    roll_out(replace(place, image=OLD), old, 3, champion=True)
    for one in cluster.objects.values():
        one["metadata"].setdefault("annotations", {})["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
    cluster.applied.clear()
    router.asked.clear()
    return documents(replace(place, image=OLD), old, 3)


def taken_back(cluster: Cluster, before: list[dict[str, Any]]) -> None:
    """The newest of each object is what was applied before."""
    last = {one["metadata"]["name"]: one for _, one in cluster.applied}
    assert [last[one["metadata"]["name"]] for one in before] == before
    assert {query["fieldManager"] for query, _ in cluster.applied} == {"crossmix"}


BACK = "as before: " + ", ".join(f"InferenceService {name}" for name in ("router", "control", "policy"))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"version": 2, "degraded": [{"why": "registry: away"}]}, r"the router tells version 2 \(registry: away\)"),
        ({"release": None}, r"the router tells release None, not [0-9a-f]{16}: pods of before answer"),
        ({"campaigns": []}, "the router knows no campaign to ask about"),
        (
            {"experiment": {"id": "first", "weights": {"policy": 0.5, "control": 0.5}, "everybody": None}},
            r"experiment first has the weights \{'policy': 0.5, 'control': 0.5\}, not \{'policy': 0.7.*",
        ),
    ],
)
def test_a_router_that_does_not_serve_it_is_taken_back(
    told: dict[str, Any], why: str, place: Place, config: Config, cluster: Cluster, router: Router,
    before: list[dict[str, Any]],
) -> None:  # fmt: skip
    router.told = told
    with pytest.raises(RolloutError, match=f"version 3: {why}, after 0 s; {BACK}"):
        roll_out(place, config, 3, champion=True)
    taken_back(cluster, before)
    assert image(cluster, "policy") == OLD


def test_an_arm_that_never_answers_is_found(
    place: Place, config: Config, cluster: Cluster, router: Router, before: list[dict[str, Any]]
) -> None:
    router.arms = ("policy",)
    with pytest.raises(RolloutError, match="no user of 200 was answered by control"):
        roll_out(place, config, 3, champion=True)
    taken_back(cluster, before)
    # Once an experiment has ended there is one arm to ask.
    router.told = {"experiment": {"id": "first", "weights": WEIGHTS, "everybody": "policy"}}
    assert "each arm answers" in roll_out(place, config, 3, champion=True)


def test_services_that_do_not_become_ready_are_taken_back(
    place: Place, config: Config, cluster: Cluster, before: list[dict[str, Any]]
) -> None:
    def pulling(found: dict[str, Any]) -> dict[str, Any]:
        if found["metadata"]["name"] != "control":
            return ready(found)
        failed = {"type": "Ready", "status": "False", "message": "ImagePullBackOff"}
        return {"observedGeneration": found["metadata"]["generation"], "conditions": [failed]}

    cluster.become = pulling
    with pytest.raises(
        RolloutError, match=rf"version 3: InferenceService control is not ready \(ImagePullBackOff\), after 0 s; {BACK}"
    ):
        roll_out(place, config, 3, champion=True)
    taken_back(cluster, before)
    cluster.become = lambda found: ready(found) | {"observedGeneration": 1}
    with pytest.raises(RolloutError, match="InferenceService policy is not looked at yet"):
        roll_out(place, config, 3, champion=True)


def test_what_the_api_refuses_leaves_nothing_half_applied(
    place: Place, config: Config, cluster: Cluster, before: list[dict[str, Any]]
) -> None:
    cluster.refuse = lambda one: (
        (422, "spec: invalid") if one["metadata"]["name"] == "control" and NEW in json.dumps(one) else None
    )
    with pytest.raises(
        RolloutError, match=r"version 3: 422.*; as before: InferenceService control, .*policy, ConfigMap"
    ):
        roll_out(place, config, 3, champion=True)
    assert {image(cluster, name) for name in SERVICES} == {OLD}
    assert "router" not in {one["metadata"]["name"] for _, one in cluster.applied}


def test_a_first_one_that_fails_has_nothing_to_go_back_to(
    place: Place, config: Config, cluster: Cluster, router: Router
) -> None:
    router.told = {"version": None}
    with pytest.raises(RolloutError, match=r"new, and left as they are: InferenceService router, .*crossmix-settings"):
        roll_out(place, config, 3, champion=True)
    # A version that waits does not serve: the champion may be any.
    assert "the champion serves on" in roll_out(place, config, 3, champion=False)


def test_an_api_that_is_away_changes_nothing(place: Place, config: Config, cluster: Cluster, tmp_path: Path) -> None:
    config_file = yaml.safe_load((tmp_path / "kubeconfig").read_text())
    config_file["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:9"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config_file))
    with pytest.raises(RolloutError, match=r"kubernetes: .*; nothing was applied"):
        roll_out(place, config, 3, champion=True)
    assert cluster.applied == []


def test_the_environment_says_where_and_without_an_image_nothing_is_rolled_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = (
        "SERVE_IMAGE",
        "NAMESPACE",
        "MANIFESTS",
        "ROUTER_URL",
        "TOKEN",
        *(f"MANIFEST_{n.upper()}" for n in SERVICES),
    )
    for name in names:
        monkeypatch.delenv(f"CROSSMIX_{name}", raising=False)
    assert Place.of_environment() is None
    Registration(name="m", version=2, aliases=("champion",), run_id="r", bundle_digest="d", note="told").save(tmp_path)
    done = deploy(load("laptop"), tmp_path, tmp_path, tmp_path)
    nothing = "nothing was rolled out: no cluster is named (CROSSMIX_SERVE_IMAGE)"
    assert (done.state, done.detail, done.rollout) == ("champion", "told", nothing)
    assert Deployment.load(tmp_path) == done
    monkeypatch.setenv("CROSSMIX_SERVE_IMAGE", "crossmix-serve:latest")
    with pytest.raises(RolloutError, match="'crossmix-serve:latest' is no image by digest"):
        Place.of_environment()
    monkeypatch.setenv("CROSSMIX_SERVE_IMAGE", NEW)
    with pytest.raises(RolloutError, match="CROSSMIX_MANIFEST_POLICY: there is no document of policy"):
        Place.of_environment()
    monkeypatch.setenv("CROSSMIX_MANIFESTS", str(K8S))
    monkeypatch.setenv("CROSSMIX_MANIFEST_CONTROL", "kind: one")
    monkeypatch.setenv("CROSSMIX_NAMESPACE", "ads")
    found = Place.of_environment()
    assert found is not None
    assert (found.image, found.namespace, found.router) == (NEW, "ads", "http://router-predictor.ads.svc")
    assert found.manifests["policy"] == (K8S / "policy.yaml").read_text()
    assert found.manifests["control"] == "kind: one"


def test_settings_are_what_a_server_reads(tmp_path: Path, config: Config) -> None:
    from pipelines.cli.serve_registry import settings_in

    file = tmp_path / "config.json"
    file.write_text(json.dumps(settings_of(config)))
    values = settings_in(file)
    assert load("laptop", (), values).serving == replace(config.serving, salt=None)
