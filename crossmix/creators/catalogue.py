"""Who can be bought: a table of creators, read from CSV with errors that name line, field, value and remedy.

| column           | holds                                                                     |
|------------------|---------------------------------------------------------------------------|
| creator_id       | unique                                                                    |
| channel          | name                                                                      |
| followers        | above 0                                                                   |
| price            | of one collaboration, currency, above 0                                   |
| interaction_rate | interactions per impression, a share above 0 and at most 1                |
| audience_quality | share of real followers, 0 to 1                                           |
| content_type     | name                                                                      |
| categories       | names, with ; between them; may be empty                                  |
| past_results     | optional: effects of earlier collaborations, all in one unit, with ; between |
| currency         | optional: one for the whole file                                          |

Shapes: N creators, E past results of all of them, G memberships of creators in categories.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmix.files import write as write_file
from crossmix.schema import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

REQUIRED = (
    "creator_id",
    "channel",
    "followers",
    "price",
    "interaction_rate",
    "audience_quality",
    "content_type",
    "categories",
)
OPTIONAL = ("past_results", "currency")
BETWEEN = ";"
"""Between the members of a cell that holds several."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Creators, column by column."""

    ids: tuple[str, ...]
    channels: tuple[str, ...]
    """Names of channels, sorted."""
    channel_N: Ints
    followers_N: Floats
    price_N: Floats
    """Currency per collaboration."""
    rate_N: Floats
    """Interactions per impression."""
    quality_N: Floats
    """Share of real followers."""
    contents: tuple[str, ...]
    """Names of content types, sorted."""
    content_N: Ints
    categories: tuple[str, ...]
    """Names of categories, sorted."""
    member_G: Ints
    """Creator of each membership, ascending."""
    category_G: Ints
    """Category of each membership."""
    of_E: Ints
    """Creator of each past result, ascending."""
    result_E: Floats
    """Effect of each past collaboration, 0 or above."""
    currency: str | None = None
    generated: bool = False
    """Made by laws, not by anybody's past."""

    def __len__(self) -> int:
        return len(self.ids)

    def of_category(self, name: str | None) -> Flags:
        """Who belongs to a category, (N,); everybody for `None`.

        Raises:
            DataError: nobody does.
        """
        if name is None:
            return np.ones(len(self), bool)
        if name not in self.categories:
            raise DataError(f"category: no creator has {name!r}; the catalogue has {', '.join(self.categories)}")
        at = self.categories.index(name)
        flags = np.zeros(len(self), bool)
        flags[self.member_G[self.category_G == at]] = True
        return flags

    def with_results(self, results: Mapping[str, Sequence[float]]) -> Catalogue:
        """The same creators with further results, by id.

        Raises:
            DataError: an unknown id, or a result that is negative or not finite.
        """
        row = {name: at for at, name in enumerate(self.ids)}
        of, values = [], []
        for name, more in results.items():
            if name not in row:
                raise DataError(f"creator_id: {name!r} is not in the catalogue; use its ids")
            for value in more:
                if not np.isfinite(value) or value < 0:
                    raise DataError(f"past_results: {value} of {name!r} is no effect; write a number of 0 or above")
                of.append(row[name])
                values.append(float(value))
        of_E = np.concatenate([self.of_E, np.asarray(of, np.int64)])
        result_E = np.concatenate([self.result_E, np.asarray(values, np.float64)])
        order = np.argsort(of_E, kind="stable")
        return replace(self, of_E=of_E[order], result_E=result_E[order])


