"""`crossmix campaign import`: a file of campaigns of any size, read as it goes and sent in bounded batches.

A CSV, a file of JSON lines (.jsonl), or a JSON array; never more than a batch of it is in memory. Each batch is one
request and one transaction; a row that cannot be used is told with its line and does not count, the others do. A row
that is there already as it would be made is left as it is, so that an import that was cut off is simply run again.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pipelines.cli.client import AskError, ask

BOUNDS = ("min", "max", "step", "freeze")
COLUMNS = ("campaign_id", "currency", "cycle_budget", "starts", "cycles", "cycle_hours", "timezone")
BATCH_ROWS = 500
BATCH_BYTES = 1_000_000
"""Of a request, whichever comes first; a row that is larger goes alone."""
LARGEST_ROW = 4_000_000
"""Characters of a row in a JSON file."""
CHUNK = 65_536
"""Characters that are read at once."""
SECONDS = 300.0
"""A batch is waited for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file."""

    line: int
    """On which it begins, from 1."""
    campaign: Any
    """As it is sent."""
    fault: str | None = None
    """Why it cannot be sent."""


@dataclass(slots=True)
class Imported:
    """What became of a file."""

    rows: int = 0
    added: int = 0
    same: int = 0
    """There already, as they would be made."""
    requests: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)
    """Line and sentence of each row that cannot be used."""

    def sentence(self) -> str:
        """What became of it, for people."""
        said = f"{self.added:,} campaigns added"
        if self.same:
            said += f", {self.same:,} were there already"
        if self.faults:
            said += f", {len(self.faults):,} of {self.rows:,} rows cannot be used: mend those and run it again"
        return f"{said}; crossmix campaign list shows them"


def send(
    file: Path,
    server: str,
    token: str | None,
    query: Mapping[str, str],
    told: Callable[[Imported, int], None],
    fault: Callable[[int, str], None],
) -> Imported:
    """Add the campaigns of a file.

    Args:
        told: called after each batch with what came of the file so far, and the batch's last line.
        fault: called with the line and the sentence of each row that cannot be used.

    Raises:
        AskError: the file cannot be read, or the server is away or refuses a batch as a whole; what was added before
            stays, and the message says up to which line.
    """
    done = Imported()

    def wrong(line: int, sentence: str) -> None:
        done.faults.append((line, sentence))
        fault(line, sentence)

    last = 0
    try:
        for batch in batches(rows(file)):
            for row in batch:
                if row.fault is not None:
                    wrong(row.line, row.fault)
            good = [row for row in batch if row.fault is None]
            if good:
                body = [row.campaign for row in good]
                answer = ask(
                    server, token, "POST", ["campaigns"], body=body, query={**query, "each": "true"}, seconds=SECONDS
                )
                done.requests += 1
                done.added, done.same = done.added + answer["added"], done.same + answer["same"]
                for one in answer["faults"]:
                    wrong(good[one["row"] - 1].line, one["error"])
            done.rows, last = done.rows + len(batch), batch[-1].line
            told(done, last)
    except AskError as error:
        if not last:
            raise
        raise AskError(
            f"{error}; the rows up to line {last:,} are done ({done.added:,} added): run it again, "
            "nothing is added twice"
        ) from None
    return done


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Rows together, at most `BATCH_ROWS` and `BATCH_BYTES` of them."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        more = len(json.dumps(row.campaign))
        if batch and (len(batch) >= BATCH_ROWS or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += more
    if batch:
        yield batch


def rows(file: Path) -> Iterator[Row]:
    """The rows of a file, one after the other; by its suffix a CSV, JSON lines, or a JSON array.

    Raises:
        AskError: no such file, or it is none of them.
    """
    kinds = {".csv": _of_csv, ".jsonl": _of_lines, ".ndjson": _of_lines}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield from kinds.get(file.suffix.lower(), _of_array)(file, stream)
    except (OSError, UnicodeDecodeError) as error:
        raise AskError(f"{file}: cannot be read ({error}); name a JSON, JSON lines or CSV file in UTF-8") from None


def _of_csv(file: Path, stream: TextIO) -> Iterator[Row]:
    table = csv.DictReader(stream)
    try:
        unknown = [name for name in table.fieldnames or () if name not in COLUMNS and not _of_platform(name)]
        if unknown:
            raise AskError(
                f"{file}: unknown column {unknown[0]!r}; use {', '.join(COLUMNS)}, share.PLATFORM, "
                f"{', '.join(f'{bound}.PLATFORM' for bound in BOUNDS)}"
            )
        before = table.line_num
        for row in table:
            line, before = before + 1, table.line_num
            if None in row or None in row.values():
                yield Row(line, None, "it has not as many cells as the header; mend it")
            else:
                yield Row(line, _campaign(row))
    except csv.Error as error:
        raise AskError(f"{file}: line {table.line_num}: no CSV ({error}); mend it") from None


def _of_lines(_: Path, stream: TextIO) -> Iterator[Row]:
    for line, text in enumerate(stream, 1):
        if not text.strip():
            continue
        try:
            yield Row(line, json.loads(text))
        except ValueError as error:
            yield Row(line, None, f"not JSON ({error}); put one campaign, an object, on each line")


def _of_array(file: Path, stream: TextIO) -> Iterator[Row]:
    """Elements of an array, each decoded as soon as it is whole."""
    decoder, text, line = json.JSONDecoder(), stream.read(CHUNK), 1

    def skipped(blank: str) -> None:
        """Take away what separates elements."""
        nonlocal text, line
        while True:
            rest = text.lstrip(blank)
            line += text[: len(text) - len(rest)].count("\n")
            text = rest
            if text or not (more := stream.read(CHUNK)):
                return
            text = more

    skipped(" \t\r\n")
    if text[:1] != "[":
        problem = (
            "no array of campaigns; put them into [ ]" if text[:1] == "{" else "not JSON; name a JSON file, or a .csv"
        )
        raise AskError(f"{file}: {problem}")
    text = text[1:]
    skipped(" \t\r\n")
    while text[:1] != "]":
        while True:
            try:
                element, end = decoder.raw_decode(text)
                break
            except ValueError as error:
                more = stream.read(CHUNK) if len(text) < LARGEST_ROW else ""
                if not more:
                    raise AskError(f"{file}: line {line}: not JSON ({error}); name a JSON file, or a .csv") from None
                text += more
        yield Row(line, element)
        line += text[:end].count("\n")
        text = text[end:]
        skipped(" \t\r\n")
        if text[:1] == ",":
            text = text[1:]
            skipped(" \t\r\n")
        elif text[:1] != "]":
            raise AskError(f"{file}: line {line}: not JSON (neither , nor ] after a campaign); mend it")


def _campaign(row: Mapping[str, str]) -> dict[str, Any]:
    campaign: dict[str, Any] = {"share": {}, "limits": {}}
    for name, cell in row.items():
        cell = cell.strip()
        if not cell:
            continue
        kind, _, platform = name.partition(".")
        if platform and kind == "share":
            campaign["share"][platform] = _value(cell)
        elif platform:
            campaign["limits"].setdefault(platform, {})[kind] = _value(cell)
        else:
            campaign[name] = cell if name in ("campaign_id", "currency", "starts") else _value(cell)
    return campaign


def _value(cell: str) -> Any:
    """A number or truth where the cell is one; else its text, which the server refuses by name."""
    if cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        value = float(cell)
    except ValueError:
        return cell
    return value if value - value == 0 else cell


def _of_platform(name: str) -> bool:
    kind, _, platform = name.partition(".")
    return bool(platform) and kind in ("share", *BOUNDS)
