"""Runs, schedules and versions through kfp's own client, against an API that is cut, busy or refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from components.champion.component import champion
from components.ingest.component import ingest
from crossmix.config import Config, ConfigError, from_json, load, read_cluster
from crossmix.config.cluster import Cluster
from crossmix.schema import DataError
from pipelines import submit as submitting
from pipelines.cli.cluster import TOKEN
from pipelines.cli.main import app
from pipelines.submit import SubmitError, Submitted, Where, pipeline_of, submit
from pipelines.wiring import Pipeline
from tests.support import s3_server
from tests.support.clusters import DIGESTS, cluster_file
from tests.support.kfp_api import Api, serving

MLFLOW = "http://mlflow.crossmix.svc:5000"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    monkeypatch.setattr(submitting, "PAUSE", 0.0)
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", str(tmp_path / "context.json"))
    monkeypatch.delenv(TOKEN, raising=False)
    with serving(Api()) as made:
        yield made


PACKAGES: dict[str, str] = {}


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same package is compiled once for all tests that send it."""
    compile_ = submitting.write

    def write(pipeline: Pipeline, path: Path, *rest: Any) -> None:
        key = repr((pipeline, rest))
        if key not in PACKAGES:
            compile_(pipeline, path, *rest)
            PACKAGES[key] = path.read_text()
        path.write_text(PACKAGES[key])

    monkeypatch.setattr(submitting, "write", write)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return read_cluster(cluster_file(tmp_path_factory.mktemp("place")))


SMALL = replace(pipeline_of("training"), wire=lambda call: call(ingest))
"""With one step, which compiles in a moment."""
DAILY = replace(pipeline_of("online"), wire=lambda call: call(champion))


def config(*overrides: str) -> Config:
    return load("laptop", overrides)


def started(api: Api, place: Cluster, *overrides: str, of: Pipeline = SMALL, **more: Any) -> Submitted:
    where = Where(host=api.host, namespace="crossmix", token=api.token, account=place.account_of(of.name))
    return submit(of, config(*overrides), where, place=place, **more)


