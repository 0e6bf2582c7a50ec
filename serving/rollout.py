"""Roll-out on a cluster: the three InferenceServices and the experiment's settings, applied, waited for, or taken back.

Where the environment names an image (`Place.of_environment`) the documents of k8s/ are rendered with it and applied on
the server's side under one field manager, so that fields that others set stay theirs. It is done once the services are
ready, the router tells the version, and each arm has answered one question. Else what was there before is applied
again, and the step fails.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crossmix.background import sentence
from crossmix.config import Config, digest
from crossmix.metrics import ARMS
from serving.http.client import AwayError, Client, RefusedError

_log = logging.getLogger(__name__)
MANAGER = "crossmix"
"""Field manager of what is applied."""
SERVICES = ("policy", "control", "router")
SETTINGS = "crossmix-settings"
"""ConfigMap with the experiment's settings, `config.json`, which servers read (`crossmix serve --settings`)."""
RELEASE = "CROSSMIX_RELEASE"
"""Variable of a server: what was rolled out, which `/serving` tells, so that pods of before are told from new ones."""
UNTOLD = ("database", "clock", "salt")
"""Fields of the section `serving` that are no settings of an experiment, or a secret of it."""
IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}")
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
READY_SECONDS, PAUSE_SECONDS = 900.0, 2.0
"""How long all of it may take, and between two looks."""
USERS, TOGETHER = 200, 10
"""Users who are asked about until both arms have answered, and at once; the same ones each time. At 70 % one arm is
missed with probability 1e-31."""


class RolloutError(ValueError):
    """It could not be rolled out; the message says why, and what serves now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and with what."""

    image: str
    """Of the servers, NAME@sha256:<64 hex digits>."""
    manifests: Mapping[str, str]
    """Name of an InferenceService -> its document of k8s/, YAML."""
    namespace: str
    router: str
    """Address of the router."""
    token: str | None = field(default=None, repr=False)
    """For it, with the scopes `read` and `serve`."""
    seconds: float = READY_SECONDS
    pause: float = PAUSE_SECONDS

    @classmethod
    def of_environment(cls) -> Place | None:
        """As the variables say (docs/serving.md); `None`: no image is named, so that nothing is rolled out here.

        Raises:
            RolloutError: a variable that cannot be used.
        """
        image = os.environ.get("CROSSMIX_SERVE_IMAGE")
        if not image:
            return None
        if not IMAGE.fullmatch(image):
            raise RolloutError(
                f"CROSSMIX_SERVE_IMAGE: {image!r} is no image by digest; write NAME@sha256:<64 hex digits>"
            )
        there = NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "crossmix"
        namespace = os.environ.get("CROSSMIX_NAMESPACE") or there
        return cls(
            image=image,
            manifests={name: _manifest(name) for name in SERVICES},
            namespace=namespace,
            router=os.environ.get("CROSSMIX_ROUTER_URL") or f"http://router-predictor.{namespace}.svc",
            token=os.environ.get("CROSSMIX_TOKEN"),
        )


def _manifest(name: str) -> str:
    """Its document: a variable has it, as a ConfigMap gives it to a step, or a folder."""
    variable, folder = f"CROSSMIX_MANIFEST_{name.upper()}", os.environ.get("CROSSMIX_MANIFESTS")
    if text := os.environ.get(variable):
        return text
    if not folder:
        raise RolloutError(
            f"{variable}: there is no document of {name}; set it, or name their folder, CROSSMIX_MANIFESTS"
        )
    try:
        return (Path(folder) / f"{name}.yaml").read_text()
    except OSError as error:
        raise RolloutError(f"CROSSMIX_MANIFESTS: {folder}/{name}.yaml cannot be read ({error.strerror})") from None


# ---- what is applied -------------------------------------------------------------------------------------------------


def documents(place: Place, config: Config, version: int) -> list[dict[str, Any]]:
    """The settings and the three services, rendered.

    Raises:
        RolloutError: a document that is none of an InferenceService with a container of ours.
    """
    told = settings_of(config)
    labels = {"app.kubernetes.io/part-of": "crossmix"}
    text = json.dumps(told, indent=2, sort_keys=True) + "\n"
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": SETTINGS, "namespace": place.namespace, "labels": labels},
        "data": {"config.json": text},
    }
    return [settings, *(_service(place, name, version, digest(told)[:16]) for name in SERVICES)]


def settings_of(config: Config) -> dict[str, Any]:
    """What servers are told of the experiment: the section `serving`, but for `UNTOLD` and what is absent."""
    section = {key: value for key, value in asdict(config.serving).items() if key not in UNTOLD and value is not None}
    return {"serving": section}


