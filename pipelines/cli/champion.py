"""`crossmix promote` and `crossmix rollback`: another champion, live.

The server is asked before anything moves: is it there, may the caller, does it follow this registry, can it take the
version. Then the registry's aliases move, then the server is asked until it answers with the version. Every message
says what has changed by then, and the same command again ends in the same state.
"""

from __future__ import annotations

import getpass
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crossmix.config import ConfigError
from pipelines.cli.client import AskError, ask
from pipelines.cli.serve import run_with
from pipelines.environment import bound_registry

CONFIRM_SECONDS = 30.0
STARTING_SECONDS = 150.0
"""The same for each version that the server says it is starting: it starts one after the other."""
UNMOVED = "nothing has changed"


def promote(out: Path, version: str, reason: str, server: str | None, token: str | None = None) -> str:
    """Make a version champion, then ask the server until it answers with it.

    Raises:
        RegistryError: no such version, or somebody else moved the champion meanwhile.
        ConfigError, AskError: the server; the message says what has changed.
    """
    registry = _registry(out)
    target = registry.get(version)

    def move(champion: int | None) -> Any:
        return registry.promote(target.number, actor=getpass.getuser(), reason=reason, over=champion)

    return _change(registry, target, move, server, token)


def rollback(out: Path, reason: str, server: str | None, token: str | None = None, of: int | None = None) -> str:
    """Make the previous champion champion again, then ask the server until it answers with it.

    Args:
        of: version to take out; `None`: the champion, unless a rollback made it champion: then it is done already.

    Raises:
        RegistryError: nothing to roll back to.
        ConfigError, AskError: the server; the message says what has changed.
    """
    registry = _registry(out)
    if of is not None:
        registry.get(of)
    target = registry.rollback_target(of)

    def move(champion: int | None) -> Any:
        return registry.rollback(actor=getpass.getuser(), reason=reason, of=champion)

    return _change(registry, target, move, server, token)


def _registry(out: Path) -> Any:
    from crossmix.ledger.where import database_of
    from crossmix.registry.shared import shared
    from crossmix.registry.store import Registry

    bound_registry()
    config = run_with(out, ())
    return shared(Registry.of(config, out), database_of(config.serving))


def _change(
    registry: Any, target: Any, move: Callable[[int | None], Any], server: str | None, token: str | None
) -> str:
    """What has happened, in a sentence.

    Args:
        target: the version that is to serve.
        move: makes it champion in place of the version that is.
    """
    before = _champion(registry)
    if server is not None:
        try:
            _check_server(registry, target, server, token)
        except (AskError, ConfigError) as error:
            if before != target.number:
                raise
            raise type(error)(f"version {target.number} is champion already; {error}") from None
    done = f"version {target.number} was champion already"
    if before == target.number:
        done += f" ({target.note})" if target.note else ""
    else:
        moved = move(before)
        if moved.number != target.number:
            raise ConfigError(f"version {moved.number} is champion by now, not {before}; {UNMOVED}: look again")
        done = f"champion is version {target.number} now (was {before})"
    if server is None:
        return f"{done}; no server was asked: name one with --server"
    return _confirm(done, before, target, server, token, registry.kind)


def _champion(registry: Any) -> int | None:
    from crossmix.registry.mlflow_door import RegistryError
    from crossmix.registry.store import CHAMPION

    try:
        number: int = registry.get(CHAMPION).number
    except RegistryError:
        return None
    return number


