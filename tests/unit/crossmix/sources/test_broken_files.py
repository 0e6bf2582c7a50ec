"""Every adapter is handed broken files: each is read, or refused in a sentence; nothing else is ever raised."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crossmix.config import load
from crossmix.config.data import SOURCE_TASKS
from crossmix.ingest.step import ingest
from crossmix.registered import declared
from crossmix.schema import DataError
from crossmix.sources.criteo import SLICE_COLUMNS
from tests.support.histories import sound
from tests.support.public_logs import FILES, FORMATS, SETTINGS, traffic
from tests.support.raw_logs import public_row
from tests.unit.crossmix.sources.test_impressions import impressions

HOURS = range(1, 24 * 4, 2)


def _slice() -> pd.DataFrame:
    rows = [
        {name: 1 if name in {"click_nb", "conversion", "click"} else 0.5 if name in {"cost", "cpo"} else f"u{at % 5}"
         for name in SLICE_COLUMNS} for at in range(40)
    ]  # fmt: skip
    return pd.DataFrame(rows).reset_index(names="")


def _public() -> pd.DataFrame:
    return pd.DataFrame([public_row(hour * 3_600) for hour in HOURS])


LOGS: dict[str, tuple[str, Callable[[], pd.DataFrame], str]] = {
    "criteo": ("log.tsv", _public, "\t"),
    "criteo slice": ("log.csv", _slice, ","),
    "impressions": ("log.csv", lambda: impressions(48), ","),
    "spend": ("log.csv", sound, ","),
    **{
        name: (FILES[name], lambda name=name: FORMATS[name](traffic(48)), "\t" if name == "ipinyou" else ",")
        for name in FORMATS
    },
}
GIVEN = SETTINGS | {"impressions": ("data.settings.currency=EUR",)}

Break = Callable[[list[str], str, random.Random], bytes]


def _joined(lines: list[str]) -> bytes:
    return "\n".join(lines).encode() + b"\n"


def _column(change: Callable[[str, random.Random], str]) -> Break:
    """One column's name is changed."""

    def broken(lines: list[str], separator: str, rng: random.Random) -> bytes:
        header = lines[0].split(separator)
        at = rng.randrange(len(header))
        header[at] = change(header[at], rng)
        return _joined([separator.join(header), *lines[1:]])

    return broken


def _cells(change: Callable[[str, random.Random], str], share: float) -> Break:
    """A share of one column's cells is changed."""

    def broken(lines: list[str], separator: str, rng: random.Random) -> bytes:
        rows = [line.split(separator) for line in lines[1:]]
        at = rng.randrange(len(rows[0]))
        for row in rows:
            if len(row) > at and rng.random() < share:
                row[at] = change(row[at], rng)
        return _joined([lines[0], *map(separator.join, rows)])

    return broken


WORDS = (
    "",
    "nan",
    "inf",
    "-",
    "word",
    "1e999",
    "12,5",
    "'",
    '"',
    "NULL",
    "0x1F",
    "１２",
    "-0",
    "99999999999999999999",
    "é",
)


def _word(_: str, rng: random.Random) -> str:
    return rng.choice(WORDS)


