"""A run leaves no pickle: what it hands on is read without running anything."""

from __future__ import annotations

import io
import pickle
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.pickles import is_pickle, pickles
from tests.support.small_run import Ran


def test_a_finished_run_holds_no_pickle(ran: Ran) -> None:
    """Steps, registry, its artifacts and the bundle; checkpoints, which torch pickles, ended with their step."""
    files = [file for file in ran.out.rglob("*") if file.is_file()]
    assert {".safetensors", ".onnx", ".npz", ".parquet", ".db"} <= {file.suffix for file in files}
    assert pickles(ran.out) == []


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_of_any_protocol_is_found(protocol: int, tmp_path: Path) -> None:
    (tmp_path / "plain.bin").write_bytes(pickle.dumps({"a": [1.0, "b"]}, protocol=protocol))
    assert pickles(tmp_path) == ["plain.bin"]


def test_a_pickle_inside_is_found(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "torch.anything")
    np.savez(tmp_path / "objects.npz", one=np.array([{"a": 1}, None]))
    with closing(sqlite3.connect(tmp_path / "rows.db")) as database, database:
        database.execute("CREATE TABLE kept (id TEXT, body BLOB)")
        database.execute("INSERT INTO kept VALUES ('a', ?)", (pickle.dumps({1, 2}),))
    assert pickles(tmp_path) == ["objects.npz!one.npy", "rows.db!kept", "torch.anything!torch/data.pkl"]


def test_what_is_no_pickle_is_not_taken_for_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "numbers.npz", one=np.zeros(3), names=np.array(["a", "b"]))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("text", "I.\n")
    (tmp_path / "text.zip").write_bytes(buffer.getvalue())
    (tmp_path / "readme.txt").write_text("N.")
    assert pickles(tmp_path) == []
    assert not is_pickle(b"")
    assert not is_pickle(b"\x80\x04cut")
