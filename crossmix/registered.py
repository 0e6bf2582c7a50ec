"""What a file adds by being there: a source, a learner, a gate, a monitor is one file of its package, and no other edit.

A file declares what it adds by a call at its top level, with the name as a literal:

    SOURCE = SOURCES.register(Source(name="kuairand", ...))

`declared` reads those calls without importing the files, so that a config can be checked, and `--help` can list names,
in milliseconds; `Registered.get` imports the one file that is asked for.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar


class Named(Protocol):
    """What can be registered: a thing with a name."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class UnknownNameError(ValueError):
    """Nothing is registered under a name; the message lists what is."""


@cache
def declared(package: str) -> Mapping[str, str]:
    """Name to module of everything that the files of a package declare, in the order of files and of lines.

    Raises:
        ValueError: two declarations share a name, or one has no literal name.
    """
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    modules: dict[str, str] = {}
    for file in sorted(path for folder in folders for path in Path(folder).glob("*.py")):
        for name in _names(file):
            module = package if file.stem == "__init__" else f"{package}.{file.stem}"
            if name in modules:
                raise ValueError(f"{name!r}: declared by {modules[name]} and by {module}; rename one of them")
            modules[name] = module
    return MappingProxyType(modules)


def _names(file: Path) -> list[str]:
    """The literal names of a file's top-level calls `….register(Thing(name="…", …))`."""
    source = file.read_text(encoding="utf-8")
    if ".register(" not in source:
        return []
    names = []
    for statement in ast.parse(source).body:
        call = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr) else None
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "register"):
            continue
        thing = call.args[0] if call.args else None
        keywords = thing.keywords if isinstance(thing, ast.Call) else []
        literal = next((item.value for item in keywords if item.arg == "name"), None)
        if not (isinstance(literal, ast.Constant) and isinstance(literal.value, str)):
            raise ValueError(f"{file}:{statement.lineno}: what is registered needs name= as a literal")
        names.append(literal.value)
    return names


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
            module = declared(self.package).get(name)
            if module is None:
                raise UnknownNameError(f"{self.kind}: {name!r} is unknown; use one of {', '.join(self.names())}")
            importlib.import_module(module)
        return self._things[name]

    def all(self) -> tuple[T, ...]:
        """Every thing; imports every file."""
        return tuple(self.get(name) for name in self.names())