BREAKS: dict[str, Break] = {
    "no name": _column(lambda name, rng: ""),
    "another name": _column(
        lambda name, rng: rng.choice(["Größe", "select", "a;b", '"', "1", " ", "x" * 300, "rowid"])
    ),
    "name of another": lambda lines, separator, rng: _joined(
        [separator.join([*lines[0].split(separator)[:-1], lines[0].split(separator)[0]]), *lines[1:]]
    ),
    "index of pandas": lambda lines, separator, rng: _joined(
        [separator + lines[0], *(f"{at}{separator}{line}" for at, line in enumerate(lines[1:]))]
    ),
    "no header": lambda lines, separator, rng: _joined(lines[1:]),
    "only a header": lambda lines, separator, rng: _joined(lines[:1]),
    "one row": lambda lines, separator, rng: _joined(lines[:2]),
    "title": lambda lines, separator, rng: _joined(["Report of January", "", *lines]),
    "other separator": lambda lines, separator, rng: _joined([line.replace(separator, "|") for line in lines]),
    "a word in each row": _cells(_word, 1.0),
    "some words": _cells(_word, 0.2),
    "short rows": lambda lines, separator, rng: _joined(
        [lines[0], *(separator.join(line.split(separator)[: rng.randrange(1, 9)]) for line in lines[1:])]
    ),
    "long rows": lambda lines, separator, rng: _joined(
        [lines[0], *(line + separator * rng.randrange(3) + "1" for line in lines[1:])]
    ),
    "open quote": lambda lines, separator, rng: _joined([*lines[:3], '"' + lines[3], *lines[4:]]),
    "utf-16": lambda lines, separator, rng: "\n".join(lines).encode("utf-16"),
    "latin-1": lambda lines, separator, rng: _joined(lines).replace(b"1", b"\xe9"),
    "zeros": lambda lines, separator, rng: _joined(lines).replace(b"1", b"\x00"),
    "cut": lambda lines, separator, rng: _joined(lines)[: rng.randrange(20, 400)],
    "old line ends": lambda lines, separator, rng: "\r".join(lines).encode(),
    "noise": lambda lines, separator, rng: rng.randbytes(500),
    "blank lines": lambda lines, separator, rng: b"\n \n\t\n",
    "workbook in name only": lambda lines, separator, rng: b"PK\x03\x04" + rng.randbytes(200),
}


def refused(source: str, path: Path, out: Path) -> str | None:
    """The sentence by which a file is refused; `None`: it is read."""
    out.mkdir()
    config = load("laptop", [f"data.source={source}", f"data.path={path}", *GIVEN.get(source, ())])
    try:
        ingest(config, out)
    except DataError as error:
        return str(error)
    return None


def test_every_source_that_reads_a_file_is_here() -> None:
    sources = {name: thing.literals for name, thing in declared("crossmix.sources").items()}
    logs = {name: one for name, one in sources.items() if "split" in one.get("tasks", SOURCE_TASKS)}
    reading = {name for name, one in logs.items() if not one.get("generated")}
    assert {name.split()[0] for name in LOGS} == reading


@pytest.mark.slow
@pytest.mark.parametrize("log", LOGS)
def test_broken_text_is_a_sentence(log: str, tmp_path: Path) -> None:
    name, table, separator = LOGS[log]
    lines = table().to_csv(sep=separator, index=False).rstrip("\n").split("\n")
    source = log.split()[0]
    for number, (kind, broken) in enumerate(BREAKS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_bytes(broken(lines, separator, random.Random(f"{log} {kind}")))
        sentence = refused(source, folder / name, folder / "out")
        if sentence is not None:
            field, colon, rest = sentence.partition(": ")
            assert field, kind
            assert colon, f"{kind}: {sentence}"
            assert ";" in rest or "(" in rest, f"{kind}: no remedy in {sentence!r}"


PARQUET: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "text for numbers": lambda frame: frame.assign(price_paid="cheap"),
    "numbers for text": lambda frame: frame.assign(platform=1.5),
    "lists": lambda frame: frame.assign(platform=[["a"]] * len(frame)),
    "no column": lambda frame: frame.drop(columns="timestamp"),
    "no row": lambda frame: frame[:0],
    "days": lambda frame: frame.assign(timestamp=frame["timestamp"].dt.date),
    "nothing": lambda frame: frame.assign(clicked=None),
}


@pytest.mark.parametrize("kind", PARQUET)
def test_broken_parquet_is_a_sentence(kind: str, tmp_path: Path) -> None:
    PARQUET[kind](impressions(48)).to_parquet(tmp_path / "log.parquet", index=False)
    sentence = refused("impressions", tmp_path / "log.parquet", tmp_path / "out")
    assert sentence is None or ": " in sentence


def test_a_log_that_pandas_saved_with_its_index_is_read(tmp_path: Path) -> None:
    _public().to_csv(tmp_path / "log.tsv", sep="\t")
    assert refused("criteo", tmp_path / "log.tsv", tmp_path / "out") is None
