"""What a file adds by being there: a source, a learner, a gate or a monitor is one file of its package, and no more.

A file declares what it adds by a call at its top level, with the name as a literal:

    SOURCES.register(Source(name="kuairand", label="KuaiRand's standard logs", read=read))

`declared` reads those calls without importing the files, so that a config can be checked, and `--help` can list names,
in milliseconds: arguments that are literals are known from it. `Registered.get` imports the one file that is asked for.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "data.source": "crossmix.sources",
        "train.agent": "crossmix.agents",
        "gates.required": "crossmix.evaluate.gates",
        "creators.gates.required": "crossmix.creators.gates",
        "monitor.watch": "monitoring",
    }
)
"""Config keys whose values are names that files declare, and the package of those files."""


class Named(Protocol):
    """What can be registered: a thing with a name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a file says of a thing before anybody imports it."""

    name: str
    module: str
    """Dotted name of the file."""
    literals: Mapping[str, Any]
    """The arguments that are literals, by keyword."""


class UnknownNameError(ValueError):
    """Nothing is registered under a name; the message lists what is."""


@cache
def declared(package: str) -> Mapping[str, Declaration]:
    """Everything that the files of a package declare, by name, in the order of files and of lines.

    Raises:
        ValueError: two declarations share a name, or one has no literal name.
    """
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    things: dict[str, Declaration] = {}
    for file in sorted(path for folder in folders for path in Path(folder).glob("*.py")):
        module = package if file.stem == "__init__" else f"{package}.{file.stem}"
        for literals in _calls(file):
            name = literals["name"]
            if name in things:
                raise ValueError(f"{name!r}: declared by {things[name].module} and by {module}; rename one of them")
            things[name] = Declaration(name, module, MappingProxyType(literals))
    return MappingProxyType(things)


def _calls(file: Path) -> list[dict[str, Any]]:
    """The literal arguments of a file's top-level calls `….register(Thing(name="…", …))`."""
    source = file.read_text(encoding="utf-8")
    if ".register(" not in source:
        return []
    calls = []
    for statement in ast.parse(source).body:
        call = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr) else None
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "register"):
            continue
        thing = call.args[0] if call.args else None
        literals = {}
        for item in thing.keywords if isinstance(thing, ast.Call) else ():
            with suppress(ValueError):  # an expression: known once the file is imported
                literals[str(item.arg)] = ast.literal_eval(item.value)
        if not isinstance(literals.get("name"), str):
            raise ValueError(f"{file}:{statement.lineno}: what is registered needs name= as a literal")
        calls.append(literals)
    return calls


def choices() -> dict[str, tuple[str, ...]]:
    """What each key of `PACKAGES` may name."""
    return {key: tuple(declared(package)) for key, package in PACKAGES.items()}


class Registered(Generic[T]):
    """Everything of one kind."""

    def __init__(self, kind: str, package: str) -> None:
        """`kind`: what an error calls it, as "source"; `package`: whose files declare them, dotted."""
        self.kind, self.package = kind, package
        self._things: dict[str, T] = {}

    def register(self, thing: T) -> T:
        """Add a thing under its name; the file that is imported again replaces its own."""
        self._things[thing.name] = thing
        return thing

    def names(self) -> tuple[str, ...]:
        """All names, without an import."""
        return tuple(dict.fromkeys([*declared(self.package), *self._things]))

    def get(self, name: str) -> T:
        """The thing of that name; imports its file.

        Raises:
            UnknownNameError: there is none; the message lists what there is.
        """
        if name not in self._things:
            declaration = declared(self.package).get(name)
            if declaration is None:
                raise UnknownNameError(f"{self.kind}: {name!r} is unknown; use one of {', '.join(self.names())}")
            importlib.import_module(declaration.module)
        return self._things[name]

    def all(self) -> tuple[T, ...]:
        """Every thing; imports every file."""
        return tuple(self.get(name) for name in self.names())
