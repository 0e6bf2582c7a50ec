"""The `crossmix` command. Nothing heavy is imported before a command needs it: help answers in under a second."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossmix.registered import choices, declared
from pipelines.cli import campaign as campaign_commands
from pipelines.cli import (
    cluster,
    drift,  # noqa: F401 - adds its commands to `monitor`
    look,  # noqa: F401 - adds its command to `monitor`
    snapshot,  # noqa: F401 - adds its command to `monitor`
    token,
    webhook,  # noqa: F401 - adds its commands to `monitor`
)
from pipelines.cli import guard as guard_commands
from pipelines.cli.canary import canary
from pipelines.cli.check import Accept, AcceptQuarantine, IdleDays, Map, Timezone, check, settings
from pipelines.cli.images import cluster as images
from pipelines.cli.journeys import journeys
from pipelines.cli.lift import ServerUrl, Token, experiment
from pipelines.cli.loop import loop
from pipelines.cli.plan import plan
from pipelines.cli.readable import readable_errors
from pipelines.cli.readapt import readapt
from pipelines.cli.reason import Reason, Why, given
from pipelines.cli.watch import WATCHING, monitor

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Learn, prove, serve and re-adapt the split of an advertising budget across media platforms.",
)

Preset = Annotated[str, typer.Option(help="paper: the paper's sizes; laptop: the same in minutes on two cores.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one config key, as data.cycle_hours=1; repeatable."),
]
SOURCE_HELP = "Where the log comes from: " + "; ".join(
    f"{name} ({thing.literals['label']})" for name, thing in declared("crossmix.sources").items()
)
Out = Annotated[Path, typer.Option(help="Folder of the run; finished steps in it are reused.")]


@app.command()
def run(
    preset: Preset = "laptop",
    source: Annotated[str | None, typer.Option(help=SOURCE_HELP)] = None,
    data: Annotated[
        str | None, typer.Option(help="The log's file, folder or pattern of files, or s3:// address; not for demo.")
    ] = None,
    out: Out = Path("out/run"),
    accept_quarantine: AcceptQuarantine = False,
    map_: Map = None,
    accept: Accept = None,
    idle_days: IdleDays = False,
    timezone: Timezone = None,
    set_: Set = None,
) -> None:
    """Train, gate and register an allocation policy (with --set task=creators a planner), and write a report.

    Exit status: 0 registered, 1 a step failed, 2 an input cannot be used, 3 a required gate did not pass.
    """
    with readable_errors():
        from crossmix.config import ConfigError, load
        from pipelines import local

        elsewhere = any(item.startswith("data.source=") for item in set_ or ())
        if data is not None and not elsewhere and source in (None, "demo"):
            raise ConfigError(f"--data {data}: source 'demo' generates its log and reads no file; add --source criteo")
        named = [f"data.source={source}"] if source else []
        named += [f"data.path={data}"] if data else []
        named += ["data.accept_quarantine=true"] if accept_quarantine else []
        named += settings(map_ or (), accept or (), idle_days, timezone)
        config = load(preset, [*named, *(set_ or ())])
        if config.data.source == "spend":
            from crossmix.ingest.checked import short

            local.check(config, out)
            print(short(config), flush=True)
        outcome = local.run(config, out)
        print(local.describe(outcome, out))
    raise typer.Exit(outcome.status)


app.command()(check)
app.command("compile")(cluster.compile_)
app.command()(cluster.submit)


@app.command()
def report(out: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Render report.html again."""
    with readable_errors():
        from pipelines import local

        print(local.report(out))


