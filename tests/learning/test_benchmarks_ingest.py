"""The benchmark of ingest runs end to end on a small log, and its figures are what they say."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import _raw_log, ingest
from benchmarks._resumed import Resumed
from crossmix.schema import IMPRESSIONS


def test_the_log_is_one_function_of_its_rows(tmp_path: Path) -> None:
    sizes = [_raw_log.write(10_000, tmp_path / name) for name in ("a", "b")]
    assert sizes[0] == sizes[1]
    log = pq.read_table(tmp_path / "a" / "impressions.parquet")
    assert log.equals(pq.read_table(tmp_path / "b" / "impressions.parquet"))
    frame = log.to_pandas()
    assert list(frame) == [column.name for column in IMPRESSIONS if column.name != "propensity"]
    assert (len(frame), frame.duplicated().sum(), frame["impression_id"].nunique()) == (10_000, 10, 9_990)
    assert frame["platform"].nunique() == _raw_log.PLATFORMS
    assert frame["clicked"].mean() == pytest.approx(0.02, abs=0.005)
    sold = frame[frame["converted"]]
    assert (sold["conversion_timestamp"] > sold["timestamp"]).all()
    assert sold["clicked"].all()


@pytest.mark.slow
def test_every_case_writes_the_same_and_is_measured_once(tmp_path: Path) -> None:
    cases = {"1": {"cores": 1, "settings": []}, "2": {"cores": 2, "settings": ["data.memory=2"]}}
    code = {"this": ingest.ROOT, "other": ingest.ROOT}
    file = tmp_path / "kept.json"
    told = ingest.measure(20_000, cases, code, Resumed(file, {}))
    assert told["same bytes in every case"]
    assert {case: list(of) for case, of in told["cases"].items()} == {"1": ["this", "other"], "2": ["this"]}
    for case, of in told["cases"].items():
        one = of["this"]
        assert (one["rows"], one["cores"]) == (20_000, min(int(case), one["cores"]))
        assert one["rows per second"] * one["seconds"] == pytest.approx(20_000)
        assert one["processor us a row"] == pytest.approx(one["processor s"] / 0.02)
        assert 0.05 < one["memory GiB"] < 3
    kept = Resumed(file, {})
    assert ingest.measure(20_000, cases, code, kept) == told, "nothing is run again"
    result = {"sizes": {"20000": told}, "machine": {"processor": "p", "cores": 2, "load average after": [1.0]}}
    assert ingest.table(result).count("20,000") == 3
    over = ingest.summary({"20000": told})["20000"]["over the other code"]["1"]["processor s"]
    assert over == told["cases"]["1"]["this"]["processor s"] / told["cases"]["1"]["other"]["processor s"]


def test_the_speed_up_is_of_two_threads_over_one() -> None:
    cases = {"1 thread": {"this": {"seconds": 9.0}}, "2 threads": {"this": {"seconds": 5.0}}}
    assert ingest.summary({"5": {"cases": cases}})["5"]["speed-up"] == pytest.approx(1.8)
