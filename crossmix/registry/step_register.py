"""The register step: the judged bundle and its figures go to the registry, and its answer into the step's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crossmix.config import Config
from crossmix.registry.store import Registry, Version
from crossmix.report.page import judged_figures

FILES = ("gates.json", "evaluation.json")


def register(config: Config, evaluation: Path, policy: Path, meta: Path, home: Path, out: Path) -> Version:
    """Register `evaluation`/bundle and write `registration.json` (`Version.as_dict`) into `out`.

    Args:
        evaluation: what the gate step wrote: evaluation.json, gates.json, bundle/.
        policy: what the train step wrote: curve.json.
        meta: what the meta step wrote: meta.pt, where re-adaptation starts, and meta.json.
        home: the run's folder, where a registry without an address of its own lives.

    Raises:
        BundleError: the bundle does not verify.
    """
    judged = json.loads((evaluation / "evaluation.json").read_text())
    ratio = judged["policies"]["policy"]["oracle_ratio"]["mean"]
    version = Registry.of(config, home).register(
        evaluation / "bundle",
        metrics=dict(_numbers(judged["policies"], json.loads((evaluation / "gates.json").read_text()))),
        artifacts={name: evaluation / name for name in FILES}
        | {f"meta/{name}": meta / name for name in ("meta.pt", "meta.json")},
        figures=judged_figures(judged),
        tags={"oracle_ratio": str(ratio), "generated": str(judged["generated"]).lower()},
        curve=json.loads((policy / "curve.json").read_text()),
    )
    (out / "registration.json").write_text(json.dumps(version.as_dict(), indent=1, sort_keys=True))
    return version


def _numbers(policies: Mapping[str, Any], verdict: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every mean of every policy and every gate's figure, where defined."""
    for name, row in policies.items():
        for key, figure in row.items():
            if isinstance(figure, Mapping) and isinstance(figure.get("mean"), int | float):
                yield f"{name}.{key}", float(figure["mean"])
    for gate in verdict["gates"]:
        if gate["value"] is not None:
            yield f"gate.{gate['name']}", float(gate["value"])
