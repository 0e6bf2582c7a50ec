"""How an artifact is read and written: strictly, whole or not at all, with an error that names the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Self, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError, model_validator

from crossmix import files

Number = int | float
"""Counts stay integers where they are; a spend history has fractions of conversions."""


class ArtifactError(ValueError):
    """A file of a run that cannot be read; the message names the file, what is wrong with it and the command."""


def _key(name: str) -> str:
    """A field's key in the file: `from_` is `from`."""
    return name.rstrip("_")


class Part:
    """Base of every dataclass in an artifact: unknown keys are an error.

    `OPEN` names the one field, a mapping, whose entries lie in the file beside the other keys: what a learner or a
    market names itself.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", alias_generator=_key)
    OPEN: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, content: Any) -> Any:
        """The file's content in the shape of the fields."""
        if not cls.OPEN or not isinstance(content, dict):
            return content
        names = {_key(field.name) for field in fields(cls)}  # type: ignore[arg-type]
        named = {key: value for key, value in content.items() if key in names}
        return named | {cls.OPEN: {key: value for key, value in content.items() if key not in names}}


class Artifact(Part):
    """One JSON file of a folder, as a dataclass; `FILE` is its name.

    A field that is `None` by default is left out of the file where it is `None`.
    """

    __slots__ = ()
    FILE: ClassVar[str]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """From plain data, as strictly as from the file.

        Raises:
            ArtifactError: a key is unknown or missing, or a value does not fit.
        """
        return cls._parsed(json.dumps(dict(content)), cls.FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the folder's file.

        Raises:
            ArtifactError: it is missing, no JSON, or its keys or values are not those of this version.
        """
        file = Path(folder) / cls.FILE
        try:
            return cls._parsed(file.read_text(), str(file))
        except FileNotFoundError:
            raise ArtifactError(f"{file}: missing; `crossmix run` writes it") from None

    @classmethod
    def found(cls, folder: Path | None) -> Self | None:
        """As `load`; `None` where there is no folder or no file."""
        return cls.load(folder) if folder is not None and (Path(folder) / cls.FILE).is_file() else None

    def plain(self) -> dict[str, Any]:
        """As the file has it."""
        return cast(dict[str, Any], _plain(self))

    def save(self, folder: Path, *, strict: bool = False) -> Path:
        """Write the folder's file, so that a reader sees the whole of it or none; its path.

        Args:
            strict: refuse NaN and infinity, which JSON does not have (`ValueError`).
        """
        text = json.dumps(self.plain(), indent=1, allow_nan=not strict) + "\n"
        file = Path(folder) / self.FILE
        files.write(file, text)
        return file

    @classmethod
    def _parsed(cls, text: str, where: str) -> Self:
        try:
            return cast(Self, _adapter(cls).validate_python(json.loads(text)))
        except ValidationError as error:
            raise ArtifactError(
                f"{where}: {_first(error)}; it is of another version of crossmix: write it anew with `crossmix run`"
            ) from None
        except ValueError as error:
            raise ArtifactError(f"{where}: not JSON ({error}); write it anew with `crossmix run`") from None


_ADAPTERS: dict[type[Artifact], TypeAdapter[Any]] = {}


def _adapter(kind: type[Artifact]) -> TypeAdapter[Any]:
    """Made at the first use of a kind: building all of them would cost every start."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, as key and reason."""
    item = error.errors()[0]
    key = ".".join(str(part) for part in item["loc"]) or "content"
    if item["type"] in {"unexpected_keyword_argument", "extra_forbidden"}:
        return f"{key}: unknown key"
    if item["type"] in {"missing", "missing_argument", "missing_keyword_only_argument"}:
        return f"{key}: missing"
    return f"{key}: {str(item['input'])[:80]!r} does not fit ({item['msg']})"


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        content: dict[str, Any] = {}
        for field in fields(value):  # type: ignore[arg-type]
            item = getattr(value, field.name)
            if item is None and field.default is None:
                continue
            content |= _plain(item) if field.name == value.OPEN else {_key(field.name): _plain(item)}
        return content
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
