"""Promotion and roll-back of a kind beside the split: a server is asked before anything moves, and until it follows."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from crossmix.bundle import BundleError
from crossmix.config import ConfigError
from pipelines.cli import champion
from pipelines.environment import REGISTRY

ONE, TWO = "1" * 64, "2" * 64


@dataclass(frozen=True)
class Version:
    number: int
    digest: str
    note: str = ""


@dataclass
class Registry:
    """Two versions of kind creators; the second is champion."""

    kind: str = "creators"
    champion: int = 2
    broken: bool = False
    moved: list[int] = field(default_factory=list)

    def versions(self) -> list[Version]:
        return [Version(1, ONE), Version(2, TWO)]

    def get(self, name: str | int) -> Version:
        return self.versions()[(self.champion if name == "champion" else int(name)) - 1]

    def fetch(self, number: int, target: Path) -> None:
        if self.broken:
            raise BundleError("catalogue.npz: missing; fetch the bundle again")

    def promote(self, number: int, **_: Any) -> Version:
        self.champion = number
        self.moved.append(number)
        return self.get(number)


def served(version: int | None = 2, bundle: str | None = TWO, trouble: str | None = None) -> dict[str, Any]:
    """What `/serving` tells; the split's own is another."""
    kinds = [{"kind": "creators", "version": version, "bundle": bundle, "since": 1.0, "trouble": trouble}]
    return {"version": 7, "bundle": "7" * 64, "platforms": [], "degraded": [], "kinds": kinds}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    made = Registry()
    monkeypatch.setattr(champion, "_registry", lambda out: made)
    return made


def promote(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any]) -> str:
    """Version 1 in place of 2, where the server answers so, one after the other, the last for good."""
    left = list(answers)
    monkeypatch.setattr(champion, "ask", lambda *_: left.pop(0) if len(left) > 1 else left[0])
    monkeypatch.setattr(champion, "CONFIRM_SECONDS", 0.0)
    return champion.promote(Path("out"), "1", "tried", "http://server")


def test_the_kinds_own_version_is_waited_for(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    said = promote(monkeypatch, served(), served(1, ONE))
    assert said == f"champion is version 1 now (was 2); http://server answers with version 1, bundle {ONE[:12]}"
    assert registry.moved == [1]


def test_a_server_without_a_champion_yet_is_asked_all_the_same(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "answers with version 1" in promote(monkeypatch, served(None, None), served(1, ONE))


@pytest.mark.parametrize(
    ("answer", "broken", "says"),
    [
        (served() | {"kinds": []}, False, "it serves nothing of kind creators; nothing has changed"),
        ({"degraded": [], "version": 7}, False, "it serves nothing of kind creators; nothing has changed"),
        (served(trouble="registry: connection refused"), False, "it cannot reach the registry (registry: connection"),
        (served(bundle="9" * 64), False, "it serves bundle 999999999999, which is not this registry's"),
        (served(), True, "version 1: its bundle cannot be used (catalogue.npz: missing"),
    ],
)
def test_nothing_moves_where_the_server_could_not_follow(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], broken: bool, says: str
) -> None:
    registry.broken = broken
    with pytest.raises(ConfigError) as told:
        promote(monkeypatch, answer)
    assert says in str(told.value)
    assert registry.moved == []


def test_a_version_that_is_starting_is_waited_for_longer(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    starting = served()
    starting["kinds"][0]["coming"] = 1
    assert "answers with version 1" in promote(monkeypatch, served(), starting, starting, served(1, ONE))
    monkeypatch.setattr(champion, "STARTING_SECONDS", 0.0)
    with pytest.raises(ConfigError, match=r"serves version 2 on \(version 1 is still starting; the same"):
        promote(monkeypatch, served(), starting)


def test_another_that_is_starting_is_waited_for_too_and_named(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server starts one after the other: version 2 first, although version 1 is champion by now."""
    other, own = served(None, None), served(None, None)
    other["kinds"][0]["coming"], own["kinds"][0]["coming"] = 2, 1
    said = promote(monkeypatch, served(None, None), other, other, own, own, served(1, ONE))
    assert said.endswith(f"answers with version 1, bundle {ONE[:12]}")
    monkeypatch.setattr(champion, "STARTING_SECONDS", 0.0)
    registry.champion = 2
    with pytest.raises(ConfigError) as told:
        promote(monkeypatch, served(None, None), other)
    assert (
        "serves version None on (version 2 is still starting, version 1 comes after it; the same command again asks "
        "anew)"
    ) in str(told.value)
    assert "another registry" not in str(told.value)


def test_a_registry_that_is_away_is_not_waited_for_by_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise ConfigError(str({name: os.environ.get(name) for name in REGISTRY}))

    for name in REGISTRY:
        monkeypatch.setenv(name, "")  # so that it is unset again afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(champion, "run_with", read)
    with pytest.raises(ConfigError) as told:
        champion.promote(Path("out"), "1", "tried", None)
    assert str(told.value) == str(dict(REGISTRY))


def test_a_server_that_does_not_follow_is_told_with_its_reason(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = served(trouble="bundle: version 1 is refused, the last good one serves (seal)")
    with pytest.raises(ConfigError) as told:
        promote(monkeypatch, served(), refused)
    assert "champion is version 1 now (was 2), but --server http://server serves version 2 on (bundle:" in str(
        told.value
    )
    assert str(told.value).endswith("; crossmix promote OUT 2 --reason ... puts it back")
