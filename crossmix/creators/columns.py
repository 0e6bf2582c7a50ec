"""Tables in CSV, column by column as text; whatever does not fit is told with file, line, field, value and remedy.

Shapes: N lines.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmix.schema import DataError

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
MOST = 1e15
"""Of any amount: beyond it sums lose their cents."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns, blanks around values taken away."""

    path: Path
    line_N: npt.NDArray[np.int64]
    """Line of the file, the header's being 1; a value with a line break in it counts as one line."""
    text: dict[str, Any]
    """Column (pandas Series of text, N) by name."""

    def __len__(self) -> int:
        return len(self.line_N)

    def where(self, at: int) -> str:
        """How messages name the line of a row: the file and its line."""
        return f"{self.path.name}: line {self.line_N[at]}"

    def refuse(self, field: str, wrong_N: Flags, says: str) -> None:
        """Raise `DataError` for the first line of those that are wrong."""
        if wrong_N.any():
            at = int(np.argmax(wrong_N))
            more = int(wrong_N.sum()) - 1
            others = f" ({more:,} further lines too)" if more else ""
            raise DataError(f"{self.where(at)}: {field}: {shown(self.text[field].iloc[at])} {says}{others}")

    def empty(self, field: str) -> Flags:
        """Where a column is empty, (N,)."""
        flags: Flags = (self.text[field] == "").to_numpy()
        return flags

    def numbers(
        self,
        field: str,
        *,
        above: float | None = None,
        least: float | None = None,
        share: bool = False,
        remedy: str = "correct it",
        optional: bool = False,
    ) -> Floats:
        """A column as numbers, (N,); NaN where it may be empty and is.

        Args:
            above, least: what it must lie above, or reach.
            share: at most 1; another number at most `MOST`.
            remedy: for a value that is not above.
        """
        value_N = np.asarray([number(part) for part in self.text[field]], np.float64)
        blank_N = self.empty(field) if optional else np.zeros(len(self), bool)
        self.refuse(field, ~np.isfinite(value_N) & ~blank_N, "is no number; write digits alone, as 1000 or 0.25")
        if above is not None:
            self.refuse(field, value_N <= above, f"is not above {above:g}; {remedy}")
        if least is not None:
            to = "a share of 0 to 1" if share else f"a number of {least:g} or above"
            self.refuse(field, value_N < least, f"is below {least:g}; write {to}")
        if share:
            self.refuse(field, value_N > 1, "is above 1; write a share, 0.103 for 10.3 %")
        self.refuse(field, value_N > MOST, f"is above {MOST:g}; correct it")
        return value_N


def read(path: Path, required: Sequence[str], optional: Sequence[str], what: str) -> Columns:
    """A table (UTF-8, comma between columns, a header); columns that are not named here are left out.

    Args:
        what: a line's thing, for messages.

    Raises:
        DataError: what cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; name a CSV file with {what}s") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); name a CSV file with {what}s") from None
    return parse(content, path, required, optional, what)


def parse(content: bytes, path: Path, required: Sequence[str], optional: Sequence[str], what: str) -> Columns:
    """`read`, of the file's content; `path`: for messages."""
    import pandas as pd

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; save it as CSV UTF-8") from None
    if "\0" in text:
        raise DataError(f"{path}: no text, it has bytes of 0; save it as CSV UTF-8")
    body = text.lstrip()
    before = text[: len(text) - len(body)].count("\n")
    first = body.splitlines()[:1]
    if not first:
        raise DataError(f"{path}: not a table of comma-separated values (it is empty); save it as CSV")
    if "," not in first[0] and ";" in first[0]:
        raise DataError(f"{path}: its columns have ; between them; save it as CSV with commas")
    try:
        table = pd.read_csv(
            io.StringIO(body, newline=""), header=None, dtype=str, keep_default_na=False, skipinitialspace=True,
            skip_blank_lines=False,
        )  # fmt: skip
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        why = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise DataError(f"{path}: not a table of comma-separated values ({why}); save it as CSV") from None
    table = table.fillna("")
    blank_N = (table == "").all(axis=1).to_numpy()
    names = [str(name).strip() for name in table.iloc[0]]
    _check(path, names, required, optional)
    below = np.flatnonzero(~blank_N)[1:]
    if not len(below):
        raise DataError(f"{path}: has no {what}; write one a line below the header")
    columns = {
        name: table[names.index(name)].iloc[below].str.strip() for name in (*required, *optional) if name in names
    }
    return Columns(path, below + 1 + before, columns)


def number(text: str) -> float:
    """A number as it is written, NaN of anything else."""
    try:
        return float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan


def shown(text: object, most: int = 80) -> str:
    """A value in a message, cut where it is long."""
    plain = str(text)
    return repr(plain if len(plain) <= most else f"{plain[:most]}...")


def _check(path: Path, names: list[str], required: Sequence[str], optional: Sequence[str]) -> None:
    wanted = (*required, *optional)
    twice = sorted({name for name in names if name in wanted and names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} is there twice; drop one")
    extra = [name for name in names if name not in wanted]
    for name in wanted:
        if name in names:
            continue
        close = difflib.get_close_matches(name, extra, n=1, cutoff=0.7)
        if close:
            raise DataError(f"{path}: column {close[0]!r} is unknown; rename it to {name}")
        if name in required:
            raise DataError(f"{path}: column {name} is missing; add it, the columns are {', '.join(required)}")
