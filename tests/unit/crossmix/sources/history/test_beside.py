"""What lies beside the data in a folder: left out and told where it is none, an error that names it where it may be."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from crossmix.schema import DataError
from tests.support.histories import sound
from tests.support.workbooks import write
from tests.unit.crossmix.sources.history.test_load import assert_same, taken

PLAIN = sound(35).astype(dict.fromkeys(("spend", "revenue"), float))
MANIFEST = {"created": "2025-02-10T08:00:00Z", "files": [
    {"file": "search.csv", "platform": "search", "rows": 35, "date": "2025-02-09", "bytes": 1820},
    {"file": "social.csv", "platform": "social", "rows": 35, "date": "2025-02-09", "bytes": 1811},
]}  # fmt: skip
PACKAGE = {
    "name": "reports", "version": "1.2.0", "description": "fetches reports", "keywords": ["ads", "spend"],
    "scripts": {"fetch": "node fetch.js"}, "dependencies": {}, "files": [], "contributors": [{"name": "A", "url": "x"}],
}  # fmt: skip
README = (
    "Exports of our accounts.\n\nColumns: Day, Campaign, Cost, Impressions, Clicks\nFetched on 2025-02-10, by hand.\n"
)
NO_DATA: Mapping[str, str | bytes] = {
    "manifest.json": json.dumps(MANIFEST),
    "package.json": json.dumps(PACKAGE),
    "settings.json": '{"theme": "dark", // as at home\n "plugins": ["a", 2, {"b": 1}],}',
    "mixed.json": '["a", {"b": 1}]',
    "empty_lists.json": '{"name": "x", "plugins": [], "tags": [], "theme": "dark"}',
    "readme.txt": README,
    "notes.txt": "One line; with a separator, and 2 commas, no table\nand another, of 3 words",
    "placeholder.txt": "",
    "glossary.csv": "term,meaning\nCPC,cost per click\nCPM,cost per mille\n",
}
"""Files without a table of spend."""


def exports(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in PLAIN.groupby("platform"):
        rows.drop(columns="platform").to_csv(folder / f"{name}.csv", index=False)
    return folder


def put(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def left_out(folder: Path | str) -> str:
    history = taken(Path(folder))
    assert_same(history, PLAIN)
    return " ".join(note for note in history.notes if note.startswith("Left out, as no table of spend is in it: "))


@pytest.mark.parametrize("name", NO_DATA)
def test_what_holds_no_table_is_left_out_and_told(name: str, tmp_path: Path) -> None:
    put(exports(tmp_path / "plain"), name, NO_DATA[name])
    assert repr(name) in left_out(tmp_path / "plain")
    assert name in left_out(tmp_path / "plain" / "*")  # of a pattern too


def test_of_an_archive_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in exports(tmp_path / "plain").iterdir():
            archive.write(file, file.name)
        for name in ("manifest.json", "readme.txt"):
            archive.writestr(name, NO_DATA[name])
    assert all(name in left_out(tmp_path / "a.zip") for name in ("manifest.json", "readme.txt"))


def test_litter_and_locks_are_no_files_of_anybody(tmp_path: Path) -> None:
    folder = exports(tmp_path)
    litter = (".DS_Store", "Thumbs.db", "desktop.ini", "~$search.xlsx", ".~lock.search.csv#", "._social.csv",
              "__MACOSX/._search.csv", ".vscode/settings.json", ".ipynb_checkpoints/search-checkpoint.csv")  # fmt: skip
    for name in litter:
        put(folder, name, b"\x00\x05\x16\x07")
    for path in (folder, folder / "*"):
        history = taken(path)
        assert_same(history, PLAIN)
        assert not any(Path(name).name in note for note in history.notes for name in litter)


def test_an_archive_and_a_workbook_without_tables(tmp_path: Path) -> None:
    folder = exports(tmp_path)
    with zipfile.ZipFile(folder / "creatives.zip", "w") as archive:
        archive.writestr("banner.png", b"\x89PNG")
    write(folder / "contacts.xlsx", {"Sheet1": [["Name", "Role"], ["Ada", "agency"], ["Bob", "finance"]]})
    told = left_out(folder)
    assert "'creatives.zip'" in told
    assert "'contacts.xlsx'" in told


def test_an_archive_of_the_same_exports_counts_once(tmp_path: Path) -> None:
    folder = exports(tmp_path)
    with zipfile.ZipFile(folder / "download.zip", "w") as archive:
        for name in ("search.csv", "social.csv"):
            archive.write(folder / name, name)
    assert_same(taken(folder), PLAIN)


def test_other_files_of_the_folder_are_told(tmp_path: Path) -> None:
    folder = exports(tmp_path)
    put(folder, "invoice.pdf", b"%PDF-1.7")
    put(folder, "video.csv.crdownload", "Day,Co")
    history = taken(folder)
    assert_same(history, PLAIN)
    assert "Files of the folder that are not read: 'invoice.pdf', 'video.csv.crdownload'." in history.notes


UNREADABLE: Mapping[str, tuple[str | bytes, str]] = {
    "meta.csv": ("", r"'meta\.csv' is empty \(0 bytes\), as an export that failed; export it again, or take it out"),
    "video.json": ('[{"date": "2025-01-06", "spend": 4.1, "impr', r"video\.json' is JSON .*cut off"),
    "page.json": ('{"data": []}', r"page\.json' has an empty list in place of rows"),
    "error.json": ('{"error": {"message": "(#17) User request limit reached"}}', r"error\.json' is an API's error"),
    "denied.json": ('{"message": "Unauthorized", "code": 401}', r"denied\.json' is an API's error message"),
    "odd.csv": (
        "When,Money\n" + "".join(f"week {day},{day * 3.5}\n" for day in range(20)), r"missing from '.*odd\.csv'",
    ),
    "days.json": (
        json.dumps([{"when": f"2025-01-{day:02d}", "money": day * 2.5} for day in range(6, 20)]),
        r"column is missing from '.*days\.json'",
    ),
    "rows.txt": (
        "Day;Cost;Clicks\n2025-01-06;4,10;3\n2025-01-07;5,10;4\n", r"column is missing from '.*rows\.txt'",
    ),
    "table.txt": (
        "Day;Cost;Clicks\n" + "".join(f"2025-01-{day:02d};4,10;3;9\n" for day in range(6, 20)), r"table\.txt' has 4",
    ),
    "broken.zip": (b"PK\x03\x04" + b"\x07" * 60, r"broken\.zip'"),
}  # fmt: skip
"""Files that may hold data."""


@pytest.mark.parametrize("name", UNREADABLE)
def test_data_that_cannot_be_read_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    content, sentence = UNREADABLE[name]
    put(exports(tmp_path), name, content)
    with pytest.raises(DataError, match=sentence):
        taken(tmp_path)


@pytest.mark.parametrize("name", ["manifest.json", "package.json", "readme.txt"])
def test_alone_it_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=name):
        taken(put(tmp_path, name, NO_DATA[name]))


def test_a_folder_of_other_things_alone_is_refused_by_the_name_of_one(tmp_path: Path) -> None:
    for at, names in enumerate([("placeholder.txt", "empty_lists.json"), ("notes.txt", "placeholder.txt")]):
        folder = tmp_path / str(at)
        folder.mkdir()
        for name in names:
            (folder / name).write_text(str(NO_DATA[name]))
        with pytest.raises(DataError, match=r"'\w+\.\w+' has no table of spend in it; pass a table with a header"):
            taken(folder)