def _check_server(registry: Any, target: Any, server: str, token: str | None) -> None:
    """Raise where the server could not follow to the target; nothing has changed by then."""
    from crossmix.bundle import BundleError

    try:
        answer = ask(server, token, "POST", ["serving", "refresh"])
    except AskError as error:
        raise AskError(f"{error}; {UNMOVED}") from None
    why = next((one["why"] for one in answer["degraded"] if one["what"] == "registry"), "")
    if why.startswith("registry:"):
        raise ConfigError(f"--server {server}: it cannot reach the registry ({why}); {UNMOVED}")
    if registry.kind != "split":
        _check_kind(registry, target, server, answer)
        return
    serving = next((one for one in registry.versions() if one.digest == answer["bundle"]), None)
    if serving is None or (not why and serving.number != _champion(registry)):
        raise ConfigError(
            f"--server {server}: it serves bundle {answer['bundle'][:12]}, which is not this registry's champion: it "
            f"follows another registry; {UNMOVED}: name the folder of its run"
        )
    if serving.number == target.number:
        return
    try:
        with tempfile.TemporaryDirectory() as scratch:
            loaded = registry.fetch(target.number, Path(scratch) / "bundle")
    except BundleError as error:
        raise ConfigError(f"version {target.number}: its bundle cannot be used ({error}); {UNMOVED}") from None
    if list(loaded.platforms) != answer["platforms"]:
        raise ConfigError(
            f"version {target.number}: it was made for {', '.join(loaded.platforms)}, and --server {server} serves "
            f"{', '.join(answer['platforms'])}; {UNMOVED}: start a server of its own for it"
        )
    if loaded.layout.digest != serving.tags["layout_digest"]:
        raise ConfigError(
            f"version {target.number}: its state has layout {loaded.layout.label}, another than what --server {server} "
            f"serves; {UNMOVED}: start a server of its own for it"
        )


def _check_kind(registry: Any, target: Any, server: str, answer: Any) -> None:
    """Raise where a server that answers could not follow to the target of a kind beside the split."""
    from crossmix.bundle import BundleError

    told = _of_kind(registry.kind, answer)
    if told is None:
        raise ConfigError(f"--server {server}: it serves nothing of kind {registry.kind}; {UNMOVED}")
    trouble = told["trouble"] or ""
    if trouble.startswith("registry:"):
        raise ConfigError(f"--server {server}: it cannot reach the registry ({trouble}); {UNMOVED}")
    known = {one.digest for one in registry.versions()}
    if told["bundle"] is not None and told["bundle"] not in known:
        raise ConfigError(
            f"--server {server}: it serves bundle {told['bundle'][:12]}, which is not this registry's: it follows "
            f"another registry; {UNMOVED}: name the folder of its run"
        )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            registry.fetch(target.number, Path(scratch) / "bundle")
    except BundleError as error:
        raise ConfigError(f"version {target.number}: its bundle cannot be used ({error}); {UNMOVED}") from None


def _of_kind(kind: str, answer: Any) -> Any:
    """What a server tells at `/serving` of a kind; `None`: it does not serve it."""
    return next((one for one in answer.get("kinds", ()) if one["kind"] == kind), None)


def _confirm(done: str, before: int | None, target: Any, server: str, token: str | None, kind: str) -> str:
    """Ask the server until it answers with the target; raises, with what has changed, where it does not."""
    starting: int | None = None
    until = time.monotonic() + CONFIRM_SECONDS
    while True:
        try:
            answer = ask(server, token, "POST", ["serving", "refresh"])
        except AskError as error:
            raise AskError(
                f"{done}, but the server does not confirm it ({error}); it follows by itself once it can: the same "
                "command again changes nothing more and asks anew"
            ) from None
        told = answer if kind == "split" else _of_kind(kind, answer) or {"version": None, "trouble": None}
        if told["version"] == target.number:
            return f"{done}; {server} answers with version {told['version']}, bundle {told['bundle'][:12]}"
        if told.get("coming") != starting:
            starting = told.get("coming")
            until = time.monotonic() + (CONFIRM_SECONDS if starting is None else STARTING_SECONDS)
        if time.monotonic() > until:
            troubles = [one["why"] for one in answer["degraded"]] if kind == "split" else [told["trouble"] or ""]
            if starting is not None:
                turn = "" if starting == target.number else f", version {target.number} comes after it"
                troubles.append(f"version {starting} is still starting{turn}; the same command again asks anew")
            why = "; ".join(filter(None, troubles)) or "it follows another registry"
            undo = (
                "" if before in (None, target.number) else f"; crossmix promote OUT {before} --reason ... puts it back"
            )
            raise ConfigError(f"{done}, but --server {server} serves version {told['version']} on ({why}){undo}")
        time.sleep(0.2)
