"""Gate of re-adaptation, as declared (`components.declared`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.declared import Step
from crossmix.artifacts import ReadaptationJudged
from crossmix.config import CARRIED, from_json


def figures(folder: Path) -> dict[str, Any]:
    """Both oracle ratios in the refitted market, the lead, and what it comes to."""
    told = ReadaptationJudged.load(folder)
    return {
        "outcome": told.outcome,
        "lead": told.lead.mean,
        "policy_oracle_ratio": told.oracle_ratio,
        "champion_oracle_ratio": told.champion_ratio,
    }


def word(config_json: str, folder: Path) -> str:
    """What the pipeline does next: 'register', or why not."""
    outcome = ReadaptationJudged.load(folder).outcome
    if outcome != "adapted":
        return outcome
    return "dry run" if from_json(config_json).readapt.promote == "never" else "register"


STEP = Step(
    name="judge",
    order=130,
    core="crossmix.evaluate.gates.readapt_step:judge",
    # Its bundle carries the config, as the gate step's.
    settings=(
        *CARRIED,
        "readapt.required",
        "readapt.held_out",
        "readapt.gain",
        "serving.guard",
        "serving.explore_bound",
    ),
    aside=("readapt.promote",),  # what the pipeline does next (`word`)
    pipelines=("readapt", "online"),
    figures=figures,
    shown=("outcome", "lead"),
)