@app.command()
def allocate(
    out: Annotated[
        Path | None,
        typer.Argument(help="Folder of a finished run: its champion answers, or what its gates did not pass."),
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Another bundle's folder than the run's champion.")] = None,
    features: Annotated[Path | None, typer.Option(help="Another feature repository than the run's.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Which campaign; every one if absent.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT|±PERCENT",
            help="Of the campaign's next cycle, as 1000, or of each, as +30%; the plan's if absent.",
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLATFORM:MIN:MAX", help="Shares of the campaign's budget, as search:0.1:0.4; repeatable."
        ),
    ] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(help="A platform of the campaign whose share stays; repeatable.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON; a list where several campaigns answer.")] = False,
) -> None:
    """Split the next cycle's budget, with reasons and how far to trust them: proved, plausible, or explore first."""
    with readable_errors():
        from crossmix.config import ConfigError
        from pipelines.cli import recommend as answer
        from pipelines.cli.beside import beside
        from pipelines.cli.tasks import check_task
        from pipelines.local import step_folder

        if out is not None:
            check_task(out, "split", "crossmix allocate")
            bundle, features = bundle or answer.bundle_of(out), features or step_folder(out, "features")
        if bundle is None or features is None:
            raise ConfigError("allocate: name the folder of a run, or both --bundle and --features")
        answers = answer.allocate(bundle, features, campaign, budget, limit or (), freeze or (), out)
        if json_:
            print(answer.as_json(answers, beside(out)))
        else:
            print("\n\n".join([*(one.table() for one in answers), *answer.in_all(answers), *beside(out)]))


@app.command()
def whatif(
    out: Annotated[Path, typer.Argument(help="Folder of a finished run: its fitted market answers.")],
    campaign: Annotated[str | None, typer.Option(help="Which campaign; not needed where there is one.")] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(metavar="AMOUNT|±PERCENT", help="A cycle's budget, as 1000 or +30%; repeatable."),
    ] = None,
    target_cpa: Annotated[float | None, typer.Option(help="Average spend per conversion to keep below.")] = None,
    target_roas: Annotated[float | None, typer.Option(help="Average revenue over spend to keep above.")] = None,
    weekday: Annotated[str | None, typer.Option(help="monday to sunday; an average one if absent.")] = None,
    present: Annotated[
        bool, typer.Option("--present", help="With the drift of the last week fitted on, instead of none.")
    ] = False,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="PLATFORM:SHARE", help="Today's split, if not the plan's; every platform."),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="PLATFORM:MIN:MAX", help="Shares of the cycle budget, as search:0.1:0.4; repeatable."),
    ] = None,
    freeze: Annotated[list[str] | None, typer.Option(help="A platform whose share stays; repeatable.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Where the page goes; OUT/whatif.html if absent.")] = None,
) -> None:
    """What would happen if: other budgets, targets and limits, with response curves; prints and writes a page."""
    with readable_errors():
        from crossmix.config import ConfigError
        from pipelines.cli import whatif as asked
        from pipelines.cli.beside import beside

        page = html or out / "whatif.html"
        if html and not html.parent.is_dir():
            raise ConfigError(f"--html {html}: its folder does not exist; make it or name another file")
        answers = asked.ask(
            out,
            campaign,
            budgets=budget or (),
            target_cpa=target_cpa,
            target_roas=target_roas,
            weekday=weekday,
            present=present,
            shares=share or (),
            limits=limit or (),
            freeze=freeze or (),
        )
        from crossmix.whatif.page import render

        try:
            render(answers, page)
        except OSError as error:
            raise ConfigError(f"--html {page}: cannot be written ({error.strerror}); name another file") from None
        told = beside(out)
        print(asked.as_json(answers, told) if json_ else "\n\n".join([asked.table(answers, page), *told]))


app.command()(plan)


