"""`crossmix plan`: a brief becomes a matrix of named creators, printed, drawn, written; from a run or a catalogue."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.readable import readable_errors, stop

if TYPE_CHECKING:
    from crossmix.creators.bundled import BundledPlanner
    from crossmix.creators.plan import Cell, Plan
    from crossmix.creators.results import After
    from crossmix.creators.worker import Planner
    from pipelines.cli.plan_source import Source


def plan(
    out: Annotated[
        Path | None, typer.Argument(help="Folder of a finished run of task creators; or --catalogue.")
    ] = None,
    brief: Annotated[Path | None, typer.Option(help="What is wanted, YAML; --example writes a first one.")] = None,
    catalogue: Annotated[
        Path | None,
        typer.Option(help="Who can be bought, CSV, where there is no run: its past results tell of effects."),
    ] = None,
    replan: Annotated[
        Path | None,
        typer.Option(help="CSV of what phases have given (creator_id, phase, effect, cost): plan what is left."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, max=600, help="Wall seconds for the solver.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv_: Annotated[
        Path | None, typer.Option("--csv", help="Write who is bought there; with effect filled in, --replan reads it.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Where the page goes; OUT/plan.html, or beside the brief, if absent.")
    ] = None,
    example: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write a first brief.yaml and a generated catalogue.csv there."),
    ] = None,
) -> None:
    """Plan a brief: who is bought in which channel, phase and tier, what it gives, what binds, how far the best is."""
    with readable_errors():
        from crossmix.config import ConfigError

        if example is not None:
            if out is not None or brief is not None or catalogue is not None:
                raise ConfigError(f"--example {example}: it goes alone; leave the others out")
            print(begin(example))
            return
        if brief is None:
            raise ConfigError(
                "--brief: name a YAML file with a brief; `crossmix plan --example FOLDER` writes a first one"
            )
        page = html or (brief.with_suffix(".html") if out is None else out / "plan.html")
        named = (("--html", page if html is not None or out is None else None), ("--csv", csv_))
        for name, file in named:  # of OUT itself whoever reads the run says that it is not there
            if file is not None and not file.absolute().parent.is_dir():
                raise ConfigError(f"{name} {file}: its folder does not exist; make it or name another file")
        answer = ask(out, catalogue, brief, replan, seconds)
        written = [f"page {page}", *([] if csv_ is None else [f"creators {csv_}"])]
        write("--html", page, answer.page)
        if csv_ is not None:
            write("--csv", csv_, lambda: table(answer.plan))
        print(as_json(answer) if json_ else "\n".join([*lines(answer), "", *written]))


@dataclass(frozen=True, slots=True)
class Answer:
    """A plan, and what it came from."""

    plan: Plan
    source: Source
    generated: bool
    """The catalogue is."""
    after: After | None
    """What earlier phases gave."""
    assumed: bool = False
    """No past result tells of effects: public laws do (`crossmix.creators.prior`)."""

    def page(self) -> str:
        """The page about it."""
        from crossmix.creators.page import render

        source = (self.source.told, *([self.source.old] if self.source.old else []))
        return render(self.plan, generated=self.generated, after=self.after, assumed=self.assumed, source=source)


def begin(folder: Path) -> str:
    """Write a first brief and catalogue; what to do with them."""
    from crossmix.creators.example import write as example

    brief, catalogue, question = example(folder)
    return (
        f"{brief}: a brief, change it\n{catalogue}: a generated catalogue, put yours in its place\n"
        f"{question}: the brief as a server is asked it\n"
        f"next: {program()} plan --catalogue {catalogue} --brief {brief}"
    )


def program() -> str:
    """How a shell starts this program again: by its name where it is on the path, else as it was called."""
    called = sys.argv[0]
    return called if Path(called).name == "crossmix" and shutil.which("crossmix") is None else "crossmix"


def ask(
    out: Path | None, catalogue: Path | None, brief: Path, results: Path | None = None, seconds: float | None = None
) -> Answer:
    """The plan of a brief's file.

    Args:
        out: folder of a finished run of task `creators`; or
        catalogue: a CSV file.
        results: what earlier phases have given.
        seconds: of the solver; the settings' if absent.

    Raises:
        ConfigError, DataError, BriefError: what cannot be used, in a sentence.
    """
    from dataclasses import replace

    from crossmix.config import ConfigError
    from crossmix.creators import brief as briefs
    from crossmix.creators import results as done
    from crossmix.creators.solve import PlanError
    from crossmix.creators.worker import Planner
    from pipelines.cli import plan_source

    if (out is None) == (catalogue is None):
        raise ConfigError("OUT, --catalogue: name the folder of a run of task creators or a catalogue, and not both")
    wanted = briefs.load(brief)
    planner: Planner
    if out is not None:
        planner = bundled = of_run(out)
        source = plan_source.of_run(out, bundled)
    else:
        planner = of_catalogue(catalogue or Path())
        source = plan_source.of_catalogue(catalogue or Path(), assumed=not planner.predictor.results)
    if seconds is not None:
        planner.solver = replace(planner.solver, seconds=seconds)
    after = None
    if results is not None:
        given = done.read(results, wanted)
        after = done.after(planner.catalogue, planner.predictor, wanted, given, planner.effects)
        planner = Planner(after.catalogue, after.predictor, planner.effects, planner.solver, planner.actor)
    try:
        found = planner.plan(wanted, None if after is None else after.before)
    except PlanError as error:
        stop(str(error), 1)
    return Answer(found, source, planner.catalogue.generated, after, assumed=not planner.predictor.results)


def of_catalogue(path: Path) -> Planner:
    """A planner of a CSV file; of one without any past result, by public laws."""
    from crossmix.creators import catalogue as catalogues
    from crossmix.creators.prior import fitted_or_prior
    from crossmix.creators.worker import Planner

    known = catalogues.read(path)
    return Planner(known, fitted_or_prior(known))


def of_run(out: Path) -> BundledPlanner:
    """The planner of a run's champion, or of what its gates did not pass.

    Raises:
        ConfigError, BundleError: no finished run, or one of another task.
    """
    from crossmix.creators import bundled
    from pipelines.cli.recommend import bundle_of
    from pipelines.cli.tasks import check_task

    check_task(out, "creators", "crossmix plan")
    return bundled.load(bundle_of(out, "creators"))


def write(name: str, file: Path, content: Callable[[], str]) -> None:
    """A file that a person named; raises `ConfigError` where it cannot be written."""
    from crossmix import files
    from crossmix.config import ConfigError

    try:
        files.write(file, content())
    except OSError as error:
        raise ConfigError(f"{name} {file}: cannot be written ({error.strerror}); name another file") from None


def as_json(answer: Answer) -> str:
    """The whole answer."""
    from crossmix.creators import words

    found = answer.plan
    tree = found.plain() | {
        "bundle": answer.source.bundle,
        "version": answer.source.version,
        "source": answer.source.told,
        "old_catalogue": answer.source.old,
        "generated": answer.generated,
        "assumed": answer.assumed,
        "words": {
            "binding": words.binding(found),
            "margins": words.margins(found),
            "distance": words.distance(found),
        },
    }
    if answer.after is not None:
        done = answer.after
        tree["done"] = {
            "phases": list(done.before.closed),
            "creators": list(done.before.used),
            "spent": done.spent,
            "effect": done.gave,
            "expected": done.expected,
        }
    return json.dumps(tree, indent=2, allow_nan=False, ensure_ascii=False)


def table(found: Plan) -> str:
    """CSV of who is bought; `effect` is empty, to be filled in for `--replan`."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["creator_id", "channel", "phase", "tier", "cost", "expected", "low", "high", "effect"])
    for one in found.choices:
        rounded = [f"{value:.6g}" for value in (one.effect, one.low, one.high)]
        rows.writerow([one.creator_id, one.channel, one.phase, one.tier, f"{one.cost:.12g}", *rounded, ""])
    return out.getvalue()


