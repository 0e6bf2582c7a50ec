"""The step ingest runs on what the lock of the image `spark` holds; Spark itself is no part of this."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from crossmix.config import load, to_json
from crossmix.schema import Dataset
from supply.locks import TARGETS, read
from tests.support.only_locked import environment
from tests.unit.crossmix.sources.test_impressions import impressions

PROGRAM = Path(__file__).resolve().parents[2] / "k8s" / "components" / "spark" / "ingest.py"


@pytest.mark.slow
def test_ingest_needs_no_more_than_the_lock_of_spark(tmp_path: Path) -> None:
    """The program that the application runs, its folders here, on DuckDB; then every module that the image starts."""
    impressions().to_parquet(tmp_path / "log.parquet", index=False)
    told = ["data.source=impressions", f"data.path={tmp_path / 'log.parquet'}", "data.settings.currency=EUR"]
    (tmp_path / "config.json").write_text(to_json(load("laptop", told)))
    program = PROGRAM.read_text()
    for there, here in (
        ("/etc/crossmix/ingest/config.json", tmp_path / "config.json"),
        ("/tmp/dataset", tmp_path / "dataset"),
        ("/store", tmp_path / "store"),
    ):
        assert program.count(f'"{there}"') == 1
        program = program.replace(f'"{there}"', repr(str(here)))
    spark = find_spec("pyspark") is not None  # installed by CI alone
    ours = ("components.", "crossmix.", "pipelines.")
    started = [name for name in TARGETS["spark"].runs if spark or name.startswith(ours)]
    assert "crossmix.sources.spark" in started
    program += f"""
import importlib, sys
for name in {started!r}:
    importlib.import_module(name)
print(*sorted({{"torch", "kfp", "transformers", "evidently", "sklearn"}} & set(sys.modules)))
import torch
"""
    (tmp_path / "locked").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": environment(tmp_path / "locked", read("spark"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'torch' (not in the lock)"
    assert done.stdout.splitlines()[-1] == ""
    (finished,) = (file.parent for file in (tmp_path / "store").rglob("done.json"))
    assert Dataset(finished).count("impressions") == len(impressions())
