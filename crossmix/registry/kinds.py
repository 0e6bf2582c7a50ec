"""What the registry knows of each kind of bundle: its registered model, what loads it, what compares two versions."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from crossmix import bundle as bundles
from crossmix import config as config_module
from crossmix.config import Config
from crossmix.registry.mlflow_door import RegistryError

RUNTIME = ("mlflow", "numpy", "onnxruntime", "pydantic")


class Loaded(Protocol):
    """What a kind's `load` returns, as far as the registry asks."""

    @property
    def path(self) -> Path: ...
    @property
    def digest(self) -> str: ...
    @property
    def manifest(self) -> Mapping[str, Any]: ...
    @property
    def config(self) -> Config: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind:
    """One kind."""

    name: str
    """`manifest.kind`."""
    setting: str
    """Which setting of `registry` names the registered model."""
    load: str
    """What reads and verifies a bundle, as `module:function`."""
    model: str
    """What MLflow loads, a file beside this one."""
    signature: str
    """Of it, as `module:function` of (mlflow, loaded) -> (signature, example)."""
    rules: tuple[str, ...]
    """Settings that say how it is judged: versions compare where these are the same."""
    figure: str
    """Tag by which two versions compare; the larger is better."""
    label: str
    """What a sentence calls the figure."""
    runtime: tuple[str, ...] = RUNTIME
    """What the registered model needs beside crossmix itself."""

    def opened(self, folder: Path) -> Any:
        """The bundle of a folder, verified; raises `BundleError`."""
        return _named(self.load)(folder)

    def model_of(self, config: Config) -> str:
        """Name of the registered model."""
        return str(getattr(config.registry, self.setting))

    def declared(self, mlflow: Any, loaded: Any) -> tuple[Any, Any]:
        """Signature of the registered model, and an example of its input."""
        signature, example = _named(self.signature)(mlflow, loaded)
        return signature, example

    def rules_digest(self, config: Config) -> str:
        """Stands for how it was judged."""
        parts = []
        for name in self.rules:
            value: Any = config
            for part in name.split("."):
                value = getattr(value, part)
            parts.append(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value)
        return config_module.digest(parts[0] if len(parts) == 1 else parts)


def _named(where: str) -> Any:
    module, _, function = where.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise RegistryError(f"{where}: not in this version of crossmix ({error}); install one that has it") from None


MODEL_KINDS: Mapping[str, ModelKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ModelKind(
                name=bundles.SPLIT.name,
                setting="model",
                load="crossmix.bundle:load",
                model="serving_model.py",
                signature="crossmix.registry.pyfunc:split_signature",
                rules=("evaluate",),
                figure="oracle_ratio",
                label="oracle ratio",
            ),
            ModelKind(
                name=bundles.JOURNEY.name,
                setting="journey_model",
                load="crossmix.journeys.bundled:load",
                model="serving_journeys.py",
                signature="crossmix.registry.pyfunc:journey_signature",
                rules=("journeys.gates",),
                figure="click_auc",
                label="AUC of the click",
            ),
            ModelKind(
                name=bundles.CREATORS.name,
                setting="creators_model",
                load="crossmix.creators.bundled:load",
                model="serving_creators.py",
                signature="crossmix.registry.pyfunc:creators_signature",
                rules=(
                    "creators.briefs",
                    "creators.effects",
                    "creators.gates",
                    # what the bound is found by
                    "creators.solver.rounds",
                    "creators.solver.large",
                    "creators.solver.nodes",
                    "creators.solver.gap",
                ),
                figure="share_of_bound",
                label="mean share of the bound",
                runtime=(*RUNTIME, "scipy"),
            ),
        )
    }
)
"""By name."""


def kind_of(config: Config, kind: str | None = None) -> ModelKind:
    """The kind of a name; `None`: of the config's task."""
    return MODEL_KINDS[kind or bundles.KIND_OF_TASK[config.task]]


def bundle_tags(loaded: Loaded, kind: ModelKind) -> dict[str, str]:
    """Tags of the run and of the version."""
    manifest = loaded.manifest
    verdicts = {str(gate["name"]): str(gate["verdict"]) for gate in manifest["gates"] if "verdict" in gate}
    layout = {"layout_digest": str(manifest["layout_digest"])} if "layout_digest" in manifest else {}
    return {
        "kind": kind.name,
        "bundle_digest": loaded.digest,
        "data_digest": str(manifest["data_digest"]),
        "config_digest": str(manifest["config_digest"]),
        "evaluate_digest": kind.rules_digest(loaded.config),
        **layout,
        "gates": json.dumps(verdicts, sort_keys=True),
        "lineage": json.dumps(manifest["lineage"], sort_keys=True),
    }