def test_a_run_has_package_parameters_namespace_token_and_account(api: Api, place: Cluster) -> None:
    api.token = "t0k3n"
    done = started(api, place, of=pipeline_of("training"))
    assert (done.kind, done.id, done.fresh) == ("run", "runs-1", True)
    (experiment,) = api.kept["experiments"]
    assert (experiment["display_name"], experiment["namespace"]) == ("crossmix", "crossmix")
    (run,) = api.kept["runs"]
    assert (run["display_name"], run["experiment_id"]) == (done.name, "experiments-1")
    assert run["service_account"] == "crossmix-steps"
    given = run["runtime_config"]["parameters"]
    assert given["store"] == "/store/steps"
    assert json.loads(given["market_config"]).keys() == {"limits", "market"}
    assert from_json(given["register_config"]).registry.tracking_uri == MLFLOW  # the place's
    executors = run["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"]
    assert executors["exec-train"]["container"]["image"].endswith(DIGESTS["train"])
    assert (
        "exec-finish" in run["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    )
    assert not any("t0k3n" in json.dumps(one) for one in (run, experiment))


def test_a_connection_cut_after_the_post_leaves_one_run(api: Api, place: Cluster) -> None:
    api.cut["runs"] = 1
    done = started(api, place)
    assert (done.id, done.fresh) == ("runs-1", True)
    assert api.posts("/runs") == len(api.kept["runs"]) == 1


def test_an_api_that_is_busy_is_asked_again(api: Api, place: Cluster) -> None:
    api.busy = {"runs": 2, "experiments": 1}
    assert started(api, place).id == "runs-1"
    assert (api.posts("/runs"), len(api.kept["runs"])) == (3, 1)


def test_the_same_again_finds_its_run_and_another_content_is_another(api: Api, place: Cluster) -> None:
    first = started(api, place)
    again = started(api, place)
    assert (again.id, again.name, again.fresh, again.note) == (first.id, first.name, False, "it is pending")
    other = started(api, place, "train.seed=5")
    assert other.id != first.id
    assert other.name != first.name
    elsewhere = started(api, replace(place, images=replace(place.images, steps=place.images.serve)))
    assert elsewhere.fresh


def test_a_run_that_failed_is_followed_by_another_attempt(api: Api, place: Cluster) -> None:
    first = started(api, place)
    api.kept["runs"][0]["state"] = "FAILED"
    second = started(api, place)
    assert (second.name, second.fresh) == (f"{first.name}-2", True)
    assert started(api, place).id == second.id


def test_a_kubeflow_of_one_user_is_told_no_namespace(api: Api, place: Cluster) -> None:
    api.multi_user = False
    assert started(api, place).fresh
    assert api.kept["experiments"][0]["namespace"] == ""


def test_a_schedule_is_set_up_once_and_its_runs_have_their_own_ids(api: Api, place: Cluster) -> None:
    api.cut["recurringruns"] = 1
    done = started(api, place, of=DAILY, kind="schedule", cron="0 30 4 * * *")
    assert (done.kind, done.id, done.fresh) == ("schedule", "recurringruns-1", True)
    (made,) = api.kept["recurringruns"]
    assert made["trigger"] == {"cron_schedule": {"cron": "0 30 4 * * *"}}
    assert (made["mode"], made["no_catchup"], made["service_account"]) == ("ENABLE", True, "crossmix-deploy")
    parameters = made["runtime_config"]["parameters"]
    assert from_json(parameters["feedback_config"]).readapt.run == ""  # each run takes Kubeflow's id of it
    assert not started(api, place, of=DAILY, kind="schedule", cron="0 30 4 * * *").fresh
    other = started(api, place, of=DAILY, kind="schedule", cron="0 30 5 * * *")
    assert other.note == f"also scheduled: {done.name}; disable what is not wanted"


@pytest.mark.parametrize("cron", ["30 4 * * *", "0 30 4 * * * 2026", "0 30 4 * * $"])
def test_a_schedule_has_six_fields(cron: str, api: Api, place: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"--schedule .*: has \d fields; Kubeflow takes six: second, minute"):
        started(api, place, kind="schedule", cron=cron)
    assert api.asked == []


def test_a_version_runs_as_it_is_uploaded(api: Api, place: Cluster) -> None:
    api.cut = {"versions": 1, "pipelines": 1}
    done = started(api, place, kind="version")
    assert (done.kind, done.id, done.fresh) == ("version", "versions-1", True)
    (pipeline,), (version,) = api.kept["pipelines"], api.kept["versions"]
    assert (pipeline["display_name"], pipeline["namespace"]) == ("crossmix-training", "crossmix")
    assert (version["display_name"], version["pipeline_id"]) == (done.name, "pipelines-1")
    spec, platforms = yaml.load_all(version["package"], Loader=yaml.CSafeLoader)
    defaults = {name: one["defaultValue"] for name, one in spec["root"]["inputDefinitions"]["parameters"].items()}
    assert from_json(defaults["gate_config"]).preset == "laptop"
    assert defaults["store"] == "/store/steps"
    assert "exec-ingest" in platforms["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert not started(api, place, kind="version").fresh
    assert (len(api.kept["pipelines"]), len(api.kept["versions"])) == (1, 1)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "refused with status 400: no such thing$"),
        (403, "refused with status 403: no such thing; ask for the right to edit in namespace crossmix, or pass"),
        (401, "refused with status 401: no such thing; pass a token that Kubeflow takes"),
    ],
)
def test_a_refusal_is_a_sentence_and_is_not_repeated(status: int, message: str, api: Api, place: Cluster) -> None:
    api.refuse["runs"] = (status, "no such thing")
    with pytest.raises(SubmitError, match=message):
        started(api, place)
    assert api.posts("/runs") == 1


def test_an_api_that_is_not_there_is_a_sentence(place: Cluster, api: Api) -> None:
    where = Where(host="http://127.0.0.1:9", namespace="crossmix")
    with pytest.raises(SubmitError, match=r"--host http://127.0.0.1:9: Kubeflow Pipelines does not answer \(MaxRetry"):
        submit(SMALL, config(), where, place=place)


LOGGED = ("data.source=criteo",)


