"""A trained policy on disk."""

from __future__ import annotations

from pathlib import Path

import torch

from crossmix.agents.mpc import TABLES
from crossmix.agents.policy import Policy
from crossmix.training.run import Learner, TrainingError


def load_policy(folder: Path) -> Policy:
    """The trained actor of a train folder."""
    blob = torch.load(folder / "policy.pt", weights_only=True)
    prefix = "planner."
    plan = {name.removeprefix(prefix): table for name, table in blob["policy"].items() if name.startswith(prefix)}
    missing = sorted(set(TABLES) - plan.keys()) if plan else []
    if missing:
        raise TrainingError(f"{folder / 'policy.pt'}: trained before the plan had {', '.join(missing)}; train again")
    policy = Policy(blob["platforms"], blob["hidden"], blob["platform_net"], plan or None)
    policy.load_state_dict(blob["policy"])
    return policy.eval()


def save_policy(learner: Learner, out: Path) -> None:
    """policy.pt: the best actor, its sizes, and the deviation it may explore with."""
    torch.save(
        {
            "policy": {name: value.cpu() for name, value in learner.best.items()},
            "platforms": len(learner.market.platforms),
            "hidden": list(learner.config.train.pathwise.hidden),
            "platform_net": learner.config.train.platform_net,
            "log_sigma": learner.log_sigma(),
        },
        out / "policy.pt",
    )
