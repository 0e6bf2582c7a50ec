"""What a step's result depends on: the settings that it declares, its inputs, and the source files it can reach.

The key of a step is a SHA-256 over all three, so a change in `train.*` reuses everything before `train`, and a change
in the report's code reuses every step.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import Done
from crossmix.config import Config, Data, digest
from crossmix.sources import in_s3, in_warehouse, log_files, log_objects, takes_folder, warehouse_digest

ROOT = Path(__file__).resolve().parent.parent
LOG = "log"
"""In place of a path that counts for nothing."""
PACKAGES = ("crossmix", "feature_repo", "serving", "components")


def step_key(step: Step, config: Config, inputs: Mapping[str, Path]) -> str:
    """The first 16 hex digits of the digest of everything the step's result depends on.

    What its inputs depend on is in their keys.
    """
    told: dict[str, Any] = {
        "step": step.name,
        "version": version("crossmix"),
        "config": {name: _setting(config, name) for name in step.settings},
        "inputs": {key: folder_key(path) for key, path in sorted(inputs.items())},
        "log": _log(config.data) if step.reads_log else None,
        "code": code_digest(step.core.partition(":")[0]),
    }
    if step.environment:
        told["environment"] = {name: os.environ.get(name) for name in step.environment}
    return digest(told)[:16]


def declared_json(step: Step, config: Config) -> str:
    """What a step is given of a config: what it declares and reads besides, as canonical JSON; the rest has defaults.

    Where the log lies is given only to the step that reads it.
    """
    tree: dict[str, Any] = {}
    for name in (*step.settings, *step.aside):
        value: Any = config
        *parents, leaf = name.split(".")
        node = tree
        for part in parents:
            value = getattr(value, part)
            node = node.setdefault(part, {})
        value = getattr(value, leaf)
        node[leaf] = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    if "path" in tree.get("data", {}) and not step.reads_log and config.data.path is not None:
        tree["data"]["path"] = LOG
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))


def log_digest(data: Data) -> str:
    """Stands for the raw log's content; "" for a log that is generated."""
    return digest(lines) if (lines := _log(data)) else ""


def _setting(config: Config, name: str) -> str:
    """Digest of a section, or of a dotted key below one."""
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    # The log counts by its content, not by where it lies, nor by the memory that it is read in.
    return digest(replace(value, path=None, memory=None) if name == "data" else value)


def _log(data: Data) -> list[str]:
    """Digest of every file that the source reads, with its name where the source may read several.

    An object in S3 counts by its size and ETag: the log is not downloaded to see whether it is known.
    """
    if in_s3(data):
        return [f"{name} {one.size} {one.etag}" for name, one in sorted(log_objects(data).items())]
    if in_warehouse(data):
        return [warehouse_digest(data)]
    named = takes_folder(data)
    return [f"{name if named else ''} {file_digest(path)}" for name, path in sorted(log_files(data).items())]


def folder_key(path: Path) -> str:
    """The key a step left in its folder; a folder from elsewhere counts by its content."""
    done = Done.found(path)
    return file_digest(path) if done is None else done.key


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of every file below a folder with its relative name."""
    total = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file()):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        total.update(f"{file.relative_to(path) if file != path else ''} {content}\n".encode())
    return total.hexdigest()


@cache
def code_digest(module: str) -> str:
    """SHA-256 of the source files of this project that `module` can import, itself included."""
    pending, digests = [module], dict[Path, str]()
    while pending:
        for file in _files(pending.pop()):
            if file not in digests:
                source = file.read_bytes()
                digests[file] = hashlib.sha256(source).hexdigest()
                pending.extend(_imports(source.decode(), file))
    lines = sorted(f"{file.relative_to(ROOT)} {content}" for file, content in digests.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _files(module: str) -> Iterator[Path]:
    """The files that `import module` runs, parents first; nothing for a name that is no module of ours."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return
    path = ROOT
    for depth, part in enumerate(parts):
        path /= part
        if (path / "__init__.py").is_file():
            yield path / "__init__.py"
            if depth and depth == len(parts) - 1:  # a whole package by name: any of its modules may be meant
                yield from sorted(path.rglob("*.py"))
        elif path.with_suffix(".py").is_file():
            yield path.with_suffix(".py")


def _imports(source: str, file: Path) -> Iterator[str]:
    """Every module that a source names in an import, at the top or inside a function."""
    package = file.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            # `from package import module` names the module alone, `from module import name` the module.
            modules = [
                f"{base}.{name.name}" for name in node.names if any(True for _ in _module(f"{base}.{name.name}"))
            ]
            yield from modules or [base]
    if "Registered(" in source and file.stem != "registered":  # its files are imported by name, any of them
        yield ".".join(package)


def _module(name: str) -> Iterator[Path]:
    path = ROOT.joinpath(*name.split("."))
    yield from (file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file())