def test_a_log_of_this_machine_is_refused(api: Api, place: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log.tsv"
    log.write_text("rows")
    for path in (str(log), "log.tsv", "/store/../etc/log.tsv", "/stores/log.tsv"):
        refused = rf"data.path: {path} is on this machine, and pods see /store alone; copy the log to a volume of"
        with pytest.raises(ConfigError, match=refused):
            started(api, place, *LOGGED, f"data.path={path}")
    with pytest.raises(ConfigError, match="and pods see no volume"):
        started(api, replace(place, store=None, retries={}), *LOGGED, f"data.path={log}")
    assert api.asked == []


def test_what_stands_for_the_log_reaches_ingest(api: Api, place: Cluster, tmp_path: Path) -> None:
    def log_of(*more: str, on: Cluster = place, **given: Any) -> str:
        started(api, on, *LOGGED, *more, **given)
        return str(api.kept["runs"][-1]["runtime_config"]["parameters"]["log"])

    assert log_of("data.path=/store/raw/log.tsv") == ""  # our keys look into it
    bare = replace(place, store=None, retries={}, logs={"raw": str(tmp_path)})
    log = tmp_path / "log.tsv"
    log.write_text("rows")
    first = log_of(f"data.path={log}", on=bare)
    log.write_text("other rows")
    second = log_of(f"data.path={log}", on=bare)
    assert len({first, second, ""}) == 3
    with pytest.raises(ConfigError, match=r"--log: data.path .*/none.tsv cannot be read here, and Kubeflow's cache"):
        log_of(f"data.path={tmp_path}/none.tsv", on=bare)
    assert log_of(f"data.path={tmp_path}/none.tsv", on=bare, log="5e884") == "5e884"


def test_a_log_in_s3(api: Api, place: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its objects' sizes and ETags stand for it, where this machine may ask for them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    bare = replace(place, store=None, retries={})

    def log_of(on: Cluster, source: str = "impressions", **given: Any) -> str:
        settings = ("data.settings.currency=EUR",) if source == "impressions" else ()
        started(api, on, f"data.source={source}", "data.path=s3://logs/day", *settings, **given)
        return str(api.kept["runs"][-1]["runtime_config"]["parameters"]["log"])

    with pytest.raises(ConfigError, match=r"--log: data\.path s3://logs/day cannot be read here without AWS_ACC"):
        log_of(bare)
    assert log_of(bare, log="5e884") == "5e884"
    assert log_of(place) == "", "our keys look into it, on the cluster"
    with pytest.raises(DataError, match=r"data\.path: s3://logs/day is in S3, and source 'criteo' reads files alone"):
        log_of(place, source="criteo")
    with s3_server.serving() as store:
        store.buckets["logs"] = {"day/1.csv": b"impression_id"}
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        first = log_of(bare)
        store.buckets["logs"] = {"day/1.csv": b"impression_ID"}
        assert len({first, log_of(bare), ""}) == 3
        store.buckets["logs"] = {}
        with pytest.raises(DataError, match=r"data\.path: s3://logs/day has no object"):
            log_of(bare)


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "file:/tmp/mlruns"])
def test_a_registry_of_this_machine_is_refused(uri: str, api: Api, place: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"registry.tracking_uri: \w+: is no server; name it as http://mlflow:5000"):
        started(api, place, f"registry.tracking_uri={uri}")
    with pytest.raises(ConfigError, match=r"registry\.tracking_uri: None is a file beside a local run"):
        started(api, replace(place, environment={}))


def test_the_command_starts_a_run_and_prints_its_id(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api.token = "secret"
    small = {"training": SMALL, "online": DAILY, "readapt": replace(DAILY, name="readapt", title="crossmix-readapt")}
    monkeypatch.setattr(submitting, "pipeline_of", lambda name, task="split": small[name])
    (tmp_path / "token").write_text("secret\n")
    job, hosted = ('train = "pod"', 'train = "trainjob"'), ("[api]", f'[api]\nhost = "{api.host}"')
    file = cluster_file(tmp_path, job, hosted)
    run = CliRunner().invoke
    asked = ["submit", "training", "--cluster", str(file), "--preset", "laptop"]
    refused = run(app, asked)
    assert refused.exit_code == 1
    assert "error: --host http" in refused.stderr
    assert "refused with status 401: the token is none of ours; pass a token that Kubeflow takes" in refused.stderr
    done = run(app, [*asked, "--token-file", str(tmp_path / "token"), "--name", "mine"])
    assert (done.exit_code, done.stdout) == (0, "runs-1\n"), done.stderr
    assert done.stderr == "run mine\n"
    assert api.kept["runs"][0]["service_account"] == "crossmix-train"
    monkeypatch.setenv(TOKEN, "secret")
    again = run(app, [*asked, "--name", "mine"])
    assert again.stderr == "run mine, which was there already; it is pending\n"
    scheduled = run(app, ["submit", "online", "--cluster", str(file), "--schedule", "0 0 5 * * *"])
    assert scheduled.stdout == "recurringruns-1\n"
    uploaded = run(app, ["submit", "readapt", "--cluster", str(file), "--upload"])
    assert uploaded.stdout == "versions-1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--host: name the address of the Kubeflow Pipelines API, here or as api.host of --cluster"),
        (["--host", "http://h", "--ca", "/none.pem"], "--ca /none.pem: is no file; name the CA's certificate"),
        (["--host", "http://h", "--token-file", "/none"], "--token-file /none: cannot be read (No such file or direct"),
        (["--upload", "--schedule", "0 0 5 * * *"], "--upload, --schedule: name one"),
        (["--image", "x"], "--image x: the images are those of --cluster"),
    ],
)
def test_what_the_command_refuses(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["submit", "training", "--cluster", str(cluster_file(tmp_path)), *arguments])
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_pipeline_that_is_none_is_a_sentence() -> None:
    done = CliRunner().invoke(app, ["compile", "trainng"])
    assert done.exit_code == 2
    assert "pipeline 'trainng' is unknown; use one of training, readapt, online" in done.stderr
