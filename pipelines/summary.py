"""summary.json: the figures of a run, gathered from its steps' folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.steps import read
from crossmix.config import Config


def collect(
    config: Config,
    steps: Mapping[str, Path],
    run_id: str,
    registered: Mapping[str, Any] | None,
    bundle: Path | None,
) -> dict[str, Any]:
    """The summary; everything but `run_id`, `seconds`, the path and the aliases follows from config and input alone.

    Args:
        steps: each finished step's folder; without `register` where a required gate did not pass.
        registered: name, version and aliases, where the run registered its bundle.
        bundle: the run's own bundle, where it was registered.
    """
    ingested, fused = read(steps["ingest"], "report.json"), read(steps["fusion"], "report.json")
    policies = read(steps["gate"], "evaluation.json")["policies"]
    gates = read(steps["gate"], "gates.json")["gates"]
    return {
        "run_id": run_id,
        "source": config.data.source,
        "rows": {"ingested": ingested["rows"]["ingested"], "quarantined": ingested["rows"]["quarantined"]},
        "fusion": {
            # A spend history has no impressions, and so no heads.
            "click_auc": (fused["click"] or {}).get("auc"),
            "conversion_auc": (fused["conversion"] or {}).get("auc"),
            "click_ece": (fused["click"] or {}).get("ece"),
            "modalities": fused["modalities"],
        },
        "fidelity": {
            gate["name"].removeprefix("fidelity."): {"value": gate["value"], "verdict": gate["verdict"]}
            for gate in gates
            if gate["name"].startswith("fidelity.")
        },
        "policy": {
            "oracle_ratio": policies["policy"]["oracle_ratio"],
            "gap_closed": policies["policy"]["gap_closed"],
            "baselines": {
                name: row["oracle_ratio"]
                for name, row in policies.items()
                if name != "policy" and not row["clairvoyant"]
            },
        },
        "gates": [{key: gate[key] for key in ("name", "value", "threshold", "verdict", "required")} for gate in gates],
        "registry": {key: registered[key] for key in ("name", "version", "aliases")} if registered else None,
        "bundle": {"path": str(bundle), "sha256": read(bundle, "manifest.json")["digest"]} if bundle else None,
        "seconds": {name: read(folder, "done.json")["seconds"] for name, folder in steps.items()},
    }


def own_bundle(judged: Path, champion: Path) -> Path:
    """The champion's folder where the champion is the bundle that this run judged, else the judged one's."""
    same = read(judged, "manifest.json")["digest"] == read(champion, "manifest.json")["digest"]
    return champion if same else judged


def write_atomically(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the whole of it or none."""
    half = path.with_name(f"{path.name}.tmp")
    half.write_text(json.dumps(value, indent=2, sort_keys=False, allow_nan=False) + "\n")
    half.replace(path)