@app.command()
def serve(
    out: Annotated[
        Path | None, typer.Argument(help="Folder of a finished run: its registry's champion serves; or --registry.")
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(envvar="CROSSMIX_REGISTRY", help="MLflow tracking URI: its champion serves, without a folder."),
    ] = None,
    host: Annotated[
        str, typer.Option(envvar="CROSSMIX_HOST", help="Address to bind; other than loopback needs --tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="HTTP: page, V1, V2, feedback.")] = 8080,
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="gRPC (V2); 0: none.")] = 8081,
    tokens: Annotated[
        Path | None, typer.Option(envvar="CROSSMIX_TOKENS", help="File of bearer tokens (`crossmix token create`).")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--state",
            "--folder",
            envvar="CROSSMIX_STATE",
            help="The server's own folder, all that it writes; OUT/serving, or with --registry one in /tmp, if absent.",
        ),
    ] = None,
    role: Annotated[
        str,
        typer.Option(
            envvar="CROSSMIX_ROLE",
            help="all, or one part on a cluster: policy, control, router, pusher, feedback, journey, creators.",
        ),
    ] = "all",
    policy_url: Annotated[
        str | None, typer.Option(envvar="CROSSMIX_POLICY_URL", help="A router's policy predictor, as http://policy.")
    ] = None,
    control_url: Annotated[
        str | None, typer.Option(envvar="CROSSMIX_CONTROL_URL", help="A router's control predictor.")
    ] = None,
    predictor_token: Annotated[str | None, typer.Option(envvar="CROSSMIX_PREDICTOR_TOKEN", help="For them.")] = None,
    root_path: Annotated[str, typer.Option(help="Path of the server behind a proxy, as /crossmix.")] = "",
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings", envvar="CROSSMIX_SETTINGS", help="With --registry: JSON of the config's section serving."
        ),
    ] = None,
    set_: Set = None,
) -> None:
    """Serve the champion behind the 7:3 experiment: page, KServe endpoints, feedback, in one process."""
    from crossmix.listening import ends_at_once

    with readable_errors(), ends_at_once():
        from crossmix.config import ConfigError
        from pipelines.cli.serve import Start, serve_alone, serve_kinds, task_of
        from pipelines.cli.serve import serve as run_server
        from pipelines.cli.serve_registry import start_of
        from serving.app import ALONE, Settings

        if (policy_url is None) != (control_url is None):
            raise ConfigError("--policy-url, --control-url: name both predictors, or neither")
        settings = Settings(
            host=host,
            port=port,
            grpc_port=grpc_port or None,
            tokens=tokens,
            role=role,
            predictors=None if policy_url is None or control_url is None else (policy_url, control_url),
            predictor_token=predictor_token,
            root_path=root_path,
        )
        if out is not None and registry is None and (role in ALONE or task_of(out) != "split"):
            serve_kinds(out, settings, folder, set_ or (), lambda line: print(line, flush=True))
            return
        start = start_of(out, registry, settings, folder, settings_file, set_ or ())
        if isinstance(start, Start):
            run_server(start, settings, lambda line: print(line, flush=True))
        else:
            serve_alone(start, settings, lambda line: print(line, flush=True))


@app.command()
def promote(
    out: Annotated[Path, typer.Argument(help="Folder of the run whose registry it is.")],
    version: Annotated[str, typer.Argument(help="Version number, or an alias such as challenger.")],
    reason: Reason = "",
    why: Why = None,
    server: ServerUrl = None,
    token: Token = None,
) -> None:
    """Make a version champion once the server can take it, and wait until it answers with it."""
    with readable_errors():
        from pipelines.cli import champion as asked

        print(asked.promote(out, version, given(reason, why, needed=True), server, token))


@app.command()
def rollback(
    out: Annotated[Path, typer.Argument(help="Folder of the run whose registry it is.")],
    of: Annotated[
        int | None, typer.Option(help="Version to take out; the champion if absent, unless a rollback made it that.")
    ] = None,
    reason: Reason = "",
    why: Why = None,
    server: ServerUrl = None,
    token: Token = None,
) -> None:
    """Make the previous champion champion again, and wait until the server answers with it; repeated, it is done."""
    with readable_errors():
        from pipelines.cli import champion as asked

        print(asked.rollback(out, given(reason, why) or "rolled back", server, token, of))


app.command("readapt")(readapt)
app.add_typer(campaign_commands.campaign, name="campaign")
app.add_typer(campaign_commands.override, name="override")
app.add_typer(guard_commands.guard, name="guard")
app.add_typer(token.token, name="token")
app.add_typer(images, name="cluster")
app.add_typer(loop, name="loop")
app.add_typer(journeys, name="journeys")

app.add_typer(experiment, name="experiment")
app.add_typer(canary, name="canary")
app.add_typer(monitor, name="monitor", epilog=WATCHING)


@app.command(
    epilog="Names that files add. " + ". ".join(f"{key}: {', '.join(names)}" for key, names in choices().items())
)
def config(preset: Preset = "laptop", set_: Set = None) -> None:
    """Print every config key with its value, in order."""
    with readable_errors():
        import json

        from crossmix.config import documented, load

        for key, value in documented(load(preset, set_ or ())):
            print(f"{key}={value if isinstance(value, str) else json.dumps(value)}")


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    print(installed("crossmix"))


if __name__ == "__main__":
    app()
