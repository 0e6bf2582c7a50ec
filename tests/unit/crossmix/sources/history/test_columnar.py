"""Parquet, Feather and ORC are read like text, whatever their name; other kinds are named with what to do."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, orc

from crossmix.schema import DataError
from crossmix.sources.history import columnar
from tests.unit.crossmix.sources.history.test_load import FIGURES, PLAIN, assert_same, taken

TABLE = PLAIN.astype(dict.fromkeys(FIGURES, float))


def parquet(table: pd.DataFrame) -> bytes:
    return bytes(table.to_parquet(index=False))


def as_feather(table: pd.DataFrame) -> bytes:
    whole = io.BytesIO()
    feather.write_feather(pa.Table.from_pandas(table, preserve_index=False), whole)
    return whole.getvalue()


def as_orc(table: pd.DataFrame) -> bytes:
    whole = io.BytesIO()
    orc.write_table(pa.Table.from_pandas(table, preserve_index=False), whole)
    return whole.getvalue()


@pytest.mark.parametrize("write", [parquet, as_feather, as_orc])
@pytest.mark.parametrize("name", ["history.csv", "history.parquet", "history"])
def test_a_table_of_columns_by_any_name(write: Callable[[pd.DataFrame], bytes], name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(write(TABLE.rename(columns={"spend": "Cost", "date": "Day"})))
    history = taken(tmp_path / name)
    assert_same(history)
    assert any("date = 'Day', spend = 'Cost'" in note for note in history.notes)


@pytest.mark.parametrize("kind", ["datetime64[ns]", "datetime64[ns, UTC]", "date"])
def test_days_of_any_type(kind: str, tmp_path: Path) -> None:
    days = pd.to_datetime(TABLE["date"], utc=kind.endswith("UTC]"))
    (tmp_path / "h.parquet").write_bytes(parquet(TABLE.assign(date=days.dt.date if kind == "date" else days)))
    assert_same(taken(tmp_path / "h.parquet"))


def test_in_an_archive_and_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, rows in TABLE.groupby("platform"):
            content = parquet(rows.drop(columns="platform"))
            archive.writestr(f"sub/{name}.parquet", content)
            (folder / f"{name}.parquet").write_bytes(content)
    assert_same(taken(tmp_path / "a.zip"))
    assert_same(taken(folder))


def test_many_rows_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "ROWS", 79)
    for write in (parquet, as_feather, as_orc):
        (tmp_path / "h").write_bytes(write(TABLE))
        with pytest.raises(DataError, match=r"h' has 80 rows; add them up to days"):
            taken(tmp_path / "h")


def test_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    for write in (parquet, as_feather, as_orc):
        content = write(TABLE)
        (tmp_path / "h.parquet").write_bytes(content[:20] + b"\xff" * (len(content) - 40) + content[-20:])
        with pytest.raises(DataError, match=r"h\.parquet' cannot be read \(.*\); write it again, or as \.csv"):
            taken(tmp_path / "h.parquet")


def test_text_may_begin_as_they_do(tmp_path: Path) -> None:
    table = PLAIN.assign(ORC="x")[["ORC", *PLAIN.columns]]
    (tmp_path / "h.csv").write_text(table.to_csv(index=False))
    assert_same(taken(tmp_path / "h.csv"))


def _tar() -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        content = PLAIN.to_csv(index=False).encode()
        info = tarfile.TarInfo("h.csv")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return whole.getvalue()


def _zip(*names: str) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return whole.getvalue()


KINDS: dict[str, tuple[bytes, str]] = {
    "Avro": (b"Obj\x01" + bytes(200), r"is an Avro file; convert it to Parquet, or to \.csv"),
    "PDF": (b"%PDF-1.7\n1 0 obj\n", r"is a PDF; export the report as \.csv or \.xlsx"),
    "SQLite": (
        b"SQLite format 3\0" + bytes(84),
        r"is an SQLite database; name its table: --data 'sqlite://FILE\?table=NAME'",
    ),
    "DuckDB": (bytes(8) + b"DUCK" + bytes(80), r"is a DuckDB database; name its table: --data 'duckdb://FILE\?table="),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(50), r"is a picture; export the table"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), r"is a 7z archive; unpack it and name the table"),
    "tar": (_tar(), r"is a tar archive; unpack it and name the table"),
    "bzip2": (b"BZh91AY&SY" + bytes(50), r"is packed with bzip2; unpack it"),
    "text document": (_zip("[Content_Types].xml", "word/document.xml"), r"is a text document; save its table as \.csv"),
    "Numbers": (_zip("Index/Document.iwa"), r"is a sheet of Numbers; choose File, Export to, CSV"),
    "shortcut": (b"[InternetShortcut]\nURL=https://x\n", r"is a link; open it, download the table"),
    "Google sheet": (b'{"url":"https://docs.google.com/spreadsheets/d/x"}', r"a link to a Google sheet: choose File,"),
    "address": (b"https://example.com/x.csv\n", r"is a link: download what it names, and name that file"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".csv", ".bin"])
def test_another_kind_is_named(kind: str, ending: str, tmp_path: Path) -> None:
    content, message = KINDS[kind]
    (tmp_path / f"h{ending}").write_bytes(content)
    with pytest.raises(DataError, match=message):
        taken(tmp_path / f"h{ending}")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("https://docs.google.com/spreadsheets/d/x/edit#gid=0", r"in the sheet choose File, Download, Comma-separated"),
        ("http://example.com/x.csv", r"is an address in the web, which is not read; download it, and name that file"),
    ],
)
def test_an_address_in_the_web(address: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        taken(address)  # type: ignore[arg-type]
