"""Registration: names are read without an import, a thing comes with its file, a name is given once."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from crossmix.registered import Registered, UnknownNameError, declared


@dataclass(frozen=True)
class Thing:
    name: str
    size: int = 0


HEAD = "from tests.unit.crossmix.test_registered import Thing\nfrom {package} import THINGS\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of two files that declare three things."""
    name = f"things_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text(
        f"from crossmix.registered import Registered\nTHINGS = Registered('thing', {name!r})\n"
    )
    head = HEAD.format(package=name)
    (folder / "b.py").write_text(head + "ONE = THINGS.register(Thing(name='one', size=1))\n")
    (folder / "a.py").write_text(
        head + "THINGS.register(Thing(name='two', size=2))\nx: Thing = THINGS.register(Thing(name='three', size=3))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    declared.cache_clear()
    yield name
    declared.cache_clear()


def things(package: str) -> Registered[Thing]:
    found: Registered[Thing] = __import__(package).THINGS
    return found


def test_names_are_read_without_an_import(package: str) -> None:
    modules = {name: thing.module for name, thing in declared(package).items()}
    assert modules == {"two": f"{package}.a", "three": f"{package}.a", "one": f"{package}.b"}
    assert declared(package)["two"].literals == {"name": "two", "size": 2}
    assert things(package).names() == ("two", "three", "one")
    assert f"{package}.a" not in sys.modules


def test_a_thing_comes_with_its_own_file_alone(package: str) -> None:
    assert things(package).get("one").size == 1
    assert f"{package}.b" in sys.modules
    assert f"{package}.a" not in sys.modules
    assert [thing.size for thing in things(package).all()] == [2, 3, 1]


def test_an_unknown_name_is_one_sentence(package: str) -> None:
    with pytest.raises(UnknownNameError, match="thing: 'four' is unknown; use one of two, three, one"):
        things(package).get("four")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("THINGS.register(Thing(name='one'))", "'one': declared by .*a and by .*b; rename one of them"),
        ("THINGS.register(Thing(name='o' + 'ne'))", "needs name= as a literal"),
    ],
)
def test_a_declaration_that_cannot_be_read_is_refused(package: str, line: str, message: str) -> None:
    file = Path(sys.path[0], package, "a.py")
    file.write_text(HEAD.format(package=package) + line + "\n")
    declared.cache_clear()
    with pytest.raises(ValueError, match=message):
        declared(package)