def lines(answer: Answer) -> list[str]:
    """The answer for a terminal."""
    from crossmix.creators import prior, words

    found = answer.plan
    results = 0 if answer.after is None else len(answer.after.before.used)
    of = "in interactions, assumed" if answer.assumed else "in the unit of past results"
    effect, low, high = (words.effect(found, value) for value in (found.effect, found.low, found.high))
    head = [
        *([prior.told(results)] if answer.assumed else []),
        f"{found.brief}: {len(found.choices)} creators for {found.cost:,.0f} of {found.budget:,.0f} {found.currency}"
        + ("; GENERATED DATA" if answer.generated else ""),
        f"expected effect {effect} [{low}, {high}], 80 % interval; {of}",
        answer.source.told,
        *([answer.source.old] if answer.source.old else []),
    ]
    if answer.after is not None:
        head.append(words.done(answer.after, found))
    return [
        *head,
        "",
        *drawn(found),
        "",
        "what binds",
        *(f"  {line}" for line in words.binding(found)),
        *([f"  not binding: {', '.join(words.free(found))}"] if words.free(found) else []),
        "",
        *words.margins(found),
        words.distance(found),
        f"solved in {found.seconds:.1f} s",
        "",
        *listed(found),
    ]


def drawn(found: Plan) -> list[str]:
    """The matrix: creators, cost and effect of each cell, and sums."""
    from crossmix.creators import words

    def told(cells: Sequence[Cell]) -> str:
        cost = sum(cell.cost for cell in cells)
        if cost <= 0:
            return "."
        creators = sum(cell.creators for cell in cells)
        if not creators:
            return f"done, {cost:,.0f}"
        return f"{creators}, {cost:,.0f} -> {words.effect(found, sum(cell.effect for cell in cells))}"

    phases = list(dict.fromkeys(cell.phase for cell in found.cells))
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for cell in found.cells:
        rows.setdefault((cell.channel, cell.tier), {})[cell.phase] = cell
    grid = [["channel", "tier", *phases, "in all"]]
    grid += [
        [channel, tier, *(told([cells[phase]]) for phase in phases), told(list(cells.values()))]
        for (channel, tier), cells in rows.items()
    ]
    sums = [told([cell for cell in found.cells if cell.phase == phase]) for phase in phases]
    grid.append(["in all", "", *sums, told(list(found.cells))])
    caption = "of each cell: creators, cost -> effect that it adds; done: spent in a phase that is over"
    return [*_aligned(grid, left=2), caption]


def listed(found: Plan) -> list[str]:
    """Who is bought, by cell."""
    from crossmix.creators import words

    rows: list[list[str]] = [["creator", "channel", "phase", "tier", "cost", "effect", "80 % interval"]]
    rows += [
        [
            one.creator_id,
            one.channel,
            one.phase,
            one.tier,
            f"{one.cost:,.0f}",
            words.effect(found, one.effect),
            f"{words.effect(found, one.low)} to {words.effect(found, one.high)}",
        ]
        for one in found.choices
    ]
    return _aligned(rows, left=4)


def _aligned(rows: list[list[str]], left: int) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:{'<' if at < left else '>'}{width}}"
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


__all__ = ["Answer", "ask", "plan"]
