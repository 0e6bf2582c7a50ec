"""crossmix/sources/s3.py: a log in S3 is the log that its files are, or an error with its remedy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.cache import log_digest
from crossmix.config import load
from crossmix.ingest.step import ingest
from crossmix.schema import DataError, Dataset
from crossmix.sources import in_s3, log_objects, s3
from crossmix.sources.s3 import S3File
from crossmix.sources.tables import read_header
from tests.support.s3_server import Store, serving
from tests.unit.crossmix.sources.test_impressions import CREATIVES, as_text, impressions

NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_ROLE_ARN")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with serving() as store:
        for name in (*NAMES, "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.delenv(name, raising=False)
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five parts below days, more than a page of the server's list, and creatives."""
    folder = tmp_path_factory.mktemp("log") / "log"
    frame = impressions()
    for number in range(5):
        below = folder / f"day={number}"
        below.mkdir(parents=True)
        frame[number * 20 : (number + 1) * 20].to_parquet(below / "part-0.parquet", index=False)
    CREATIVES.to_parquet(folder / "creatives.parquet", index=False)
    (folder / "_SUCCESS").write_text("")
    return folder


def put(store: Store, folder: Path, bucket: str = "logs", prefix: str = "spring") -> str:
    """The folder's files as objects; their address."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    held = store.buckets.setdefault(bucket, {})
    held.update({f"{prefix}/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in files})
    return f"s3://{bucket}/{prefix}"


def taken(path: object, out: Path) -> Dataset:
    out.mkdir()
    ingest(load("laptop", ["data.source=impressions", f"data.path={path}", "data.settings.currency=EUR"]), out)
    return Dataset(out)


def same(one: Dataset, other: Dataset) -> None:
    for name in ("impressions", "sequences", "plans", "creatives", "quarantine"):
        assert pq.read_table(one.file(name)).equals(pq.read_table(other.file(name))), name
    told = [json.loads((each.path / "meta.json").read_text()) for each in (one, other)]
    assert told[0].pop("digest") != told[1].pop("digest"), "content of files, ETags of objects"
    assert told[0] == told[1]


def test_a_prefix_of_parquet_is_the_dataset_of_its_folder(store: Store, parquet: Path, tmp_path: Path) -> None:
    path = put(store, parquet)
    same(taken(f"{path}/", tmp_path / "s3"), taken(parquet, tmp_path / "files"))
    assert "/logs/spring/_SUCCESS" not in [path for _, path in store.asked]


def test_a_prefix_of_text_is_the_dataset_of_its_folder(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    (folder / "a").mkdir(parents=True)
    frame = impressions()
    as_text(frame[:50], folder / "a" / "one.csv")
    (folder / "two.csv.gz").write_bytes(gzip.compress(as_text(frame[50:], tmp_path / "two.csv").read_bytes(), mtime=0))
    same(taken(put(store, folder), tmp_path / "s3"), taken(folder, tmp_path / "files"))
    assert not (tmp_path / "s3" / "s3").exists()


def test_one_object_is_read_with_the_tables_beside_it(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    impressions().to_parquet(folder / "whole.parquet", index=False)
    CREATIVES.to_parquet(folder / "creatives.parquet", index=False)
    dataset = taken(put(store, folder) + "/whole.parquet", tmp_path / "out")
    assert len(dataset.frame("impressions")) == len(impressions())
    assert dataset.frame("creatives")["creative_id"].tolist() == ["i0", "i1"]


def test_columns_of_parts_go_by_name(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    frame = impressions()
    frame[:50].to_parquet(folder / "a.parquet", index=False)
    frame[50:][frame.columns[::-1]].drop(columns="note").to_parquet(folder / "b.parquet", index=False)
    have = taken(put(store, folder), tmp_path / "out").frame("impressions")
    assert have["user_id"].tolist() == frame.sort_values(["timestamp", "impression_id"])["user_id"].tolist()


def test_a_header_is_read_where_it_lies(store: Store) -> None:
    """As Spark needs it, whose executors read the rest."""
    text = "\ufeffimpression_id\ttimestamp\n".encode()
    store.buckets["logs"] = {"plain.tsv": text + b"x" * 100_000, "packed.tsv.gz": gzip.compress(text, mtime=0)}
    for name, content in store.buckets["logs"].items():
        assert read_header(S3File(f"logs/{name}", len(content), "")) == ("\t", ["impression_id", "timestamp"])


def test_only_columns_of_the_contract_are_downloaded(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    table = pa.Table.from_pandas(impressions(), preserve_index=False)
    heavy = pa.array([f"{number:050d}" * 400 for number in range(len(table))])
    pq.write_table(table.append_column("heavy", heavy), folder / "a.parquet", compression="none", use_dictionary=False)
    taken(put(store, folder), tmp_path / "out")
    assert store.sent < (folder / "a.parquet").stat().st_size / 4


def test_the_digest_is_of_names_sizes_and_etags(store: Store, parquet: Path) -> None:
    path = put(store, parquet)
    data = replace(load("laptop").data, source="impressions", path=path, settings={"currency": "EUR"})
    assert in_s3(data)
    first = log_digest(data)
    moved = {key.replace("spring", "autumn"): content for key, content in store.buckets["logs"].items()}
    store.buckets["else"] = moved
    assert log_digest(replace(data, path="s3://else/autumn")) == first, "the same log elsewhere"
    name = "spring/day=0/part-0.parquet"
    store.buckets["logs"][name] = store.buckets["logs"][name][:-1] + b"0"
    assert log_digest(data) != first, "of the same size, written anew"
    before = store.sent
    assert {one.name for one in log_objects(data).values()} == {"part-0.parquet", "creatives.parquet"}
    assert store.sent - before < 5_000, "lists alone"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("s3://", r"data\.path: 's3://' names no bucket; write s3://bucket/prefix"),
        (
            "s3://none/spring",
            r"data\.path: there is no bucket 'none' \(s3://none/spring\); correct its name, or AWS_END",
        ),
        ("s3://logs/autumn", r"data\.path: s3://logs/autumn has no object \*\.parquet or .*; name the log's object or"),
        ("s3://logs/spring/empty", r"data\.path: s3://logs/spring/empty: 'none\.csv' is empty; write it again"),
        ("s3://logs/astray", r"data\.path: s3://logs/astray: '\.\./\.\./a\.csv' has '\.\.' in its name"),
        ("s3://logs/broken", r"data\.path: s3://logs/broken/a\.parquet is no Parquet file \(.*\); write it again"),
    ],
)
def test_what_is_not_there_is_a_sentence(store: Store, tmp_path: Path, path: str, told: str) -> None:
    store.buckets["logs"] = {
        "spring/empty/none.csv": b"",
        "astray/../../a.csv": b"a",
        "broken/a.parquet": b"not Parquet at all",
        "only/readme.txt": b"a",
    }
    with pytest.raises(DataError, match=told):
        taken(path, tmp_path / "out")


def test_nobody_and_a_stranger_are_told_what_to_set(
    store: Store, parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(store, parquet)
    remedy = r"data\.path: s3://logs/spring cannot be read \(.*\); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    with pytest.raises(DataError, match=remedy):
        taken(path, tmp_path / "stranger")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DataError, match=remedy):
        taken(path, tmp_path / "nobody")


def test_an_endpoint_that_does_not_answer(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"see whether S3 answers at http://127\.0\.0\.1:9 \(AWS_ENDPOINT_URL\)"):
        taken("s3://logs/spring", tmp_path / "out")


def test_s3s_own_address_comes_before_that_of_all_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    assert s3.endpoint() is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all")
    assert s3.endpoint() == "http://all"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3")
    assert s3.endpoint() == "http://s3"


def test_an_object_without_an_etag_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some stores give none: then nothing says whether the log is another one."""

    class Stream:
        def __enter__(self) -> Stream:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def metadata(self) -> dict[str, bytes]:
            return told

    bucket = SimpleNamespace(open_input_stream=lambda key, compression: Stream())
    told = {"ETag": b'"abc"'}
    assert s3._etag(bucket, "logs/a.csv") == '"abc"'
    told = {"Content-Length": b"1"}
    with pytest.raises(
        DataError, match=r"data\.path: s3://logs/a\.csv has no ETag, so nothing tells whether it changed"
    ):
        s3._etag(bucket, "logs/a.csv")


def test_parts_whose_columns_differ_in_type_are_told(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    frame = impressions()
    frame[:50].to_parquet(folder / "a.parquet", index=False)
    frame[50:].assign(user_id=[[1]] * len(frame[50:])).to_parquet(folder / "b.parquet", index=False)
    with pytest.raises(DataError, match=r"data\.path: s3://logs/spring/a\.parquet and those beside it differ in type"):
        taken(put(store, folder), tmp_path / "out")


def test_a_source_of_files_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data\.path: s3://a/b is in S3, and source 'spend' reads files alone \(S3: imp"
    ):
        ingest(load("laptop", ["data.source=spend", "data.path=s3://a/b"]), tmp_path)