def release(place: Place, settings: str, version: int) -> str:
    """Of a roll-out: 16 hex digits, the same for the same image, documents, settings and version."""
    return digest([place.image, dict(place.manifests), settings, version])[:16]


def _service(place: Place, name: str, version: int, settings: str) -> dict[str, Any]:
    import yaml

    try:
        found = [one for one in yaml.safe_load_all(place.manifests[name]) if one]
        (document,) = found
        kind, called, predictor = document["kind"], document["metadata"]["name"], document["spec"]["predictor"]
        container = next(one for one in predictor["containers"] if one["name"] == "kserve-container")
    except (yaml.YAMLError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise RolloutError(
            f"{name}.yaml: no document of an InferenceService with a kserve-container ({error!r})"
        ) from None
    if (kind, called) != ("InferenceService", name):
        raise RolloutError(f"{name}.yaml: it is {kind} {called!r}; give the InferenceService {name!r}")
    container["image"] = place.image
    others = [one for one in container.get("env", []) if one["name"] != RELEASE]
    container["env"] = [*others, {"name": RELEASE, "value": release(place, settings, version)}]
    # Servers read their settings as they start: other ones start them anew.
    predictor["annotations"] = {**predictor.get("annotations", {}), "crossmix/settings": settings}
    metadata = document["metadata"]
    metadata["namespace"] = place.namespace
    metadata["annotations"] = {**metadata.get("annotations", {}), "crossmix/version": str(version)}
    rendered: dict[str, Any] = document
    return rendered


# ---- applied, waited for, taken back ---------------------------------------------------------------------------------


def roll_out(place: Place, config: Config, version: int, champion: bool) -> str:
    """Apply, wait, ask; what was done, in a sentence.

    Args:
        version: that was registered.
        champion: whether it is to serve; otherwise the one that serves may be any.

    Raises:
        RolloutError: what was there before is applied again.
    """
    wanted = documents(place, config, version)
    released = release(place, digest(settings_of(config))[:16], version)
    with _cluster() as cluster:
        before = {_name(one): cluster.get(one) for one in wanted}
        applied: list[dict[str, Any]] = []
        try:
            generations = {}
            for one in wanted:
                applied.append(one)
                generations[_name(one)] = cluster.apply(one)["metadata"].get("generation")
            deadline = time.monotonic() + place.seconds
            _until(lambda: _not_ready(cluster, wanted[1:], generations), place, deadline)
            _until(lambda: _not_serving(place, config, released, version if champion else None), place, deadline)
        except Exception as error:
            raise RolloutError(f"version {version}: {sentence(error)}; {_back(cluster, applied, before)}") from error
    serving = f"the router tells version {version}" if champion else "the champion serves on"
    return f"{', '.join(SERVICES)} run {place.image} in {place.namespace}, {serving}, and each arm answers"


def _until(problem: Callable[[], str | None], place: Place, deadline: float) -> None:
    """Look until there is no problem; what goes away, as an API that is restarted, is looked at again."""
    while True:
        try:
            why = problem()
        except _api_errors(AwayError) as error:
            why = sentence(error)
        if why is None:
            return
        if time.monotonic() >= deadline:
            raise RolloutError(f"{why}, after {place.seconds:g} s")
        time.sleep(place.pause)


def _not_ready(
    cluster: Cluster, services: Sequence[Mapping[str, Any]], generations: Mapping[str, int | None]
) -> str | None:
    for one in services:
        name = _name(one)
        there = cluster.get(one)
        status = {} if there is None else there.get("status", {})
        asked, seen = generations[name], status.get("observedGeneration")
        if seen is not None and asked is not None and seen < asked:
            return f"{name} is not looked at yet"
        ready: Mapping[str, Any] = next((row for row in status.get("conditions", ()) if row["type"] == "Ready"), {})
        if ready.get("status") != "True":
            return f"{name} is not ready ({ready.get('message') or ready.get('reason') or 'nothing told'})"
    return None


def _not_serving(place: Place, config: Config, wanted: str, version: int | None) -> str | None:
    """Why the router does not serve yet as it should; `None`: it does.

    Args:
        wanted: the release.
        version: that is to serve; `None`: any.
    """
    client = Client(place.router, place.token)
    try:
        told = client.ask("GET", ["serving"])
        if told.get("release") != wanted:
            return f"the router tells release {told.get('release')}, not {wanted}: pods of before answer"
        if version is not None and told["version"] != version:
            why = "; ".join(one["why"] for one in told["degraded"])
            return f"the router tells version {told['version']}" + (f" ({why})" if why else "")
        experiment, weight = told["experiment"], config.serving.weight
        weights = dict(zip(ARMS, (weight, round(1 - weight, 9)), strict=True))
        if experiment["id"] == config.serving.experiment and experiment["weights"] != weights:
            return f"experiment {experiment['id']} has the weights {experiment['weights']}, not {weights}"
        arms = ARMS if experiment["everybody"] is None else (experiment["everybody"],)
        if not told["campaigns"]:
            return "the router knows no campaign to ask about"
        return _not_answering(client, told["campaigns"][0], set(arms))
    except RefusedError as error:
        return f"the router refuses: {sentence(error)}"


def _not_answering(client: Client, campaign: str, arms: set[str]) -> str | None:
    """Ask about users until every arm has answered; they are the same ones each time."""
    for first in range(0, USERS, TOGETHER):
        if not arms:
            return None
        users = [f"crossmix-deploy-{number}" for number in range(first, first + TOGETHER)]
        instances = [{"campaign_id": campaign, "user_id": user, "explore": False} for user in users]
        answer = client.ask("POST", ["v1", "models", "router:predict"], body={"instances": instances})
        for one in answer["predictions"]:
            total = sum(row["share"] for row in one["allocation"])
            if abs(total - 1) > 1e-6:
                return f"arm {one['arm']} answers with shares that add up to {total:.6f}"
            arms.discard(one["arm"])
    return f"no user of {USERS} was answered by {' and '.join(sorted(arms))}" if arms else None


def _back(cluster: Cluster, applied: Sequence[Mapping[str, Any]], before: Mapping[str, dict[str, Any] | None]) -> str:
    """Apply what was there before; what came of it, in a sentence."""
    done, left, failed = [], [], []
    for one in reversed(applied):
        name, old = _name(one), before[_name(one)]
        if old is None:
            left.append(name)
            continue
        try:
            cluster.apply(_own(old))
            done.append(name)
        except Exception as error:  # the others go back all the same
            _log.warning("roll-out: %s cannot be taken back: %s", name, sentence(error))
            failed.append(f"{name} ({sentence(error)})")
    told = [
        f"as before: {', '.join(done)}" if done else "",
        f"new, and left as they are: {', '.join(left)}" if left else "",
        f"could not be taken back: {', '.join(failed)}" if failed else "",
    ]
    return "; ".join(part for part in told if part) or "nothing was applied"


def _own(old: Mapping[str, Any]) -> dict[str, Any]:
    """An object as it may be applied: without what the API server writes."""
    metadata = {key: old["metadata"][key] for key in ("name", "namespace", "labels") if key in old["metadata"]}
    annotations = {
        key: value
        for key, value in old["metadata"].get("annotations", {}).items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    rest = {key: value for key, value in old.items() if key not in ("metadata", "status")}
    return {**rest, "metadata": metadata | ({"annotations": annotations} if annotations else {})}


def _name(document: Mapping[str, Any]) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


# ---- the Kubernetes API ----------------------------------------------------------------------------------------------


class Cluster:
    """The API, by its dynamic client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get(self, document: Mapping[str, Any]) -> dict[str, Any] | None:
        """The object as it is there; `None`: it is not."""
        from kubernetes.dynamic.exceptions import NotFoundError

        metadata = document["metadata"]
        try:
            found = self._kind(document).get(name=metadata["name"], namespace=metadata["namespace"])
        except NotFoundError:
            return None
        plain: dict[str, Any] = found.to_dict()
        return plain

    def apply(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Apply on the server's side; fields that are named become ours. The object then."""
        metadata = document["metadata"]
        done: dict[str, Any] = (
            self._kind(document)
            .server_side_apply(
                body=dict(document),
                name=metadata["name"],
                namespace=metadata["namespace"],
                field_manager=MANAGER,
                force_conflicts=True,
            )
            .to_dict()
        )
        return done

    def _kind(self, document: Mapping[str, Any]) -> Any:
        return self._client.resources.get(api_version=document["apiVersion"], kind=document["kind"])


@contextmanager
def _cluster() -> Iterator[Cluster]:
    """The cluster that this process runs in, or that the kubeconfig names."""
    from kubernetes import client, config
    from kubernetes.dynamic import DynamicClient

    settings = client.Configuration()
    try:
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=settings)
    except config.ConfigException as error:
        raise RolloutError(f"kubernetes: {sentence(error)}; run it in a cluster, or set KUBECONFIG") from None
    with tempfile.TemporaryDirectory() as folder, client.ApiClient(settings) as api:
        try:
            yield Cluster(DynamicClient(api, cache_file=str(Path(folder) / "discovered.json")))
        except _api_errors() as error:
            raise RolloutError(f"kubernetes: {sentence(error)}; nothing was applied") from error


def _api_errors(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What the client raises where no answer comes, or none of success; and more."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    return OSError, ApiException, HTTPError, *more


__all__ = ["Place", "RolloutError", "documents", "roll_out", "settings_of"]
