"""Run a pipeline on a cluster through the Kubeflow Pipelines API: once, on a schedule, or as a version to be run there.

Everything is named by its content. A connection may be cut after the API has taken a request: before it is asked again,
what it should have made is looked for by name, so that one run is one run.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from components.cache import log_digest
from components.declared import SPLIT
from crossmix.config import Config, ConfigError
from crossmix.config.cluster import Cluster
from crossmix.sources import in_s3, in_warehouse, s3
from pipelines.wiring import Pipeline, arguments, store_of, write

T = TypeVar("T")
TRIES = 4
PAUSE = 1.0
"""Seconds before a second try, twice as many before the next."""
TIMEOUT = 60.0
"""Seconds that the API may take to answer."""
ENDED_BADLY = {"FAILED", "CANCELED"}
ATTEMPTS = 100
"""Runs of one content, at most."""
LOCAL_TRACKING = ("sqlite:", "file:", "postgresql:", "mysql:")
NAMES: Mapping[str, str] = {"training": "TRAINING", "readapt": "READAPT", "online": "ONLINE"}
Kind = Literal["run", "version", "schedule"]


class SubmitError(RuntimeError):
    """The Kubeflow Pipelines API does not answer, or refuses; the message says what to do.

    `code`: the HTTP status of a refusal; `None`: it does not answer.
    """

    status = 1

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """The API, and as whom a run is started."""

    host: str
    namespace: str | None = None
    """Of the runs, where Kubeflow has many users."""
    token: str | None = None
    ca: Path | None = None
    """The CA's certificate."""
    account: str | None = None
    """ServiceAccount of the run's pods; `None`: Kubeflow's own."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the API has."""

    kind: Kind
    id: str
    name: str
    fresh: bool
    """False: it was there already."""
    note: str = ""


def pipeline_of(name: str, task: str = SPLIT) -> Pipeline:
    """A pipeline by its name: training, readapt or online; training of a task.

    Raises:
        ConfigError: there is none.
    """
    import importlib

    if name not in NAMES:
        raise ConfigError(f"pipeline {name!r} is unknown; use one of {', '.join(NAMES)}")
    if name == "training":
        from pipelines.training import training_of

        return training_of(task)
    if task != SPLIT:
        raise ConfigError(f"pipeline {name!r} follows a split that is served, not task {task!r}; use training")
    found: Pipeline = getattr(importlib.import_module(f"pipelines.{name}"), NAMES[name])
    return found


def check(config: Config, pipeline: Pipeline, place: Cluster | None, store: str, log: str | None) -> str:
    """Refuse what pods cannot do; what stands for the log's content.

    Args:
        log: what the user says stands for it.

    Raises:
        ConfigError: the registry, or the log, is one of this machine; nothing tells Kubeflow's cache of the log.
        DataError: the log is in S3, where its source does not read, or where it is not.
    """
    uri = config.registry.tracking_uri
    if uri is None:
        raise ConfigError("registry.tracking_uri: None is a file beside a local run; name the cluster's MLflow server")
    if uri.startswith(LOCAL_TRACKING):
        raise ConfigError(
            f"registry.tracking_uri: {uri.partition(':')[0]}: is no server; name it as http://mlflow:5000"
        )
    path = config.data.path
    if path is None or not any(step.reads_log for step in pipeline.steps.values()):
        return log or ""
    if in_warehouse(config.data):
        return log or log_digest(config.data)
    remote = in_s3(config.data)
    if not remote:
        _seen(path, place, store)
    if log:
        return log
    if s3.credentials() if remote else os.access(path, os.R_OK):
        return log_digest(config.data)
    if not store:
        raise ConfigError(
            f"--log: data.path {path} cannot be read here{' without AWS_ACCESS_KEY_ID' if remote else ''}, and "
            "Kubeflow's cache knows no more of a log than its path; pass what stands for its content, as its "
            "sha256sum, or give the cluster's file a [store]"
        )
    return ""


def _seen(path: str, place: Cluster | None, store: str) -> None:
    mounts = [] if place is None else [*([place.store.path] if place.store else []), *place.logs.values()]
    mounts += [str(PurePosixPath(store).parent)] if store and place is None else []
    parts = PurePosixPath(path)
    if not parts.is_absolute() or ".." in parts.parts or not any(parts.is_relative_to(mount) for mount in mounts):
        mounted = f"pods see {', '.join(mounts)} alone" if mounts else "pods see no volume"
        raise ConfigError(
            f"data.path: {path} is on this machine, and {mounted}; copy the log to a volume of [store] or [logs] in "
            "the cluster's file and name it as the pods see it, or give an s3:// address"
        )


