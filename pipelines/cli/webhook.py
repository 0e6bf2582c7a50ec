"""`crossmix monitor webhook|secret|outbox`: what takes alerts, the keys of their signatures, what is on its way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.readable import readable_errors
from pipelines.cli.watch import monitor

if TYPE_CHECKING:
    from crossmix.config import Config
    from crossmix.ledger.outbox import Letter
    from monitoring.launcher import Launcher

Out = Annotated[Path | None, typer.Argument(help="Folder of a run that was served: its config and database.")]
Database = Annotated[str | None, typer.Option(metavar="URL", help="Another database, as sqlite:///folder/alerts.db.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change alerts.*, serving.clock or serving.database; repeatable."),
]


@monitor.command("webhook")
def webhook(
    out: Out = None,
    database: Database = None,
    host: Annotated[str, typer.Option(help="Address to bind; other than loopback needs a bearer token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP; 0: a free one.")] = 8090,
    set_: Set = None,
    cluster: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Re-adaptations are runs of Kubeflow at this place, as k8s/cluster.toml."),
    ] = None,
    kfp_host: Annotated[
        str | None, typer.Option(help="Address of Kubeflow Pipelines as this process sees it; the file's api.host.")
    ] = None,
    kfp_token_file: Annotated[
        Path | None, typer.Option(help="File of a bearer token for it, read for each request; the file's api.token.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Of the runs' config, with --cluster.")] = "paper",
    run_set: Annotated[
        list[str] | None,
        typer.Option("--run-set", metavar="KEY=VALUE", help="Change one config key of the runs, with --cluster."),
    ] = None,
) -> None:
    """Take signed alerts and Alertmanager's, and start re-adaptations: one per campaign at a time. SIGTERM ends it."""
    with readable_errors():
        launches = launcher_of
        if cluster is not None:
            launches = partial(on_cluster, cluster, (kfp_host, kfp_token_file), preset, tuple(run_set or ()))
        serve(out, database, host, port, set_ or (), launches, lambda line: print(line, flush=True))


@monitor.command("secret")
def secret(
    file: Annotated[Path, typer.Argument(help="File that gets it: mode 600, one key a line.")],
    add: Annotated[
        bool, typer.Option("--add", help="In front of the file's key: both hold until `--drop` ends the old one.")
    ] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Keep the file's first key only: the rotation is over.")] = False,
) -> None:
    """Make a signing key (`whsec_...`) in a file that only its owner reads; a running process follows the file."""
    with readable_errors():
        print(rotated(file, add=add, drop=drop))


