"""What a training run asks of a learner, and the list of agents: each is a file of this package that registers itself.

    AGENTS.register(Agent(name="ppo", label="PPO alone", build=build))

`build` makes the learner around the policy that all phases share; a run then plays rounds with it until
`train.episodes` are played or validation stops improving. Without `build` an agent is what comes before the rounds: the
pathwise phase, or the base policy as it is. A new agent is one file: its name is then known to `train.agent`, to help,
to training and to the report; settings that only it has are a frozen dataclass (`Agent.settings`), given as
`train.settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from crossmix.config import ConfigError, Train, strictly
from crossmix.registered import Registered

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from crossmix.agents.environment import Environment
    from crossmix.agents.policy import Policy


class RoundResult(Protocol):
    """What a round of a learner did."""

    def figures(self) -> dict[str, float]:
        """Losses and the like, by names that begin with the learner's, as `ppo_kl`: they go into the learning curve."""
        ...


class Replay(Protocol):
    """Cycles that a learner remembers; a run keeps each round's in a file of its own beside the checkpoint."""

    def newest(self, cycles: int) -> dict[str, Tensor]:
        """The last cycles, oldest first: `state`, `share`, `reward` (cycles, rows, ...), and `last` (cycles,)."""
        ...

    def extend(self, cycles: dict[str, Tensor]) -> None:
        """Add cycles that `newest` gave."""
        ...


class Learner(Protocol):
    """An algorithm around the policy that it trains."""

    @property
    def environments(self) -> int:
        """How many batches of episodes a round plays, each in a market of its own."""
        ...

    @property
    def replay(self) -> Replay | None:
        """What it remembers of earlier rounds; `None`: nothing."""
        ...

    @property
    def log_sigma_P(self) -> Tensor | None:
        """ln deviation of the logits that a served policy may explore with, (P,); `None`: it has not learned one."""
        ...

    def begin(self) -> None:
        """Take over the policy as it is now; called once, before the first round."""
        ...

    def play(self, environments: Sequence[Environment], cycles: int, generator: torch.Generator) -> RoundResult:
        """One round: an episode of every row of every environment, and what is learned from it."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that a checkpoint must hold beside the policy and the replay; tensors, numbers, dicts."""
        ...

    def load_state_dict(self, kept: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a learner is built from."""

    policy: Policy
    """The actor; its device is the learner's."""
    train: Train
    """The section of the config."""
    settings: Any
    """The agent's own settings (`Agent.settings`), filled; `None` where it has none."""
    rows: int
    """Episodes that this rank plays side by side."""
    state_size: int
    """Numbers of a state."""
    rate_factor: float
    """On the actor's learning rates: below 1 where the actor has been trained already (`train.fine_tuning`)."""


Start = Literal["fresh", "pathwise", "configured", "base"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Something that `train.agent` can name."""

    name: str
    label: str
    """What it is, in a few words, for help and the report."""
    build: Callable[[Setup], Learner] | None = None
    """Makes its learner; `None`: it plays no rounds."""
    start: Start = "fresh"
    """What comes before the rounds. `fresh`: nothing; `pathwise`: the pathwise phase; `configured`: as `train.start`
    says; `base`: nothing, and the base policy is served as it is."""
    settings: type[Any] | None = None
    """A frozen dataclass of settings of its own."""
    curves: Mapping[str, str] = field(default_factory=dict)
    """Figures of its rounds that the report draws, with their titles."""


AGENTS: Registered[Agent] = Registered("train.agent", "crossmix.agents")


def own_settings(train: Train) -> Any:
    """The agent's own settings: its dataclass, filled from `train.settings`; `None` where it has none.

    Raises:
        ConfigError: a key that the agent does not have, or a value that does not fit.
    """
    kind = AGENTS.get(train.agent).settings
    if kind is None:
        if train.settings:
            key = next(iter(train.settings))
            raise ConfigError(f"train.settings.{key}: agent {train.agent!r} has no settings of its own; drop the key")
        return None
    return strictly(kind, train.settings, "train.settings")


def figures_of(name: str, result: Any) -> dict[str, float]:
    """The fields of a result of a round, each under the learner's name."""
    return {f"{name}_{key}": float(value) for key, value in asdict(result).items()}
