"""The deploy step: servers are rolled out where there is a cluster, then a running one is asked to take the challenger,
and asked until its answer says so."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Literal

from crossmix.artifacts import Deployment, ReadaptationJudged, Registration
from crossmix.config import Config
from serving.http.client import AwayError, Client, RefusedError
from serving.rollout import Place, roll_out

CONFIRM_SECONDS = 30.0
TOKEN = "CROSSMIX_TOKEN"
"""Variable: bearer token, where the server asks for one."""
CHAMPION = "champion"
"""The registry's alias."""
NO_SUCH_ROUTE, STANDS_AGAINST = (404, 405), 409


class DeployError(ValueError):
    """The server is away, or refuses; the message says what has changed by then."""


def deploy(config: Config, registration: Path, evaluation: Path, out: Path) -> Deployment:
    """Roll out, then ask for the challenger's canary, or where it is champion, until the server answers with it.

    Without a cluster (`serving.rollout.Place.of_environment`) nothing is rolled out, which the report says.

    Args:
        registration: what the register step wrote.
        evaluation: what the gate of training or of the re-adaptation wrote.

    Raises:
        DeployError: the server is away, refuses, or serves another version on; the same step again asks anew.
        RolloutError: it could not be rolled out; what was there before is applied again.
    """
    version, judged = Registration.load(registration), ReadaptationJudged.found(evaluation)
    rolled = _rolled_out(config, version)
    state, detail = _trained(version) if judged is None else _asked(config, version, judged)
    report = Deployment(version=version.version, state=state, detail=detail, rollout=rolled)
    report.save(out)
    return report


def _rolled_out(config: Config, version: Registration) -> str:
    place = Place.of_environment()
    if place is None:
        return "nothing was rolled out: no cluster is named (CROSSMIX_SERVE_IMAGE)"
    return roll_out(place, config, version.version, CHAMPION in version.aliases)


def _trained(version: Registration) -> tuple[Literal["champion", "waits"], str]:
    """What a training registered: the first champion, or one that waits for `crossmix promote` or a canary."""
    return "champion" if CHAMPION in version.aliases else "waits", version.note


def _asked(
    config: Config, version: Registration, judged: ReadaptationJudged
) -> tuple[Literal["canary", "champion", "waits"], str]:
    settings, direct = config.readapt, config.readapt.promote == "directly"
    if direct and "champion" not in version.aliases:
        return "waits", version.note
    if settings.server is None:
        if direct:
            return "champion", f"{version.note}; no server was asked: readapt.server names none"
        return "waits", "no server was asked for a canary: readapt.server names none"
    client = Client(settings.server, os.environ.get(TOKEN))
    try:
        if direct:
            return "champion", _confirmed(client, settings.server, version)
        return _canary(client, settings.server, version, judged)
    except AwayError as error:
        raise DeployError(
            f"readapt.server {settings.server}: {error}; version {version.version} is registered and waits: start the "
            "server, then run again"
        ) from None
    except RefusedError as error:
        hint = f"; set {TOKEN}" if error.status == 401 else ""
        raise DeployError(
            f"readapt.server {settings.server}: {error}{hint}; version {version.version} is registered and waits"
        ) from None


def _canary(
    client: Client, server: str, version: Registration, judged: ReadaptationJudged
) -> tuple[Literal["canary", "waits"], str]:
    """Begin it; a server that tries this version already is as good."""
    low, high = judged.lead.ci95
    reason = f"re-adapted from version {judged.version}: {judged.lead.mean:+.4f} [{low:+.4f}, {high:+.4f}] expected"
    try:
        row = client.ask("POST", ["canary"], body={"version": version.version}, query={"reason": reason})
    except RefusedError as error:
        if error.status in NO_SUCH_ROUTE:
            return "waits", f"{server} knows no canaries; `crossmix promote` makes version {version.version} champion"
        if error.status != STANDS_AGAINST:
            raise
        running = _running(client)
        if running is None or running["version"] != version.version:
            return "waits", str(error)
        row = running
    return "canary", f"{server} tries version {row['version']} on {row['part']:.0%} of the policy's users"


def _running(client: Client) -> dict[str, Any] | None:
    newest: dict[str, Any] | None = client.ask("GET", ["canary"])["canary"]
    return newest if newest is not None and newest["ended"] is None else None


def _confirmed(client: Client, server: str, version: Registration) -> str:
    deadline = time.monotonic() + CONFIRM_SECONDS
    while True:
        answer = client.ask("POST", ["serving", "refresh"])
        if answer["version"] == version.version:
            return f"{server} answers with version {version.version}, bundle {answer['bundle'][:12]}"
        if time.monotonic() > deadline:
            why = "; ".join(one["why"] for one in answer["degraded"]) or "it follows another registry"
            raise DeployError(
                f"readapt.server {server}: champion is version {version.version} now, but it serves version "
                f"{answer['version']} on ({why}); it follows by itself once it can"
            )
        time.sleep(0.2)
