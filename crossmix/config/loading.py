"""Loading: strict, from JSON, or from a preset with changes; what a bundle carries; digests; errors in a sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from crossmix.config.data import ASKABLE, OF_HISTORIES, SOURCE_TASKS, Data
from crossmix.config.tree import PRESETS, Config, paper
from crossmix.config.values import ConfigError, T
from crossmix.registered import PACKAGES, declared

FREE = ("data.settings", "data.columns", "train.settings", "monitor.settings", "alerts.targets")
"""Mappings whose keys the tree does not know, so that `--set` may add one, below another too."""


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def to_json(config: Config) -> str:
    """Canonical JSON of the tree: sorted keys, no white space."""
    return json.dumps(asdict(config), sort_keys=True, separators=(",", ":"))


ELSEWHERE = ("registry", "serving", "monitor", "readapt", "alerts", "features")
"""Sections that say where a policy is registered, how a server is set up, what watches it, what is done about it, where
alerts go, where statistics lie online: the same is served whatever they say."""


OF_TASKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "journeys": ("preset", "task", "data", "journeys"),
        "creators": ("preset", "task", "data", "creators"),
    }
)
"""What a bundle of a task other than `split` carries of the config: nothing else reaches it."""


CARRIED = tuple(
    item.name for item in fields(Config) if item.name not in ELSEWHERE and item.name not in ("task", *OF_TASKS)
)
"""What a bundle of the split carries of the config, but for where its log lay (`data.path`)."""


def carried(config: Config) -> dict[str, Any]:
    """The config as a bundle carries it: `CARRIED`, of another task `OF_TASKS`, as plain data."""
    tree: dict[str, Any] = {}
    for name in OF_TASKS.get(config.task, CARRIED):
        part = replace(config.data, path=None) if name == "data" else getattr(config, name)
        tree[name] = asdict(part) if is_dataclass(part) and not isinstance(part, type) else part
    del tree["data"]["path"]
    return tree


def from_carried(text: str) -> Config:
    """The config that a bundle carries, defaults in place of what it does not; raises as `from_json`."""
    tree = json.loads(text)
    tree["data"]["path"] = None  # bundles of earlier versions have one
    config = _validated(json.dumps(tree))
    _check(replace(config, data=replace(config.data, path="log")))
    return config


def from_json(text: str) -> Config:
    """Load strictly: unknown keys, wrong types and values outside their domain raise `ConfigError`."""
    config = _validated(text)
    _check(config)
    return config


def _validated(text: str) -> Config:
    try:
        return _adapter().validate_json(text)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from None


def load(preset: str = "paper", overrides: Sequence[str] = (), values: Mapping[str, Any] | None = None) -> Config:
    """A preset with changes: `values` by dotted key, then `overrides` as `a.b=c` strings (JSON, or plain words).

    Raises `ConfigError` for an unknown preset, an unknown key, or a value that does not fit.
    """
    if preset not in PRESETS:
        raise ConfigError(f"preset: {preset!r} is unknown; use one of {', '.join(PRESETS)}")
    tree: dict[str, Any] = asdict(PRESETS[preset]())
    pairs: list[tuple[str, Any]] = list((values or {}).items())
    for item in overrides:
        key, sep, raw = item.partition("=")
        if not sep or not key:
            raise ConfigError(f"--set {item!r}: write it as a.b=c")
        try:
            pairs.append((key.strip(), json.loads(raw)))
        except json.JSONDecodeError:
            pairs.append((key.strip(), raw))
    for key, value in pairs:
        node = tree
        *parents, leaf = key.split(".")
        for depth, part in enumerate(parents):
            if part not in node and ".".join(parents[:depth]) in FREE:
                node[part] = {}
            if not isinstance(node.get(part), dict):
                raise ConfigError(f"{key}: unknown config key; {_near(tree, key)}")
            node = node[part]
        free = any(f"{key}.".startswith(f"{name}.") for name in FREE)
        if leaf not in node and not free:
            raise ConfigError(f"{key}: unknown config key; {_near(tree, key)}")
        node[leaf] = value
    return from_json(json.dumps(tree))


def strictly(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """A settings dataclass from a mapping, as strictly as the tree itself.

    Args:
        where: dotted key that an error begins with.

    Raises:
        ConfigError: an unknown key, a wrong type, a value outside its domain.
    """
    known = [item.name for item in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}.{key}: unknown config key; use {', '.join(known)}")
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        raise ConfigError("; ".join(f"{where}.{problem}" for problem in _explain(error).split("; "))) from None


def digest(part: Any) -> str:
    """SHA-256 of a dataclass, or of anything JSON can hold: what a step's cache key is made of."""
    plain = asdict(part) if is_dataclass(part) and not isinstance(part, type) else part
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()


