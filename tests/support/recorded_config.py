"""A config that records what is read of it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from crossmix.config import Config


def covers(declared: str, key: str) -> bool:
    """Whether a section or key that a step declares has this leaf below it."""
    return f"{key}.".startswith(f"{declared}.")


def recorded(config: Config) -> tuple[Config, set[str]]:
    """The same config, and the dotted keys of every leaf that somebody has read of it since.

    A section that is handed on, or put into another config by `replace`, goes on recording; only leaves count.
    """
    reads: set[str] = set()
    return _recording(config, "", reads), reads


def _recording(part: Any, prefix: str, reads: set[str]) -> Any:
    kind = type(part)
    names = {item.name for item in fields(part)}

    def read(self: Any, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name in names and not is_dataclass(value):
            reads.add(prefix + name)
        return value

    recorder = type(kind.__name__, (kind,), {"__slots__": (), "__getattribute__": read})
    values = {name: getattr(part, name) for name in names}
    return recorder(
        **{
            name: _recording(value, f"{prefix}{name}.", reads) if is_dataclass(value) else value
            for name, value in values.items()
        }
    )