def submit(
    pipeline: Pipeline,
    config: Config,
    where: Where,
    *,
    place: Cluster | None = None,
    kind: Kind = "run",
    cron: str | None = None,
    name: str | None = None,
    log: str | None = None,
    store: str | None = None,
    image: str | None = None,
    gpus: int | None = None,
) -> Submitted:
    """Start a run, set up a schedule of runs, or upload a version, unless it is there.

    Args:
        place: where the pods run.
        kind: what is asked for; "schedule" needs `cron`, six fields.
        name: of the run or schedule in Kubeflow; by its content if absent.
        log: stands for the raw log's content; taken from the log where this machine can read it.
        store: a folder that every step sees; the place's if absent.
        image: of every step, without a place.
        gpus: of the train step, without a place; as many as ranks if absent.

    Raises:
        ConfigError: what can be refused before anything is sent.
        SubmitError: the API does not answer, or refuses.
    """
    if cron is not None:
        check_cron(cron)
    config = registered(config, place)
    kept = store_of(place) if store is None else store
    given = arguments(pipeline, config, kept, check(config, pipeline, place, kept, log))
    ranks = config.train.ranks if gpus is None else gpus
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / f"{pipeline.title}.yaml"
        write(pipeline, package, image, ranks if pipeline.has_ranks else 0, place, given)
        digest = _digest(package.read_text(), where, cron)
        called = name or f"{pipeline.title}-{digest}"
        with quiet():
            api = Api(where)
            if kind == "version":
                return api.version(pipeline.title, called, package)
            experiment = api.experiment(config.registry.experiment)
            if kind == "schedule":
                return api.schedule(experiment, called, package, given, cron or "", pipeline.title)
            return api.run(experiment, called, package, given)


def registered(config: Config, place: Cluster | None) -> Config:
    """With the place's registry, where the config names none."""
    uri = None if place is None else place.environment.get("MLFLOW_TRACKING_URI")
    if config.registry.tracking_uri is not None or uri is None:
        return config
    return replace(config, registry=replace(config.registry, tracking_uri=uri))


def check_cron(cron: str) -> None:
    """Refuse a schedule that is not of six fields, as Kubeflow wants: second, minute, hour, day, month, weekday.

    Raises:
        ConfigError: it is not.
    """
    fields = cron.split()
    if len(fields) != 6 or not all(re.fullmatch(r"[0-9A-Za-z*?/,#-]+", one) for one in fields):
        raise ConfigError(
            f"--schedule {cron!r}: has {len(fields)} fields; Kubeflow takes six: second, minute, hour, day of month, "
            "month, day of week, as '0 30 4 * * *' for 4:30 every day, UTC"
        )


def _digest(package: str, where: Where, cron: str | None) -> str:
    told = [package, where.namespace or "", where.account or "", cron or ""]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The client prints links of its own and warns of versions of years ago."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", FutureWarning)
        yield


