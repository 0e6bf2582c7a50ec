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
| generated        | optional: yes where laws made the creator, nobody's past; else no, or empty |

Shapes: N creators, E past results of all of them, G memberships of creators in categories.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmix.creators import columns
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
OPTIONAL = ("past_results", "currency", "generated")
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
    table = columns.read(path, REQUIRED, OPTIONAL, "creator")
    text = table.text
    ids = text["creator_id"]
    table.refuse("creator_id", table.empty("creator_id"), "is empty; name the creator")
    table.refuse("creator_id", ids.duplicated().to_numpy(), "is there twice; drop one of the lines")
    channels, channel_N = _codes(table, "channel")
    contents, content_N = _codes(table, "content_type")
    members, names = _split(text["categories"])
    categories = tuple(sorted(set(names)))
    place = {name: at for at, name in enumerate(categories)}
    of_E, result_E = _results(table)
    return Catalogue(
        ids=tuple(ids),
        channels=channels,
        channel_N=channel_N,
        followers_N=table.numbers("followers", above=0, remedy="correct it, or leave the creator out"),
        price_N=table.numbers("price", above=0, remedy="write what a collaboration costs you in all"),
        rate_N=table.numbers("interaction_rate", above=0, share=True, remedy="correct it, or leave the creator out"),
        quality_N=table.numbers("audience_quality", least=0, share=True),
        contents=contents,
        content_N=content_N,
        categories=categories,
        member_G=members,
        category_G=np.asarray([place[name] for name in names], np.int64),
        of_E=of_E,
        result_E=result_E,
        currency=_currency(table),
        generated=_generated(table),
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
                "yes" if catalogue.generated else "",
            ]
        )
    write_file(path, out.getvalue())


def _codes(table: columns.Columns, field: str) -> tuple[tuple[str, ...], Ints]:
    table.refuse(field, table.empty(field), "is empty; name it")
    names, code_N = np.unique(table.text[field].to_numpy(str), return_inverse=True)
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


def _results(table: columns.Columns) -> tuple[Ints, Floats]:
    of, values = [], []
    for at, cell in enumerate(table.text.get("past_results", ())):
        for part in cell.split(BETWEEN) if cell else ():
            value = columns.number(part)
            if not 0 <= value <= columns.MOST:
                raise DataError(
                    f"{table.where(at)}: past_results: {columns.shown(part.strip())} is no effect; write numbers "
                    f"of 0 or above with {BETWEEN} between them, as 1200{BETWEEN}900"
                )
            of.append(at)
            values.append(value)
    return np.asarray(of, np.int64), np.asarray(values, np.float64)


def _currency(table: columns.Columns) -> str | None:
    if "currency" not in table.text or table.empty("currency").all():
        return None
    text = table.text["currency"]
    first = str(text.iloc[0])
    table.refuse("currency", (text != first).to_numpy(), f"is not the first line's {first!r}; convert prices")
    return first


def _generated(table: columns.Columns) -> bool:
    if "generated" not in table.text:
        return False
    text = table.text["generated"]
    table.refuse("generated", (~text.isin(["", "yes", "no"])).to_numpy(), "is neither yes nor no; write one")
    return bool((text == "yes").any())
