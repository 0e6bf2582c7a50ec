"""`constraints.txt` is a lock: it pins all that `make setup` installs, and nothing beside what an extra asks for."""

from __future__ import annotations

import importlib.util
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INSTALLED_EXTRAS = ("steps", "dev", "bench", *(("spark",) if importlib.util.find_spec("pyspark") else ()))
"""The extras that `make setup` installs; continuous integration has Spark too (`EXTRAS`)."""
INSTALLERS = ("pip", "setuptools")
"""What `make setup` installs first; nothing need ask for it."""


def pins(text: str) -> dict[str, str]:
    """The lock: version by canonical name. Each line is `name==version` and nothing else."""
    pinned: dict[str, str] = {}
    for line in text.splitlines():
        name, version = line.split("==")
        assert canonicalize_name(name) not in pinned, f"{name} is pinned twice"
        assert str(Requirement(line).specifier) == f"=={version}", line
        pinned[canonicalize_name(name)] = version
    return pinned


PINS = pins((ROOT / "constraints.txt").read_text())


def requirements(*extras: str) -> list[Requirement]:
    """What `pyproject.toml` asks for: its dependencies and those of `extras`."""
    named = [*PROJECT["dependencies"], *(line for name in extras for line in PROJECT["optional-dependencies"][name])]
    return [Requirement(line) for line in named]


def closure(asked: list[Requirement]) -> dict[str, list[Requirement]]:
    """All packages that `asked` leads to in this environment: who asks for each, by canonical name."""
    reached: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = list(asked)
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        reached.setdefault(name, []).append(requirement)
        if (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        for line in metadata.requires(requirement.name) or []:
            needed = Requirement(line)
            environments = [{"extra": extra} for extra in ("", *requirement.extras)]
            if needed.marker is None or any(needed.marker.evaluate(each) for each in environments):
                queue.append(needed)
    return reached


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_what_the_project_asks_for_is_pinned_to_a_version_it_accepts(extra: str) -> None:
    wrong = [
        str(requirement)
        for requirement in (requirements(extra) if extra else requirements())
        if canonicalize_name(requirement.name) not in PINS
        or not requirement.specifier.contains(PINS[canonicalize_name(requirement.name)], prereleases=True)
    ]
    assert wrong == []


def test_everything_that_is_installed_on_the_way_is_pinned_and_has_the_pinned_version() -> None:
    wrong = {}
    for name, asking in closure(requirements(*INSTALLED_EXTRAS)).items():
        installed = Version(metadata.version(name)).public
        # torch asks for the libraries of its own build by exact version: those need no pin here.
        exact = any(clause.operator == "==" for requirement in asking for clause in requirement.specifier)
        if PINS.get(name) != installed and not (name not in PINS and exact):
            wrong[name] = (installed, PINS.get(name))
    assert wrong == {}


def test_no_pin_is_left_of_a_package_that_nothing_asks_for() -> None:
    reached = closure(requirements(*INSTALLED_EXTRAS))
    installed = {canonicalize_name(each.name) for each in metadata.distributions()}
    assert sorted((PINS.keys() & installed) - reached.keys() - set(INSTALLERS)) == []


@pytest.mark.parametrize("text", ["torch>=2\n", "torch==2.13.0\ntorch==2.12.0\n", "--index-url x\n", "torch\n"])
def test_a_line_that_pins_nothing_is_found(text: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        pins(text)
