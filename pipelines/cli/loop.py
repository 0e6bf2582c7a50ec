"""`crossmix loop simulate`: a served policy in a market that moves, and what watches and heals it, in fast time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.readable import readable_errors

if TYPE_CHECKING:
    from crossmix.evaluate.loop.diary import Diary

loop = typer.Typer(no_args_is_help=True, help="The loop that watches and re-adapts: play it in fast time.")


STOPPED = "stopped; loop.json has the days that were played, all processes are ended"


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM ends what runs as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupted(_: int, __: Any) -> None:
    raise KeyboardInterrupt


@loop.command("simulate")
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of a finished run; it stays as it is.")],
    folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="New folder of the simulation.")],
    days: Annotated[int, typer.Option(min=2, max=365, help="How many.")] = 60,
    campaigns: Annotated[int, typer.Option(min=1, max=200, help="The market's first so many.")] = 3,
    market: Annotated[str, typer.Option(help="exact: every auction; counts: sufficient statistics, faster.")] = "exact",
    scenario: Annotated[
        str | None, typer.Option(help="What happens to the market, as price_shock; none if absent.")
    ] = None,
    size: Annotated[float | None, typer.Option(help="Of the scenario; its own if absent.")] = None,
    platforms: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of the scenario; repeatable; its own if absent.")
    ] = None,
    start_day: Annotated[
        int | None, typer.Option(min=0, help="First day of scenario and poison; after a third of the days if absent.")
    ] = None,
    duration: Annotated[
        int | None, typer.Option(min=1, help="Days of scenario and poison; its own, or for good.")
    ] = None,
    poison: Annotated[str | None, typer.Option(help="How the feed breaks, as zero_all; none if absent.")] = None,
    arms: Annotated[str, typer.Option(help="Whose feed is poisoned: both, or policy.")] = "both",
    silent: Annotated[
        bool, typer.Option("--silent", help="A platform that delivers nothing reports nothing, not complete zeros.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the market; the same for both arms.")] = 1,
    refit: Annotated[
        int | None, typer.Option(min=1, metavar="DAYS", help="Re-adapt every so many days too, alert or not.")
    ] = None,
    without_loop: Annotated[bool, typer.Option("--without-loop", help="Server only: nobody watches.")] = False,
    beside: Annotated[
        Path | None, typer.Option(help="Folder of an earlier simulation, whose policy is drawn beside.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one config key; repeatable.")
    ] = None,
) -> None:
    """Play a served policy in a market that moves: router, feedback and loop as processes, in lock-step by one clock.

    Writes FOLDER/loop.json and loop.svg; FOLDER/run is a copy of the run as it was served, with its database.
    """
    with readable_errors(STOPPED), _ended_as_by_ctrl_c():
        from crossmix.evaluate.loop.diary import load
        from pipelines.loop.simulate import Question
        from pipelines.loop.simulate import simulate as play

        question = Question(
            days=days,
            campaigns=campaigns,
            market=market,
            seed=seed,
            scenario=scenario,
            size=size,
            platforms=tuple(platforms or ()),
            start_day=start_day,
            duration=duration,
            poison=poison,
            arms=arms,
            silent=silent,
            loop=not without_loop,
            refit=refit,
        )
        before = None if beside is None else load(beside)
        diary = play(out, folder, question, set_ or [], lambda line: print(line, flush=True))
        print(drawn(diary, folder, before))


def drawn(diary: Diary, folder: Path, beside: Diary | None) -> str:
    """Draw FOLDER/loop.svg; the flight in a few lines."""
    from crossmix import files
    from crossmix.evaluate.loop.picture import asked, picture

    files.write(folder / "loop.svg", picture(diary, beside))
    rows: list[tuple[str, ...]] = [("", "ROI", "planned", "spend", "revenue")]
    named = [("policy", diary, "policy"), ("control", diary, "control")]
    named += [] if beside is None else [("policy, beside", beside, "policy")]
    for name, one, arm in named:
        total = one.total(arm)
        figures = [f"{total[key] or 0.0:,.0f}" for key in ("planned", "spend", "revenue")]
        rows.append((name, f"{total['roi'] or 0.0:.3f}", *figures))
    width = [max(len(row[column]) for row in rows) for column in range(5)]
    table = ["  ".join(cell.rjust(size) for cell, size in zip(row, width, strict=True)) for row in rows]
    versions = ", ".join(f"{version} from day {day}" for day, version in diary.versions())
    cost, played = diary.cost, len(diary.days)
    spent = sum(value for key, value in cost.items() if key.startswith("cpu_"))
    cpu = f"{cost['wall']:.0f} s, {cost['start']:.0f} s of them until the first day; {spent / played:.2f} CPU s a day"
    return "\n".join([asked(diary), *table, f"versions served: {versions}", cpu, f"picture {folder / 'loop.svg'}"])
