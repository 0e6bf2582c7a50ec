"""NetworkPolicies, evaluated: each named flow passes by one policy at each end, and nothing else passes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from tests.support.flows import End, Port, allowing, selects
from tests.support.manifests import BUILDS, Document, of_kind
from tests.support.pods import pods

NAME = "app.kubernetes.io/name"
SERVERS = ("policy", "control", "router", "pusher", "feedback")
KINDS = ("journey", "creators")
"""Predictors of the other kinds, of components."""
RUN = {"workflows.argoproj.io/workflow": "run-1"}
STORES = {"postgresql": 5432, "redis": 6379, "s3": 9000}


def of_ours(name: str, **labels: str) -> End:
    return End(name, {NAME: name, **labels})


OURS = [
    *(of_ours(name) for name in ("mlflow", *SERVERS, *KINDS, "monitor", "webhook", "train", "spark", *STORES)),
    End("step", {NAME: "step", **RUN}),
    End("driver", RUN),
    End("artifacts", {"app": "ml-pipeline-ui-artifact"}),
    End("stray", {"app": "somebody's"}),
]
"""Pods of the namespace; the last is nobody's."""
OTHERS = [
    End("dns", {"k8s-app": "kube-dns"}, "kube-system"),
    End("kfp", {"app": "ml-pipeline"}, "kubeflow"),
    End("kfp-metadata", {"component": "metadata-grpc-server"}, "kubeflow"),
    End("kfp-objects", {"app": "seaweedfs"}, "kubeflow"),
    End("kfp-ui", {"app": "ml-pipeline-ui"}, "kubeflow"),
    End("prometheus", {NAME: "prometheus"}, "monitoring"),
    End("alertmanager", {NAME: "alertmanager"}, "monitoring"),
    End("istiod", {"app": "istiod"}, "istio-system"),
    End("gateway", {"istio": "ingressgateway"}, "istio-system"),
    End("bidder", {}, "ads", {"crossmix-callers": "true"}),
    End("neighbour", {NAME: "router"}, "elsewhere"),
    End("private", address="10.0.0.1"),
    End("public", address="52.218.0.1"),
]
"""Pods of other namespaces, an address of the private network and one beyond."""
ENDS = {end.name: end for end in (*OURS, *OTHERS)}
Flow = tuple[str, str, Port]


def flows(sources: Iterable[str], targets: Iterable[str], *ports: int, protocol: str = "TCP") -> set[Flow]:
    return {(one, other, (port, protocol)) for one in sources for other in targets for port in ports}


READERS = ("step", *SERVERS)
BASE = (
    flows([end.name for end in OURS], ["dns"], 53)
    | flows([end.name for end in OURS], ["dns"], 53, protocol="UDP")
    | flows(["step", "driver"], ["private"], 443, 6443)
    | flows(["step", "driver"], ["kfp"], 8887, 8888)
    | flows(["step", "driver"], ["kfp-metadata"], 8080)
    | flows(["step", "driver", "artifacts"], ["kfp-objects"], 8333, 9000)
    | flows(["kfp-ui"], ["artifacts"], 3000)
    | flows(["webhook"], ["kfp"], 8888)
    | flows([*READERS, "monitor"], ["mlflow"], 5000)
    | flows(["router"], ["policy", "control"], 8080)
    | flows(["step"], ["router"], 8080)
    | flows(["bidder"], ["router"], 8080, 8081)
    | flows(["bidder"], ["feedback"], 8080)
    | flows(["monitor"], ["webhook"], 8090)
    | flows(["train"], ["train"], 29400, 45678)
)
"""Who opens a connection to whom, at which port."""
ASKING = {"postgresql": ("mlflow", *READERS, "monitor", "webhook"), "redis": READERS, "s3": ("mlflow", "step")}
"""Who asks which store."""
HERE = set[Flow]().union(*(flows(ASKING[name], [name], port) for name, port in STORES.items()))
ELSEWHERE = (
    flows(ASKING["postgresql"], ["private"], 5432)
    | flows(ASKING["redis"], ["private"], 6379)
    | flows(ASKING["s3"], ["public"], 443)
)
OPTIONAL = (
    flows(["prometheus"], [*SERVERS, *KINDS], 8080)
    | flows(KINDS, ["mlflow"], 5000)
    | flows(["bidder"], KINDS, 8080, 8081)
    | flows(["prometheus", "alertmanager"], ["webhook"], 8090)
    | flows(["mlflow", *SERVERS, *KINDS, "webhook"], ["istiod"], 15012)
    | flows(["gateway"], ["router"], 8080)
    | flows(["spark"], ["spark"], 7078, 7079)
    | flows(["spark"], ["private"], 443, 6443)
    | flows(["spark"], ["s3"], 9000)
)
EXPECTED = {"local": BASE | HERE, "cluster": BASE | ELSEWHERE, "all": BASE | HERE | OPTIONAL}
PORTS = sorted({port for named in EXPECTED.values() for *_, port in named} | {(22, "TCP"), (80, "TCP"), (4444, "UDP")})


