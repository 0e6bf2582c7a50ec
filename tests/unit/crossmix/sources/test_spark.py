"""crossmix/sources/spark.py: what the executors read and write, and a whole ingest on both engines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossmix.config import load
from crossmix.ingest.engine import connect
from crossmix.ingest.step import ingest
from crossmix.schema import DataError, Dataset
from crossmix.sources import spark
from crossmix.sources.tables import read_text, write, write_log
from tests.support import spark as local
from tests.support.real_data import SLICE

pytestmark = pytest.mark.slow

DEMO = ["data.demo.days=21", "data.demo.requests_per_day=60", "data.demo.users=600", "data.demo.campaigns=2"]
TABLES = ("impressions", "sequences", "plans", "creatives", "quarantine")
SCHEMA = pa.schema([("id", pa.string()), ("fixed", pa.bool_()), ("events", pa.list_(pa.int16()))])


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    before = os.environ.get("SPARK_LOCAL_IP")
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    session = local.session()
    yield session
    session.stop()
    os.environ.pop("SPARK_LOCAL_IP")
    if before is not None:
        os.environ["SPARK_LOCAL_IP"] = before


@pytest.fixture
def backend(session: Any, tmp_path: Path) -> Any:
    return connect("spark", tmp_path)


def numbered(backend: Any, folder: Path, rows: int = 1_000) -> Any:
    """Rows in no order: ids, a moment each (two rows share one), a constant, and a list that grows with the id."""
    ids = [(number * 389) % rows for number in range(rows)]
    table = pa.table(
        {
            "id": [f"i{number:04d}" for number in ids],
            "at": pa.array([number // 2 * 1_000_000 for number in ids], pa.timestamp("us")),
            "events": pa.array([[number] * (number % 4) for number in ids], pa.list_(pa.int64())),
        }
    )
    pq.write_table(table, folder / "numbered.parquet", row_group_size=300)
    return backend.read_parquet(str(folder / "numbered.parquet")).mutate(fixed=ibis.literal(True))


def test_parts_in_name_order_are_the_rows_in_order_under_the_exact_schema(backend: Any, tmp_path: Path) -> None:
    write_log(numbered(backend, tmp_path), SCHEMA, tmp_path / "log.parquet", by=("at", "id"))
    duck = connect("duckdb", tmp_path)
    write_log(numbered(duck, tmp_path), SCHEMA, tmp_path / "file.parquet", by=("at", "id"))
    log, file = Dataset(tmp_path).parts("log"), Dataset(tmp_path).parts("file")
    assert [part.name for part in log] == [f"part-{number:05d}.parquet" for number in range(4)]
    assert sorted(path.name for path in log[0].parent.iterdir()) == [part.name for part in log]
    assert file == [tmp_path / "file.parquet"]
    assert all(pq.read_schema(part).equals(SCHEMA) for part in (*log, *file))
    whole = pa.concat_tables([pq.read_table(part) for part in log])
    assert whole["id"].to_pylist() == [f"i{number:04d}" for number in range(1_000)]
    assert whole.equals(pq.read_table(file[0]))


def test_a_small_table_is_one_file_and_leaves_nothing_beside_it(backend: Any, tmp_path: Path) -> None:
    write(numbered(backend, tmp_path), SCHEMA, tmp_path / "small.parquet", by=("id",))
    assert pq.read_table(tmp_path / "small.parquet")["id"].to_pylist() == [f"i{number:04d}" for number in range(1_000)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["numbered.parquet", "small.parquet"]


def test_an_empty_table_is_one_part(backend: Any, tmp_path: Path) -> None:
    table = numbered(backend, tmp_path)
    (part,) = spark.write(table.filter(table["id"] == "none"), SCHEMA, ("at",), tmp_path / "log.parquet")
    assert pq.read_table(part).equals(SCHEMA.empty_table())


def test_executors_that_write_elsewhere(backend: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspark.sql import DataFrameWriter

    # Each executor its own disk: the driver finds the folder that it made, and no part.
    monkeypatch.setattr(DataFrameWriter, "parquet", lambda self, path: Path(path.removeprefix("file://")).mkdir())
    with pytest.raises(DataError, match=r"data\.engine: 'spark' wrote log\.parquet .*; mount the step store on driver"):
        spark.write(numbered(backend, tmp_path), SCHEMA, ("at",), tmp_path / "log.parquet")


def test_text_reads_as_duckdb_reads_it(backend: Any, tmp_path: Path) -> None:
    """Quotes within quotes, backslashes, gaps, short lines; names that Spark would take for patterns."""
    header = ["a`b", "c d", "e"]
    files = [tmp_path / "log [1].csv", tmp_path / "log {2},*.csv"]
    files[0].write_text('a`b,c d,e\n1,"say ""so""",x\\\n2,,\n')
    files[1].write_text("a`b,c d,e\n3,short\n4,é,last\n")
    read = {
        name: sorted(read_text(engine, files, ",", header).to_pyarrow().to_pylist(), key=lambda row: row["a`b"])
        for name, engine in (("spark", backend), ("duckdb", connect("duckdb", tmp_path)))
    }
    assert read["spark"] == read["duckdb"]
    assert [list(row.values()) for row in read["spark"]] == [
        ["1", 'say "so"', "x\\"],
        ["2", None, None],
        ["3", "short", None],
        ["4", "é", "last"],
    ]


