"""One frozen configuration tree, with two presets.

`paper()` holds the hyper-parameters of the paper (section numbers in each field's comment);
`laptop()` is `paper()` with other sizes and steps, never with other semantics.

Strict loading: `load(preset, overrides)` and `from_json` reject unknown keys, wrong types and
values outside their domain with a `ConfigError` that names the field, the value and the remedy.
"""

from crossmix.config.alerting import Alerts, Target, Webhook
from crossmix.config.cluster import Cluster, read_cluster
from crossmix.config.creators import Creators
from crossmix.config.data import ASKABLE, Data, Demo
from crossmix.config.fitting import Fusion, LimitDefaults, Market, Reward
from crossmix.config.journeys import Journeys
from crossmix.config.judging import Evaluate, Gates
from crossmix.config.learning import Align, DDPGConfig, MAMLConfig, Online, Pathwise, PPOConfig, Train
from crossmix.config.loading import (
    CARRIED,
    ELSEWHERE,
    FREE,
    OF_TASKS,
    carried,
    digest,
    documented,
    from_carried,
    from_json,
    load,
    strictly,
    to_json,
)
from crossmix.config.readapting import Readapt
from crossmix.config.serving import Canary, Guard, Guardrails, Monitor, Registry, Serving
from crossmix.config.storing import Features
from crossmix.config.tree import PRESETS, Config, laptop, paper, strict
from crossmix.config.values import (
    STRICT,
    ConfigError,
    Fraction,
    Name,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
)
from crossmix.config.watching import Levels, Thresholds

__all__ = [
    "ASKABLE",
    "CARRIED",
    "ELSEWHERE",
    "FREE",
    "OF_TASKS",
    "PRESETS",
    "STRICT",
    "Alerts",
    "Align",
    "Canary",
    "Cluster",
    "Config",
    "ConfigError",
    "Creators",
    "DDPGConfig",
    "Data",
    "Demo",
    "Evaluate",
    "Features",
    "Fraction",
    "Fusion",
    "Gates",
    "Guard",
    "Guardrails",
    "Journeys",
    "Levels",
    "LimitDefaults",
    "MAMLConfig",
    "Market",
    "Monitor",
    "Name",
    "NonNegative",
    "NonNegativeInt",
    "Online",
    "PPOConfig",
    "Pathwise",
    "Positive",
    "PositiveInt",
    "Readapt",
    "Registry",
    "Reward",
    "Serving",
    "Target",
    "Thresholds",
    "Train",
    "Webhook",
    "carried",
    "digest",
    "documented",
    "from_carried",
    "from_json",
    "laptop",
    "load",
    "paper",
    "read_cluster",
    "strict",
    "strictly",
    "to_json",
]