@monitor.command("outbox")
def outbox(
    out: Out = None,
    database: Database = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try what is parked again.")] = False,
    deliver: Annotated[bool, typer.Option("--deliver", help="One round of delivery now, by this command.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    set_: Set = None,
) -> None:
    """Alerts that no target has acknowledged yet. Exit status: 0 none is parked, 3 one is."""
    with readable_errors():
        import json

        letters = undelivered(out, database, set_ or (), retry=retry, deliver=deliver)
        print(json.dumps([letter.as_dict() for letter in letters], indent=2) if json_ else table(letters))
    if any(letter.parked for letter in letters):
        raise typer.Exit(3)


def launcher_of(config: Config, out: Path | None) -> Launcher | None:
    """`crossmix readapt` of the run's folder as processes of this machine; `None`, without a folder: runs wait."""
    if out is None:
        return None
    from pipelines.launch import LocalLauncher

    database = config.serving.database
    return LocalLauncher(out, () if database is None else ("--database", database))


def on_cluster(
    cluster: Path,
    api: tuple[str | None, Path | None],
    preset: str,
    overrides: Sequence[str],
    config: Config,
    out: Path | None,
) -> Launcher:
    """Runs of Kubeflow Pipelines at the place that a file describes; its token's file is read anew for each request.

    Args:
        api: its address and a token's file as this process sees them; absent: the file's `api`.

    Raises:
        ConfigError: the file, a setting of the runs, or what pods could not do.
    """
    from crossmix.config import load, read_cluster
    from crossmix.config.cluster import Api
    from pipelines.cli.cluster import where_of
    from pipelines.launch_kubeflow import KubeflowLauncher

    place, (host, token) = read_cluster(cluster), api
    if host is not None:  # the file's token and CA are of the machine that submits
        place = replace(place, api=Api(host=host))
    where_of("readapt", place)  # a host that is missing is told before anything is served
    return KubeflowLauncher(load(preset, overrides), place, lambda: where_of("readapt", place, token_file=token))


def serve(
    out: Path | None,
    database: str | None,
    host: str,
    port: int,
    overrides: Sequence[str],
    launcher_of: Callable[[Config, Path | None], Launcher | None],
    told: Callable[[str], None],
) -> None:
    """Serve the webhook until SIGTERM.

    Args:
        out: a run whose config and database it takes; `None`: `database` is named.
        launcher_of: makes what starts runs.
        told: called with a line once it listens.

    Raises:
        ConfigError, SecretError: a setting, key or address that cannot be used.
    """
    import socket

    from crossmix.config import ConfigError
    from crossmix.listening import is_loopback
    from monitoring import keys
    from monitoring.server import Opening, run, troubles
    from monitoring.starts import Nudge, Starter, loop_of
    from monitoring.webhook import Intake, application
    from pipelines.cli.monitor import database_of
    from pipelines.cli.serve import clock_for

    config = _config(out, database, overrides, "a webhook")
    settings = config.alerts.webhook
    signing = keys.signing("alerts.webhook.secret", settings.secret_file, settings.secret_env)
    tokens = keys.bearer("alerts.webhook.bearer", settings.bearer_file, settings.bearer_env)
    if not tokens() and not is_loopback(host):
        raise ConfigError(
            f"--host {host}: others can reach it, so readers need a token; set alerts.webhook.bearer_file, or "
            f"{settings.bearer_env}"
        )
    store = Opening(database_of(config, out, database), clock_for(config))
    launcher = launcher_of(config, out)
    loop = loop_of(Starter(store, launcher, settings, f"{socket.gethostname()}:{port}"), settings)
    missing = (
        "none, for neither a run's folder nor a cluster is named: runs are kept and wait" if launcher is None else None
    )

    def away() -> list[dict[str, str]]:
        parts = [("database", store.trouble), ("launcher", missing), ("secret", signing.trouble)]
        return troubles([*parts, ("bearer", tokens.trouble), (loop.name, loop.trouble)])

    intake = Intake(store=store, settings=settings, keys=signing, tokens=tokens, opened=Nudge(loop), troubles=away)
    waits = "" if missing is None else f"; launcher: {missing}"
    greeting = "webhook at http://{}:{} (POST /alerts, /alertmanager; GET /runs), SIGTERM ends it"
    try:
        run(application(intake), host, port, [loop], lambda bound: told(greeting.format(host, bound) + waits))
    finally:
        store.close()


def rotated(file: Path, *, add: bool, drop: bool) -> str:
    """Write a file of keys anew: a new one, one in front of the old, or the first alone; a line about it.

    Raises:
        ConfigError: the file is there already, is not there, or cannot be written.
        SecretError: what is there cannot be used.
    """
    from crossmix import files
    from crossmix.config import ConfigError
    from monitoring import keys, signed

    if add and drop:
        raise ConfigError("--add, --drop: name one; add first, and drop once every side has the new key")
    if not (add or drop):
        if file.exists():
            raise ConfigError(f"{file}: is there already; rotate it with --add, or name another file")
        kept = []
    else:
        keys.signing("secret", str(file), None)  # usable, or an error
        lines = [line.strip() for line in file.read_text().splitlines()]
        kept = [line for line in lines if line and not line.startswith("#")][:1]
    made = kept if drop else [signed.new_secret(), *kept]
    try:
        files.write(file, "\n".join(made) + "\n", durable=True, mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from None
    return f"{file}: {len(made)} key{'s' if len(made) > 1 else ''}"


def undelivered(
    out: Path | None, database: str | None, overrides: Sequence[str], *, retry: bool, deliver: bool
) -> list[Letter]:
    """What is parked or waits, after `retry` and `deliver` where asked for.

    Raises:
        ConfigError: neither a run nor a database is named, or a target or the database cannot be used.
    """
    from crossmix.clock import wall
    from crossmix.ledger import outbox as ledger
    from monitoring.outbox import Courier
    from monitoring.targets import destinations
    from pipelines.cli.database import opened
    from pipelines.cli.monitor import database_of
    from pipelines.cli.serve import clock_for

    config = _config(out, database, overrides, "the outbox")
    where = destinations(config) if deliver else []
    with opened(database_of(config, out, database), clock_for(config)) as store:
        if retry:
            ledger.release(store, wall())
        for destination in where:
            Courier(lambda: store, destination, config.alerts).round()
        return ledger.undelivered(store)


def table(letters: Sequence[Letter]) -> str:
    """The letters for people."""
    if not letters:
        return "every alert was acknowledged"
    return "\n".join(
        f"{'PARKED' if letter.parked else 'waits':<6}  {letter.target}  {letter.campaign_id}  "
        f"{letter.alert_id[:12]}  {letter.attempts} tries  {letter.trouble or ''}".rstrip()
        for letter in letters
    )


def _config(out: Path | None, database: str | None, overrides: Sequence[str], what: str) -> Config:
    from crossmix.config import ConfigError, load
    from crossmix.ledger.where import VARIABLE
    from pipelines.cli.serve import run_with

    if out is None and database is None and not os.environ.get(VARIABLE):
        raise ConfigError(f"monitor: name the folder of a run that was served, --database URL, or {VARIABLE}")
    keys = ("alerts.*", "serving.database", "serving.clock")
    return load("laptop", overrides) if out is None else run_with(out, overrides, what, keys)