def test_many_parquet_files_are_one_table_by_name(backend: Any, tmp_path: Path) -> None:
    paths = []
    for number in range(60):
        columns = {"id": [number], "late": [0.5 * number]} if number % 2 else {"late": [0.5 * number], "id": [number]}
        if number == 59:
            columns["extra"] = [True]
        paths.append(tmp_path / f"part {number}.parquet")
        pq.write_table(pa.table(columns), paths[-1])
    table = spark.read_parquet(backend, paths)
    rows = sorted(table.to_pyarrow().to_pylist(), key=lambda row: row["id"])
    assert rows == [{"id": n, "late": 0.5 * n, "extra": True if n == 59 else None} for n in range(60)]


def test_parquet_that_spark_cannot_read(backend: Any, tmp_path: Path) -> None:
    pq.write_table(pa.table({"at": pa.array([0], pa.timestamp("ns"))}), tmp_path / "log.parquet", version="2.6")
    with pytest.raises(DataError, match=r"data\.path: Spark cannot read .*log\.parquet.*NANOS"):
        spark.read_parquet(backend, [tmp_path / "log.parquet"])


def test_s3_without_its_connector_says_what_the_image_lacks(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PySpark of the package index has none; with one, the endpoint is the environment's."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    backend = connect("spark", tmp_path)
    assert session.conf.get("fs.s3a.endpoint") == "http://127.0.0.1:9"
    assert session.conf.get("fs.s3a.path.style.access") == "true", "no name is resolved for a bucket"
    for read in (
        lambda: spark.read_parquet(backend, ["s3://logs/a.parquet"]),
        lambda: spark.read_text(backend, ["s3://logs/a.csv"], ",", ["a"]),
    ):
        with pytest.raises(DataError, match=r"data\.path: Spark cannot read s3://logs/a.*give Spark's image hadoop"):
            read()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/a b/c[1].csv", r"file:///a b/c\[1\].csv"),
        ("s3://bucket/x={1}/part.parquet", r"s3a://bucket/x=\{1\}/part.parquet"),
    ],
)
def test_addresses_are_no_patterns(path: str, told: str) -> None:
    assert spark.address(path) == told


def agree(settings: list[str], folder: Path) -> Dataset:
    """Ingest on both engines: the same rows in the same order, the same words about them."""
    found = []
    for engine in ("duckdb", "spark"):
        (folder / engine).mkdir()
        ingest(load("laptop", [*settings, f"data.engine={engine}"]), folder / engine)
        found.append(Dataset(folder / engine))
    duck, ours = found
    for name in TABLES:
        read = [pa.concat_tables([pq.read_table(part) for part in one.parts(name)]) for one in (duck, ours)]
        assert read[0].schema.equals(read[1].schema), name
        assert read[0].equals(read[1]), name
    for name in ("meta.json", "report.json"):
        assert json.loads((ours.path / name).read_text()) == json.loads((duck.path / name).read_text())
    assert {path.name for path in ours.path.iterdir()} == {path.name for path in duck.path.iterdir()}
    return ours


def test_the_generated_log_is_the_same_on_both_engines_and_no_table_comes_to_the_driver(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ibis.backends.pyspark import Backend

    collected = []
    execute = Backend.execute

    def counting(self: Any, expr: Any, /, **kwargs: Any) -> Any:
        result = execute(self, expr, **kwargs)
        collected.append(getattr(result, "shape", (1,))[0])
        return result

    monkeypatch.setattr(Backend, "execute", counting)
    dataset = agree(DEMO, tmp_path)
    rows = dataset.meta.rows["ingested"]
    assert [len(dataset.parts(name)) for name in TABLES] == [4, 4, 1, 1, 1]
    assert rows > 5_000
    assert 0 < max(collected) < rows / 10, "sums by campaign, platform and day, and rejected rows"


@pytest.mark.real_data
@pytest.mark.skipif(
    not SLICE.exists(), reason="the Criteo slice is neither in $CROSSMIX_SHARED_DATA nor in ../shared/data"
)
def test_the_criteo_slice_is_the_same_on_both_engines(session: Any, tmp_path: Path) -> None:
    dataset = agree(["data.source=criteo", f"data.path={SLICE}"], tmp_path)
    assert dataset.meta.rows["ingested"] == 110_547
    assert len(dataset.parts("impressions")) == 4
