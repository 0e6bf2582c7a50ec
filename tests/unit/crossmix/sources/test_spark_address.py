"""crossmix/sources/spark.py: how Spark is told of a file; no Spark is needed to tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmix.sources.s3 import S3File
from crossmix.sources.spark import address


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/logs/a.parquet", "file:///logs/a.parquet"),
        (Path("/logs/a [1].csv"), r"file:///logs/a \[1\].csv"),
        ("/logs/{a,b}*?\\.csv", r"file:///logs/\{a\,b\}\*\?\\.csv"),
        ("s3://logs/day=1/a?.csv", r"s3a://logs/day=1/a\?.csv"),
        (S3File("logs/s3://a.csv", 1, ""), "s3a://logs/s3://a.csv"),
    ],
)
def test_no_character_of_a_name_is_a_pattern(path: Path | S3File | str, told: str) -> None:
    assert address(path) == told


def test_a_relative_path_is_told_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert address("a.csv") == f"file://{tmp_path}/a.csv"
