"""`crossmix check FILE`: a spend history in words and a picture, within seconds and without a fit."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.cells import padded, width
from pipelines.cli.readable import readable_errors

if TYPE_CHECKING:
    from crossmix.ingest.checked import Checked

Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="COLUMN=NAME",
        help="Which column of a history is which, as spend=Kosten,date=Tag; repeatable (data.columns).",
    ),
]
Accept = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND", help="A doubt that is none, by the kind that the refusal names; repeatable."),
]
IdleDays = Annotated[
    bool, typer.Option("--idle-days", help="On days without any row nothing was spent (data.idle_days).")
]
Timezone = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        metavar="ZONE",
        help="Of hours in UTC: the account's time zone, as Europe/Berlin, whose days are counted (data.timezone).",
    ),
]
AcceptQuarantine = Annotated[
    bool,
    typer.Option("--accept-quarantine", help="Go on without the rows that cannot be used, however much they hold."),
]
NONE = "–"
"""Stands for a figure that no row has."""


def settings(mapped: Sequence[str], accept: Sequence[str], idle_days: bool, timezone: str | None = None) -> list[str]:
    """`--map`, `--accept`, `--idle-days` and `--timezone` as config changes.

    Raises:
        ConfigError: a `--map` without an equals sign.
    """
    import json

    from crossmix.config import ConfigError

    columns = {}
    for pair in (pair for text in mapped for pair in text.split(",")):
        column, equals, name = pair.partition("=")
        if not (equals and column.strip() and name.strip()):
            raise ConfigError(f"--map {pair}: write it as COLUMN=NAME, as spend=Kosten")
        columns[column.strip().lower()] = name.strip()
    changes = [f"data.columns.{column}={json.dumps(name)}" for column, name in columns.items()]
    kinds = [kind.strip() for text in accept for kind in text.split(",") if kind.strip()]
    changes += [f"data.accept={json.dumps(kinds)}"] if kinds else []
    changes += [f"data.timezone={json.dumps(timezone)}"] if timezone is not None else []
    return [*changes, *(["data.idle_days=true"] if idle_days else [])]


def check(
    file: Annotated[str, typer.Argument(help="The history: a file, a folder, a pattern of files.")],
    map_: Map = None,
    accept: Accept = None,
    idle_days: IdleDays = False,
    timezone: Timezone = None,
    accept_quarantine: AcceptQuarantine = False,
    picture: Annotated[Path, typer.Option(help="Where the picture goes, SVG.")] = Path("check.svg"),
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one config key; repeatable.")
    ] = None,
) -> None:
    """Tell how a spend history is read and what it can answer, without fitting anything; with a picture.

    Exit status: 0 it can be fitted, 2 it cannot be used as it is.
    """
    with readable_errors(), uncollected():
        from crossmix import files
        from crossmix.config import ConfigError, load
        from crossmix.ingest import checked
        from crossmix.ingest.checked_picture import picture as drawn

        named = ["data.source=spend", f"data.path={file}"]
        named += ["data.accept_quarantine=true"] if accept_quarantine else []
        config = load("laptop", [*named, *settings(map_ or (), accept or (), idle_days, timezone), *(set_ or ())])
        found = checked.check(config)
        if not picture.parent.is_dir():
            raise ConfigError(f"--picture {picture}: its folder does not exist; make it or name another file")
        try:
            files.write(picture, drawn(found))
        except OSError as error:
            raise ConfigError(f"--picture {picture}: cannot be written ({error.strerror}); name another file") from None
        print(told(found, picture))
    if found.problem:
        raise typer.Exit(2)


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cycles of garbage meanwhile, nor among what is alive then when the process ends: over modules and
    millions of cells it costs a fifth of the time and finds none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


def told(found: Checked, picture: Path) -> str:
    """What is printed."""
    from crossmix import clock
    from crossmix.ingest import checked

    able, unable = checked.answers(found)
    parts = {
        "Read": found.history.notes or ["As it is: every column under its own name."],
        "Not read": [f"Columns {', '.join(map(repr, found.history.ignored))}."] if found.history.ignored else [],
        "Money": _money(found),
        "Missing": checked.missing(found, clock.wall().date()),
        "Set aside": [
            f"{rows:,} row(s), {share:.1%} of spend: {code} ({example})"
            for code, rows, share, example in found.quarantined
        ],
        "Held and corrected": list(found.told),
        "Can be answered": able,
        "Cannot be answered": unable,
    }
    lines = [checked.headline(found)]
    for title, sentences in parts.items():
        if sentences:
            lines += ["", title, *(f"  {sentence}" for sentence in sentences)]
    return "\n".join([*lines, "", f"picture {picture}"])


def _money(found: Checked) -> list[str]:
    """The table of platforms."""
    table, whole = found.platforms, found.platforms["spend"].sum()
    wide = max(width("platform"), *(width(str(name)) for name in table.index))
    widths = {"spend": 14, "share": 6, "impressions": 13, "clicks": 10, "conversions": 11, "revenue": 14}
    heads = " ".join(f"{key:>{size}}" for key, size in widths.items())
    lines = [f"{'platform':<{wide}} {heads}  first       last"]
    for name, row in table.iterrows():
        figures = {
            "spend": f"{row['spend']:,.2f}",
            "share": f"{row['spend'] / whole if whole else 0:.1%}",
            **{count: f"{row[count]:,.0f}" for count in ("impressions", "clicks", "conversions")},
            "revenue": f"{row['revenue']:,.2f}",
        }
        shown = " ".join(f"{NONE if text == 'nan' else text:>{widths[key]}}" for key, text in figures.items())
        lines.append(f"{padded(str(name), wide)} {shown}  {row['first']:%Y-%m-%d}  {row['last']:%Y-%m-%d}")
    return lines
