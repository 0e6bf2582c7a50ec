"""`crossmix compile|submit`: the pipelines as Kubeflow's IR, and runs of them on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.readable import readable_errors

if TYPE_CHECKING:
    from crossmix.config.cluster import Cluster
    from pipelines.submit import Kind, Where

TOKEN = "CROSSMIX_KFP_TOKEN"
Name = Annotated[str, typer.Argument(metavar="training|readapt|online", help="Which pipeline.")]
Place = Annotated[
    Path | None, typer.Option("--cluster", metavar="FILE", help="The place's file; k8s/cluster.toml is an example.")
]


def compile_(
    pipeline: Name = "training",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("pipeline.yaml"),
    cluster: Place = None,
    task: Annotated[str, typer.Option(help="Of which task the training is: split or creators.")] = "split",
    image: Annotated[str | None, typer.Option(help="Image of every step, by digest, without --cluster.")] = None,
    gpus: Annotated[
        int, typer.Option(min=0, help="NVIDIA GPUs of the train step, one per rank, without --cluster; 0: none.")
    ] = 4,
) -> None:
    """Write a pipeline as Kubeflow's IR."""
    with readable_errors():
        from pipelines.submit import pipeline_of
        from pipelines.wiring import write

        one = pipeline_of(pipeline, task)
        write(one, out, image, gpus if pipeline == "training" else 0, _place(cluster, image))
        print(out)


def submit(
    pipeline: Name = "training",
    host: Annotated[
        str | None, typer.Option(help="Address of the Kubeflow Pipelines API; the file's api.host.")
    ] = None,
    cluster: Place = None,
    preset: Annotated[str, typer.Option(help="paper: the paper's sizes; laptop: small ones.")] = "paper",
    source: Annotated[str | None, typer.Option(help="Where the log comes from, as criteo.")] = None,
    data: Annotated[str | None, typer.Option(help="The log's file or folder, as the steps see it.")] = None,
    log: Annotated[
        str | None,
        typer.Option(help="Stands for the log's content where this machine cannot read it, as its sha256sum."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the run or schedule in Kubeflow; by its content if absent.")
    ] = None,
    upload: Annotated[bool, typer.Option("--upload", help="Upload a version instead of starting a run.")] = False,
    schedule: Annotated[
        str | None,
        typer.Option(metavar="CRON", help="A run at these times instead, UTC: six fields, as '0 30 4 * * *'."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Of the run, where Kubeflow has many users; the file's.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--service-account", help="Of the run's pods; the file's `accounts`.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help=f"File of a bearer token; the file's api.token, or the variable {TOKEN}.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificate of the API's CA; the file's api.ca.")] = None,
    store: Annotated[
        str | None, typer.Option(help="A folder that all steps share, without --cluster, for reuse and resume.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="Image of every step, by digest, without --cluster.")] = None,
    gpus: Annotated[
        int | None,
        typer.Option(min=0, help="NVIDIA GPUs of the train step, without --cluster; one per rank (train.ranks)."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one config key, as data.cycle_hours=1; repeatable."),
    ] = None,
) -> None:
    """Start a pipeline on a cluster, once: the same again finds the run that is there. Prints its id."""
    with readable_errors():
        import sys

        from crossmix.config import ConfigError, load
        from pipelines.submit import pipeline_of
        from pipelines.submit import submit as start

        if upload and schedule is not None:
            raise ConfigError("--upload, --schedule: name one; a schedule needs no uploaded version")
        place = _place(cluster, image)
        named = [f"data.source={source}"] if source else []
        named += [f"data.path={data}"] if data else []
        config = load(preset, [*named, *(set_ or ())])
        one = pipeline_of(pipeline, config.task)
        kind: Kind = "version" if upload else "run" if schedule is None else "schedule"
        where = where_of(pipeline, place, host, namespace, account, token_file, ca)
        done = start(
            one,
            config,
            where,
            place=place,
            kind=kind,
            cron=schedule,
            name=name,
            log=log,
            store=store,
            image=image,
            gpus=gpus,
        )
        there = "" if done.fresh else ", which was there already"
        note = f"; {done.note}" if done.note else ""
        print(f"{done.kind} {done.name}{there}{note}", file=sys.stderr)
        print(done.id)


def _place(cluster: Path | None, image: str | None) -> Cluster | None:
    if cluster is None:
        return None
    from crossmix.config import ConfigError, read_cluster

    if image is not None:
        raise ConfigError(f"--image {image}: the images are those of --cluster {cluster}; drop one")
    return read_cluster(cluster)


def where_of(
    pipeline: str,
    place: Cluster | None,
    host: str | None = None,
    namespace: str | None = None,
    account: str | None = None,
    token_file: Path | None = None,
    ca: Path | None = None,
) -> Where:
    """The API, and as whom: what the command line says, else the place's file.

    Raises:
        ConfigError: no host is named, or a file is not there.
    """
    from crossmix.config import ConfigError
    from pipelines.submit import Where

    api = None if place is None else place.api
    host = host or (api.host if api else None)
    if host is None:
        raise ConfigError("--host: name the address of the Kubeflow Pipelines API, here or as api.host of --cluster")
    authority = ca or (Path(api.ca) if api and api.ca else None)
    if authority is not None and not authority.is_file():
        raise ConfigError(f"--ca {authority}: is no file; name the CA's certificate")
    return Where(
        host=host,
        namespace=namespace or (place.namespace if place else None),
        token=_token(token_file or (Path(api.token) if api and api.token else None)),
        ca=authority,
        account=account or (place.account_of(pipeline) if place else None),
    )


def _token(file: Path | None) -> str | None:
    import os

    from crossmix.config import ConfigError

    if file is None:
        return os.environ.get(TOKEN) or None
    try:
        token = file.read_text().strip()
    except OSError as error:
        raise ConfigError(f"--token-file {file}: cannot be read ({error.strerror}); name a token's file") from None
    if not token:
        raise ConfigError(f"--token-file {file}: is empty; write the bearer token into it")
    return token
