"""The place's file: read strictly, errors in a sentence, never a part of the config."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from crossmix.config import Config, ConfigError, read_cluster
from crossmix.config.cluster import Cluster, Given, Images, Resources
from tests.support.clusters import DIGESTS, EXAMPLE, cluster_file

STEPS = f"crossmix-steps@sha256:{DIGESTS['steps']}"


def test_the_example_is_a_place_once_it_names_digests(tmp_path: Path) -> None:
    place = read_cluster(cluster_file(tmp_path))
    assert (place.namespace, place.runtime, place.train) == ("crossmix", "crossmix-torch", "pod")
    assert place.images.steps == STEPS
    assert place.store is not None
    assert (place.store.claim, place.store.path) == ("crossmix-store", "/store")
    assert place.secrets["crossmix-database"] == Given(env={"CROSSMIX_DATABASE": "url"}, steps=("feedback", "register"))
    assert place.resources_of("train").gpus == 4
    assert place.resources_of("market") == Resources(cpu="1", memory="4Gi", memory_limit="8Gi")
    assert (place.timeout_of("train"), place.timeout_of("gate")) == (86400, 14400)


def test_the_example_itself_holds_no_digest_and_is_refused() -> None:
    assert EXAMPLE.read_text().count("sha256:DIGEST") == 3
    with pytest.raises(
        ConfigError, match=r"images\.steps: 'crossmix-steps@sha256:DIGEST' is no image by digest; write"
    ):
        read_cluster(EXAMPLE)


def test_the_config_knows_no_place() -> None:
    assert not {item.name for item in fields(Config)} & {"cluster", "namespace", "images", "resources"}


def test_defaults_of_a_place_without_tables() -> None:
    place = Cluster(images=Images(steps=STEPS, train=STEPS, serve=STEPS))
    asked = place.resources_of("train")
    assert (asked.cpu, asked.memory, asked.limit, asked.gpus, asked.threads) == ("1", "4Gi", "4Gi", 0, 1)
    assert place.store is None
    assert place.timeout_of("train") is None


def test_whom_a_secret_reaches() -> None:
    assert Given(env={}).reaches("ingest")
    assert Given(env={}, steps=("feedback",)).reaches("feedback")
    assert not Given(env={}, steps=("feedback",)).reaches("ingest")


def test_a_run_has_the_account_that_may_do_what_its_steps_ask_of_kubernetes(tmp_path: Path) -> None:
    pod, job = read_cluster(cluster_file(tmp_path)), ('train = "pod"', 'train = "trainjob"')
    assert [pod.account_of(name) for name in ("training", "readapt")] == ["crossmix-steps", "crossmix-deploy"]
    place = read_cluster(cluster_file(tmp_path, job))
    assert [place.account_of(name) for name in ("training", "online")] == ["crossmix-train", "crossmix-deploy"]
    manifests = """[config_maps.crossmix-manifests]
env = { CROSSMIX_MANIFEST_ROUTER = "router.yaml" }
steps = ["%s"]

[labels]"""
    for step, account in (("deploy", "crossmix-deploy"), ("monitor", "crossmix-train")):
        assert (
            read_cluster(cluster_file(tmp_path, job, ("[labels]", manifests % step))).account_of("training") == account
        )


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            STEPS,
            "crossmix-steps:0.1.0",
            r"images.steps: 'crossmix-steps:0.1.0' is no image by digest; write NAME@sha256",
        ),
        (STEPS, STEPS[:-1], "images.steps: 'crossmix-steps@sha256:0*' is no image by digest"),
        (STEPS, STEPS.replace("@", ":1@"), "images.steps: .* is no image by digest"),
        ('namespace = "crossmix"', 'namespace = "Cross_Mix"', "namespace: 'Cross_Mix' is no name of Kubernetes; use"),
        ('namespace = "crossmix"', 'namspace = "x"', "namspace: unknown key; did you mean namespace?"),
        ('memory_limit = "8Gi"', 'memory_limt = "8Gi"', "resources.default.memory_limt: unknown key; did you mean m"),
        ('memory_limit = "8Gi"', 'memory_limit = "8 GB"', "resources.default.memory_limit: '8 GB' is no quantity of K"),
        ('cpu = "4"', "cpu = 4", "resources.ingest.cpu: 4 does not fit: Input should be a valid string"),
        ('cpu = "4"', 'cpu = "0"', "resources.ingest.cpu: '0' is no quantity of Kubernetes above 0; write it as"),
        ("gpus = 4", "gpus = -1", "resources.train.gpus: -1 does not fit: Input should be greater than or equal to 0"),
        (
            'path = "/store"',
            'path = "store"',
            "store.path: 'store' is no absolute path below the root; write it as /st",
        ),
        ('path = "/store"', 'path = "/"', "store.path: '/' is no absolute path below the root"),
        ('path = "/store"', 'path = "/store/../etc"', "store.path: '/store/../etc' is no absolute path"),
        ("CROSSMIX_REDIS =", "CROSSMIX-REDIS =", "secrets.crossmix-redis.env.CROSSMIX-REDIS: 'CROSSMIX-REDIS' is no n"),
        ('train = "pod"', 'train = "job"', "train: 'job' does not fit: Input should be 'pod' or 'trainjob'"),
        ("train = 86400", "train = 0", "timeouts.train: 0 does not fit: Input should be greater than 0"),
        ("train = 3", "train = 11", "retries.train: 11 does not fit: Input should be less than or equal to 10"),
        (
            'serve = "crossmix-serve',
            '# serve = "crossmix-serve',
            "images.serve: is missing; k8s/cluster.toml shows how",
        ),
        ("[images]", "[images", "is no TOML .*; k8s/cluster.toml is an example"),
    ],
)
def test_an_error_names_file_field_value_and_remedy(before: str, after: str, message: str, tmp_path: Path) -> None:
    path = cluster_file(tmp_path, (before, after))
    with pytest.raises(ConfigError, match=message) as refused:
        read_cluster(path)
    assert str(path) in str(refused.value)


def test_an_image_of_a_registry_with_a_port_is_an_image(tmp_path: Path) -> None:
    named = f"images.example:5000/ads/{STEPS}"
    assert read_cluster(cluster_file(tmp_path, (STEPS, named))).images.steps == named


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml: cannot be read \(No such file or directory\); name the place"):
        read_cluster(tmp_path / "none.toml")
