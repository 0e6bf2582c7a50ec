"""`crossmix monitor table|ui`: two tables of any kind, column by column; Evidently's UI on what was kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.readable import readable_errors
from pipelines.cli.watch import monitor

if TYPE_CHECKING:
    from monitoring.columns import Comparison

STATUS = {"quiet": 0, "insufficient data": 2, "drift": 3}
"""Exit status by verdict."""


@monitor.command("table")
def table(
    reference: Annotated[Path, typer.Argument(help="CSV or Parquet, as it was.")],
    current: Annotated[Path, typer.Argument(help="CSV or Parquet, as it is.")],
    effect: Annotated[
        float, typer.Option(help="Least distance: reference deviations of a number, share of a category's rows.")
    ] = 0.1,
    level: Annotated[float, typer.Option(help="Chance that any column is significant by luck (Holm).")] = 0.05,
    least: Annotated[
        float | None,
        typer.Option(help="Independent rows to judge by; as many as find a shift of --effect with 80 % if absent."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Where Evidently's page goes if a column drifted.")] = None,
) -> None:
    """Which columns of a table moved. Exit status: 0 quiet, 2 cannot be judged (insufficient data), 3 drift."""
    import json

    with readable_errors():
        from monitoring.columns import Limits, compare, read

        before, after = read(reference), read(current)
        found = compare(before, after, Limits(effect=effect, level=level, least=least))
        print(json.dumps(found.as_dict(), indent=2) if json_ else told(found))
        if html is not None and found.verdict == "drift":
            from monitoring import drift

            try:
                drift.page(html, found, before, after)
            except OSError as error:
                raise drift.DriftError(f"--html {html}: cannot be written ({error.strerror}); name another") from None
    raise typer.Exit(STATUS[found.verdict])


@monitor.command("ui")
def ui(
    out: Annotated[Path, typer.Argument(help="Folder of a run that is monitored.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port at 127.0.0.1.")] = 8000,
) -> None:
    """Evidently's UI on the snapshots that monitors kept, at 127.0.0.1 only, until stopped."""
    with readable_errors():
        from monitoring import drift

        drift.ui(drift.workspace(out), port)


def told(found: Comparison) -> str:
    """The comparison for people: what drifted first, what was left out last."""
    lines = [
        f"{found.verdict}: {len(found.drifted)} of {len(found.columns)} columns, "
        f"{found.rows[0]:,} rows against {found.rows[1]:,}"
    ]
    shown = [column for column in found.columns if column.verdict == "drift"]
    if shown:
        width = max(6, *(len(column.name) for column in shown))
        lines.append(f"{'column':<{width}}  {'kind':<8}  distance  p (Holm)")
        lines += [
            f"{column.name:<{width}}  {column.kind:<8}  {column.effect:8.3f}  {column.p_value:8.1e}"
            for column in sorted(shown, key=lambda column: -column.effect)
        ]
    short = [column for column in found.columns if column.verdict == "insufficient data"]
    if short:
        least = min(min(column.worth) for column in short)
        alike = min(max(column.worth[0] / column.rows[0], column.worth[1] / column.rows[1]) for column in short) < 0.5
        lines.append(
            f"insufficient data: {_names([column.name for column in short])}: rows are worth as few as {least:,.0f} "
            f"independent ones{', as they persist, so raw columns drift by themselves' if alike else ''}; "
            f"{found.needed:,.0f} are needed: compare longer tables, or raise --effect"
        )
    reasons: dict[str, list[str]] = {}
    for name, why in found.left_out.items():
        reasons.setdefault(why, []).append(name)
    lines += [f"left out, {why}: {_names(names)}" for why, names in reasons.items()]
    return "\n".join(lines)


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