def read(path: Path) -> Catalogue:
    """A catalogue from a CSV file (UTF-8, comma between columns).

    Raises:
        DataError: what cannot be read, with line, field, value and remedy.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; name a CSV file of creators") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; save it as CSV UTF-8") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: not a table of comma-separated values ({error}); save it as CSV") from None
    table.columns = [str(name).strip() for name in table.columns]
    _columns(path, list(table.columns))
    if not len(table):
        raise DataError(f"{path}: has no creator; write one a line below the header")
    text = {name: table[name].str.strip() for name in (*REQUIRED, *OPTIONAL) if name in table.columns}
    line_N = np.arange(2, len(table) + 2)
    ids = text["creator_id"]
    _where(line_N, "creator_id", ids, (ids == "").to_numpy(), "is empty; name the creator")
    _where(line_N, "creator_id", ids, ids.duplicated().to_numpy(), "is there twice; drop one of the lines")
    channels, channel_N = _codes(line_N, "channel", text["channel"])
    contents, content_N = _codes(line_N, "content_type", text["content_type"])
    members, names = _split(text["categories"])
    categories = tuple(sorted(set(names)))
    place = {name: at for at, name in enumerate(categories)}
    of_E, result_E = _results(line_N, text.get("past_results"))
    return Catalogue(
        ids=tuple(ids),
        channels=channels,
        channel_N=channel_N,
        followers_N=_numbers(line_N, "followers", text["followers"], above=0),
        price_N=_numbers(line_N, "price", text["price"], above=0),
        rate_N=_numbers(line_N, "interaction_rate", text["interaction_rate"], above=0, most=1),
        quality_N=_numbers(line_N, "audience_quality", text["audience_quality"], least=0, most=1),
        contents=contents,
        content_N=content_N,
        categories=categories,
        member_G=members,
        category_G=np.asarray([place[name] for name in names], np.int64),
        of_E=of_E,
        result_E=result_E,
        currency=_currency(line_N, text.get("currency")),
    )


def write(catalogue: Catalogue, path: Path) -> None:
    """The CSV that `read` gives back as it was."""
    several: dict[str, list[list[str]]] = {name: [[] for _ in catalogue.ids] for name in ("categories", "results")}
    for creator, at in zip(catalogue.member_G, catalogue.category_G, strict=True):
        several["categories"][creator].append(catalogue.categories[at])
    for creator, value in zip(catalogue.of_E, catalogue.result_E, strict=True):
        several["results"][creator].append(repr(float(value)))
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow([*REQUIRED, *OPTIONAL])
    for at, name in enumerate(catalogue.ids):
        numbers = (catalogue.followers_N, catalogue.price_N, catalogue.rate_N, catalogue.quality_N)
        table.writerow(
            [
                name,
                catalogue.channels[catalogue.channel_N[at]],
                *(repr(float(column[at])) for column in numbers),
                catalogue.contents[catalogue.content_N[at]],
                BETWEEN.join(several["categories"][at]),
                BETWEEN.join(several["results"][at]),
                catalogue.currency or "",
            ]
        )
    write_file(path, out.getvalue())


def _columns(path: Path, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} is there twice; drop one")
    extra = [name for name in names if name not in (*REQUIRED, *OPTIONAL)]
    for name in (*REQUIRED, *OPTIONAL):
        if name in names:
            continue
        close = difflib.get_close_matches(name, extra, n=1, cutoff=0.7)
        if close:
            raise DataError(f"{path}: column {close[0]!r} is unknown; rename it to {name}")
        if name in REQUIRED:
            raise DataError(f"{path}: column {name} is missing; add it, the columns are {', '.join(REQUIRED)}")


def _where(line_N: Any, field: str, text: Any, wrong_N: Flags, says: str) -> None:
    """Raise for the first line of those that are wrong."""
    if wrong_N.any():
        at = int(np.argmax(wrong_N))
        more = int(wrong_N.sum()) - 1
        others = f" ({more:,} further lines too)" if more else ""
        raise DataError(f"line {line_N[at]}: {field}: {text.iloc[at]!r} {says}{others}")


def _numbers(
    line_N: Any, field: str, text: Any, *, above: float | None = None, least: float | None = None, most: float = np.inf
) -> Floats:
    value_N = np.asarray([_number(part) for part in text], np.float64)
    _where(line_N, field, text, ~np.isfinite(value_N), "is no number; write digits alone, as 1000 or 0.25")
    if above is not None:
        remedy = "leave the creator out" if field != "price" else "write what a collaboration costs you in all"
        _where(line_N, field, text, value_N <= above, f"is not above {above:g}; correct it, or {remedy}")
    if least is not None:
        _where(line_N, field, text, value_N < least, f"is below {least:g}; write a share of {least:g} to {most:g}")
    _where(line_N, field, text, value_N > most, "is above 1; write a share, 0.103 for 10.3 %")
    return value_N


def _number(text: str) -> float:
    """A number as it is written, NaN of anything else."""
    try:
        return float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan


def _codes(line_N: Any, field: str, text: Any) -> tuple[tuple[str, ...], Ints]:
    _where(line_N, field, text, (text == "").to_numpy(), "is empty; name it")
    names, code_N = np.unique(text.to_numpy(str), return_inverse=True)
    return tuple(str(name) for name in names), code_N.astype(np.int64)


def _split(text: Any) -> tuple[Ints, list[str]]:
    """Creator and name of each member of the cells, without blanks and repeats."""
    of, names = [], []
    for at, cell in enumerate(text):
        for name in dict.fromkeys(part.strip() for part in cell.split(BETWEEN)):
            if name:
                of.append(at)
                names.append(name)
    return np.asarray(of, np.int64), names


def _results(line_N: Any, text: Any | None) -> tuple[Ints, Floats]:
    if text is None:
        return np.zeros(0, np.int64), np.zeros(0)
    of, values = [], []
    for at, cell in enumerate(text):
        for part in cell.split(BETWEEN) if cell else ():
            value = _number(part)
            if not np.isfinite(value) or value < 0:
                raise DataError(
                    f"line {line_N[at]}: past_results: {part.strip()!r} is no effect; write numbers of 0 or above "
                    f"with {BETWEEN} between them, as 1200{BETWEEN}900"
                )
            of.append(at)
            values.append(value)
    return np.asarray(of, np.int64), np.asarray(values, np.float64)


def _currency(line_N: Any, text: Any | None) -> str | None:
    if text is None or (text == "").all():
        return None
    first = str(text.iloc[0])
    _where(line_N, "currency", text, (text != first).to_numpy(), f"is not the first line's {first!r}; convert prices")
    return first
