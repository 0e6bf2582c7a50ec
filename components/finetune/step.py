"""Finetune, as declared (`components.declared`)."""

from __future__ import annotations

from components.declared import Step
from components.readapt.step import figures

STEP = Step(
    name="finetune",
    order=121,
    core="crossmix.training.readapt_step:finetune",
    settings=(
        "readapt.seeds",
        "levels",
        "online",
        "train.market_seed",
        "reward",
        "market",
        "window",
        "decay",
        "serving.explore_bound",
    ),
    pipelines=("online",),
    figures=figures,
    shown=("kept", "moved"),
)