def _check(config: Config) -> None:
    data = config.data
    if data.train_fraction + data.validation_fraction >= 1:
        raise ConfigError(
            f"data.train_fraction + data.validation_fraction = {data.train_fraction + data.validation_fraction:g}: "
            "leave something below 1 for the test period"
        )
    sources = declared(PACKAGES["data.source"])
    if data.source not in sources:
        able = [name for name, thing in sources.items() if config.task in thing.literals.get("tasks", SOURCE_TASKS)]
        raise ConfigError(f"data.source: {data.source!r} is unknown; use one of {', '.join(able)}")
    tasks = sources[data.source].literals.get("tasks", SOURCE_TASKS)
    if config.task not in tasks:
        able = [name for name, thing in sources.items() if config.task in thing.literals.get("tasks", SOURCE_TASKS)]
        raise ConfigError(
            f"data.source: {data.source!r} is no source of task {config.task!r}; use one of {', '.join(able)}, "
            f"or task={tasks[0]}"
        )
    if not sources[data.source].literals.get("generated") and not data.path:
        raise ConfigError(f"data.path: source {data.source!r} reads a file; pass --data FILE")
    for name in ASKABLE:
        asking = [source for source, thing in sources.items() if name in thing.literals.get("asks", ())]
        if getattr(data, name) is not None and data.source not in asking:
            raise ConfigError(
                f"data.{name}: source {data.source!r} has its own; drop the key, it is for {', '.join(asking)}"
            )
    for name in OF_HISTORIES:
        if getattr(data, name) != getattr(Data(), name) and data.source != "spend":
            raise ConfigError(f"data.{name}: source {data.source!r} reads one format; drop the key, it is for spend")
    models = {name: getattr(config.registry, name) for name in ("model", "journey_model", "creators_model")}
    for name, model in models.items():
        other = next((key for key, one in models.items() if one == model and key != name), None)
        if other is not None:
            raise ConfigError(f"registry.{name}: {model!r} is registry.{other} too; each kind has a model of its own")
    monitors = declared(PACKAGES["monitor.watch"])
    for name in config.monitor.watch:
        if name not in monitors:
            raise ConfigError(f"monitor.watch: no monitor is called {name!r}; use {', '.join(monitors)}")
    agents = declared(PACKAGES["train.agent"])
    for key in ("agent", "agent_of_history"):
        if getattr(config.train, key) not in agents:
            raise ConfigError(f"train.{key}: {getattr(config.train, key)!r} is unknown; use one of {', '.join(agents)}")
    gates = declared(PACKAGES["gates.required"])
    for key in ("required", "required_of_history"):
        for name in getattr(config.gates, key):
            if not any(f"{name}.".startswith(f"{gate}.") or f"{gate}.".startswith(f"{name}.") for gate in gates):
                raise ConfigError(f"gates.{key}: no gate is called {name!r}; gates are {', '.join(gates)}")
    known = declared(PACKAGES["creators.gates.required"])
    for name in config.creators.gates.required:
        if not any(f"{name}.".startswith(f"{gate}.") or f"{gate}.".startswith(f"{name}.") for gate in known):
            raise ConfigError(f"creators.gates.required: no gate is called {name!r}; gates are {', '.join(known)}")
    if config.creators.briefs.least_budget > config.creators.briefs.most_budget:
        raise ConfigError(
            f"creators.briefs.least_budget: {config.creators.briefs.least_budget:g} is above "
            f"creators.briefs.most_budget = {config.creators.briefs.most_budget:g}; lower it"
        )
    if config.fusion.attention_heads * config.fusion.head_dim != config.fusion.modality_dim:
        raise ConfigError(
            f"fusion.head_dim: {config.fusion.attention_heads} heads x {config.fusion.head_dim} must equal "
            f"fusion.modality_dim = {config.fusion.modality_dim}"
        )
    if config.fusion.behaviour_embedding % config.fusion.behaviour_heads:
        raise ConfigError(
            f"fusion.behaviour_heads: {config.fusion.behaviour_heads} must divide "
            f"fusion.behaviour_embedding = {config.fusion.behaviour_embedding}"
        )
    train = config.train
    for name, rows in (
        ("parallel", train.parallel),
        ("pathwise.batch", train.pathwise.batch),
        ("ddpg.batch", train.ddpg.batch),
    ):
        if rows % train.ranks:
            raise ConfigError(
                f"train.ranks: {train.ranks} ranks cannot share {rows} rows evenly (train.{name}); "
                f"take a divisor of {rows}"
            )
    if config.limits.minimum > config.limits.maximum:
        raise ConfigError(
            f"limits.minimum: {config.limits.minimum} is above limits.maximum = {config.limits.maximum}; lower it"
        )


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "config"
        if item["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            lines.append(f"{where}: unknown config key; {_near(asdict(paper()), where)}")
        else:
            lines.append(f"{where}: {item['input']!r} does not fit: {item['msg']}")
    return "; ".join(lines)


def _near(tree: Mapping[str, Any], key: str) -> str:
    import difflib

    known = list(_leaves(tree))
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.4) or [
        name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]
    ]
    return f"did you mean {close[0]}?" if close else "`crossmix config` lists them"


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    names: list[str] = []
    for key, value in tree.items():
        names += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) and value else [prefix + key]
    return names


def documented(config: Config) -> list[tuple[str, Any]]:
    """Every dotted key with its value, in order: what `crossmix config` prints."""

    def walk(node: Any, prefix: str) -> list[tuple[str, Any]]:
        rows: list[tuple[str, Any]] = []
        for item in fields(node):
            value = getattr(node, item.name)
            rows += walk(value, f"{prefix}{item.name}.") if is_dataclass(value) else [(prefix + item.name, value)]
        return rows

    return walk(config, "")