class Api:
    """The API through kfp's own client; every request may be made twice, and leaves one thing.

    Args:
        tries: of a request that is not answered.
        timeout: seconds that an answer may take.

    Raises:
        SubmitError: it does not answer, or refuses; of each method too.
    """

    def __init__(self, where: Where, tries: int = TRIES, timeout: float = TIMEOUT) -> None:
        self.where, self.tries, self.timeout = where, tries, timeout
        self.client = self._connect(where.namespace)
        health = self._again(lambda: self.client._healthz_api.healthz_service_get_healthz())
        self.namespace = where.namespace if health.multi_user else None
        if where.namespace and not health.multi_user:  # a Kubeflow of one user refuses to be told a namespace
            self.client = self._connect(None)

    def _connect(self, namespace: str | None) -> Any:
        from kfp import Client

        ca = None if self.where.ca is None else str(self.where.ca)
        client = Client(
            host=self.where.host,
            namespace=namespace or "kubeflow",
            existing_token=self.where.token,
            ssl_ca_cert=ca,
        )
        client._run_api.api_client.rest_client.pool_manager.connection_pool_kw["timeout"] = self.timeout
        return client

    def experiment(self, name: str) -> str:
        """The id of the experiment of a name, made if there is none."""
        made = self._again(lambda: self.client.create_experiment(name=name, namespace=self.namespace))
        return str(made.experiment_id)

    def run(self, experiment: str, name: str, package: Path, given: Mapping[str, str]) -> Submitted:
        """The run of a name; another attempt where that one failed."""
        for attempt in range(1, ATTEMPTS + 1):
            called = name if attempt == 1 else f"{name}-{attempt}"
            there = self.found(experiment, called)
            if there is None:
                break
            if there.state not in ENDED_BADLY:
                return Submitted("run", str(there.run_id), called, False, f"it is {str(there.state).lower()}")
        else:
            raise SubmitError(f"{name}: {ATTEMPTS} runs of it have failed; look why, or give it another --name")
        made = self.post(experiment, called, package, given)
        return Submitted("run", str(made.run_id), called, True)

    def found(self, experiment: str, name: str) -> Any:
        """The run of a name: `run_id`, `state`; `None`: there is none."""
        return self._again(lambda: self._run(experiment, name))

    def post(self, experiment: str, name: str, package: Path, given: Mapping[str, str]) -> Any:
        """Make the run of a name; whoever asks has looked for it."""
        return self._again(
            lambda: self.client.run_pipeline(
                experiment_id=experiment,
                job_name=name,
                pipeline_package_path=str(package),
                params=dict(given),
                service_account=self.where.account,
            ),
            lambda: self._run(experiment, name),
        )

    def schedule(
        self, experiment: str, name: str, package: Path, given: Mapping[str, str], cron: str, prefix: str
    ) -> Submitted:
        """The recurring run of a name; others of the same pipeline are told."""
        listed = self._again(lambda: self._schedules(experiment))
        others = [one.display_name for one in listed if one.display_name.startswith(prefix) and _enabled(one)]
        note = ", ".join(other for other in others if other != name)
        note = note and f"also scheduled: {note}; disable what is not wanted"
        for one in listed:
            if one.display_name == name and _enabled(one):
                return Submitted("schedule", str(one.recurring_run_id), name, False, note)

        def found() -> Any:
            return next((one for one in self._schedules(experiment) if one.display_name == name), None)

        made = self._again(
            lambda: self.client.create_recurring_run(
                experiment_id=experiment,
                job_name=name,
                cron_expression=cron,
                max_concurrency=1,
                no_catchup=True,
                pipeline_package_path=str(package),
                params=dict(given),
                service_account=self.where.account,
            ),
            found,
        )
        return Submitted("schedule", str(made.recurring_run_id), name, True, note)

    def version(self, title: str, name: str, package: Path) -> Submitted:
        """The version of a name of the pipeline of a title, both made where there are none."""
        pipeline = self._again(lambda: self._pipeline(title)) or self._again(
            lambda: self.client._pipelines_api.pipeline_service_create_pipeline(self._named(title)).pipeline_id,
            lambda: self._pipeline(title),
        )
        there = self._again(lambda: self._version(pipeline, name))
        if there is not None:
            return Submitted("version", str(there.pipeline_version_id), name, False)
        made = self._again(
            lambda: self.client.upload_pipeline_version(str(package), name, pipeline_id=pipeline),
            lambda: self._version(pipeline, name),
        )
        return Submitted("version", str(made.pipeline_version_id), name, True)

    def _named(self, title: str) -> Any:
        from kfp_server_api import V2beta1Pipeline

        return V2beta1Pipeline(display_name=title, name=title, namespace=self.namespace)

    def _run(self, experiment: str, name: str) -> Any:
        found = self.client.list_runs(experiment_id=experiment, page_size=10, filter=_equals(name))
        return next((one for one in found.runs or [] if one.display_name == name), None)

    def _schedules(self, experiment: str) -> list[Any]:
        listed: list[Any] = []
        page = ""
        while True:
            found = self.client.list_recurring_runs(experiment_id=experiment, page_size=100, page_token=page)
            listed += found.recurring_runs or []
            page = found.next_page_token or ""
            if not page:
                return listed

    def _pipeline(self, title: str) -> str | None:
        found = self.client.list_pipelines(namespace=self.namespace, page_size=10, filter=_equals(title))
        return next((one.pipeline_id for one in found.pipelines or [] if one.display_name == title), None)

    def _version(self, pipeline: str, name: str) -> Any:
        found = self.client.list_pipeline_versions(pipeline_id=pipeline, page_size=10, filter=_equals(name))
        return next((one for one in found.pipeline_versions or [] if one.display_name == name), None)

    def _again(self, call: Callable[[], T], found: Callable[[], T | None] | None = None) -> T:
        """What a call returns; after an answer that did not come, what `found` finds in its place, else once more."""
        from kfp_server_api.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        last = ""
        for number in range(self.tries):
            if number:
                time.sleep(PAUSE * 2 ** (number - 1))
            try:
                if number and found is not None and (there := found()) is not None:
                    return there
                return call()
            except ApiException as error:
                if error.status == 409 and found is not None and (there := found()) is not None:
                    return there
                if error.status and error.status < 500 and error.status != 429:
                    raise SubmitError(self._refused(error), error.status) from None
                last = f"status {error.status}, {error.reason}"
            except HTTPError as error:
                last = f"{type(error).__name__}: {error}"
        raise SubmitError(
            f"--host {self.where.host}: Kubeflow Pipelines does not answer ({last[:300]}); try again later"
        )

    def _refused(self, error: Any) -> str:
        try:
            told = json.loads(error.body or "")
            reason = str(told.get("error_message") or told.get("message") or error.reason)
        except (ValueError, AttributeError):
            reason = str(error.reason)
        hint = {
            401: "; pass a token that Kubeflow takes (--token-file, or CROSSMIX_KFP_TOKEN)",
            403: f"; ask for the right to edit in namespace {self.where.namespace}, or pass another token",
            404: "; --host is the address of the Kubeflow Pipelines API",
        }.get(error.status, "")
        return f"--host {self.where.host}: refused with status {error.status}: {reason[:500]}{hint}"


def _enabled(one: Any) -> bool:
    return str(one.status or "ENABLED") == "ENABLED"


def _equals(name: str) -> str:
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})
