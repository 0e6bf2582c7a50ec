"""Archives: what is in them by its own name, however deep; what is too large, locked or false is a sentence."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from crossmix.schema import DataError
from crossmix.sources.history import packed, text
from tests.unit.crossmix.sources.history.test_load import PLAIN, assert_same, taken

CSV = {f"{name}.csv": rows.drop(columns="platform").to_csv(index=False) for name, rows in PLAIN.groupby("platform")}


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return whole.getvalue()


def archive(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    path = folder / "archive.zip"
    path.write_bytes(zipped(files))
    return path


MACOSX: Mapping[str, str | bytes] = {"__MACOSX/": b"", "__MACOSX/._search.csv": b"\0\1", ".DS_Store": b"\0"}


@pytest.mark.parametrize(
    "files",
    [
        {**CSV, **MACOSX},
        {"reports/inner.zip": zipped(CSV)},
        {name + ".gz": gzip.compress(content.encode()) for name, content in CSV.items()},
    ],
    ids=["macOS", "nested", "gzipped"],
)
def test_tables_of_an_archive(files: Mapping[str, str | bytes], tmp_path: Path) -> None:
    assert_same(taken(archive(tmp_path, files)))


def test_an_error_names_the_archive_and_its_member(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing from '[^']*archive\.zip: sub/bad\.csv' ") as error:
        taken(archive(tmp_path, {**CSV, "sub/bad.csv": "foo,bar\n1,2\n"}))
    assert "crossmix-unpacked" not in str(error.value)
    inner = zipped({"bad.csv": "foo,bar\n1,2\n"})
    with pytest.raises(DataError, match=r"missing from '[^']*archive\.zip: inner\.zip: bad\.csv' "):
        taken(archive(tmp_path, {"inner.zip": inner}))


def test_a_large_archive_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, {"a.csv": "date,spend\n" + "0,0\n" * 50_000})
    assert path.stat().st_size < 2_000, "a bomb: a hundred times as large unpacked"
    monkeypatch.setattr(packed, "LARGEST", 100_000)
    monkeypatch.setattr(zipfile.ZipFile, "extract", lambda *_: pytest.fail("it is unpacked"))
    with pytest.raises(DataError, match=r"archive\.zip' unpacks to 0 MB, .*; add it up to days"):
        taken(path)


def test_archives_within_archives_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = zipped(CSV)
    for _ in range(packed.DEEPEST):
        content = zipped({"inner.zip": content})
    (tmp_path / "deep.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"inner\.zip' lies in 3 archives; unpack it and name the table"):
        taken(tmp_path / "deep.zip")


def test_a_size_that_is_false_is_a_sentence(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.csv": b"0" * 1_000_000})
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 1_000_000), struct.pack("<I", 1_000)))
    with pytest.raises(DataError, match=r"archive\.zip' cannot be unpacked \(.*\); unpack it yourself"):
        taken(path)


def test_a_password_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path, CSV)
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flags of each member, in both lists
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 1)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"archive\.zip' cannot be unpacked \(it has a password\); unpack it yourself"):
        taken(path)


@pytest.mark.parametrize("name", ["history.csv", "history.csv.gz"])
def test_a_text_is_read_up_to_a_size(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = PLAIN.to_csv(index=False).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    monkeypatch.setattr(text, "LARGEST", len(content))
    assert_same(taken(tmp_path / name))
    monkeypatch.setattr(text, "LARGEST", len(content) - 1)
    with pytest.raises(DataError, match=rf"{name}' has more than 0 MB of text, .*; add it up to days"):
        taken(tmp_path / name)


def test_a_text_is_read_up_to_a_number_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "history.csv").write_text(PLAIN.to_csv(index=False))
    monkeypatch.setattr(text, "ROWS", 50)
    with pytest.raises(DataError, match=r"history\.csv' has more than 50 lines; add them up to days"):
        taken(tmp_path / "history.csv")


def test_a_damaged_gzip_file_is_a_sentence(tmp_path: Path) -> None:
    content = gzip.compress(PLAIN.to_csv(index=False).encode())
    (tmp_path / "history.csv").write_bytes(content[:200])
    with pytest.raises(DataError, match=r"history\.csv' cannot be unpacked \(.*\); fetch it again"):
        taken(tmp_path / "history.csv")