Selecting = dict[str, list[Document]]
"""The policies that select an end, by its name."""


def selecting(documents: list[Document]) -> Selecting:
    policies = of_kind(documents, "NetworkPolicy")
    return {
        end.name: [one for one in policies if selects(one["spec"]["podSelector"], end.labels)] for end in ENDS.values()
    }


def verdict(policies: Selecting, flow: Flow) -> dict[str, list[str]]:
    """The policies that let a flow pass, at each end that is ours."""
    one, other, port = ENDS[flow[0]], ENDS[flow[1]], flow[2]
    ends = {"egress": (one, other), "ingress": (other, one)}
    return {way: allowing(policies[pair[0].name], way, *pair, port) for way, pair in ends.items() if pair[0].ours}


def every_flow() -> Iterable[Flow]:
    """Every pair with an end of ours, at every port."""
    for one, other in itertools.product(ENDS.values(), repeat=2):
        if one.ours or other.ours:
            yield from ((one.name, other.name, port) for port in PORTS)


@pytest.mark.parametrize("name", BUILDS)
def test_each_flow_passes_by_one_policy_at_each_end_and_nothing_else_does(
    builds: dict[str, list[Document]], name: str
) -> None:
    policies, wrong, denied = selecting(builds[name]), {}, 0
    for flow in every_flow():
        found = verdict(policies, flow)
        if flow in EXPECTED[name]:
            if any(len(names) != 1 for names in found.values()):
                wrong[flow] = found
        elif any(found.values()) and not ranks(flow):
            wrong[flow] = found
        else:
            denied += 1
    assert wrong == {}
    assert denied > 8_000


def ranks(flow: Flow) -> bool:
    """Ranks of one job talk at any port that NCCL may choose."""
    return flow[0] == flow[1] == "train" and flow[2][0] >= 1024 and flow[2][1] == "TCP"


def test_a_policy_that_is_gone_is_missed(builds: dict[str, list[Document]]) -> None:
    """Each policy but the one that denies lets a flow pass that no other does, and without that one all else would."""
    policies = selecting(builds["all"])
    allowed = {flow: verdict(policies, flow) for flow in EXPECTED["all"]}
    used = {name for found in allowed.values() for names in found.values() for name in names}
    named = {policy["metadata"]["name"] for policy in of_kind(builds["all"], "NetworkPolicy")}
    assert used == named - {"default-deny"}


def test_every_pod_of_a_build_is_a_part_here(builds: dict[str, list[Document]]) -> None:
    parts = {pod.labels[NAME] for pod in pods(builds["all"])}
    assert parts == {end.labels[NAME] for end in OURS if NAME in end.labels} - {"step"}


@pytest.mark.parametrize("name", BUILDS)
def test_a_flow_goes_where_somebody_listens(builds: dict[str, list[Document]], name: str) -> None:
    listening = {
        (pod.labels[NAME], port["containerPort"])
        for pod in pods(builds[name])
        for container in pod.spec["containers"]
        for port in container.get("ports", ())
    }
    servers = {part for part, _ in listening}
    reached = {(other, port) for _, other, (port, _) in EXPECTED[name] if other in servers}
    assert reached <= listening
    alone = {("policy", 8081), ("control", 8081)} | ({("pusher", 8080)} if name != "all" else set())
    assert listening - reached == alone, "gRPC of predictors nobody asks for, nor a pusher that nobody scrapes"
