"""Networks on disk: a JSON header beside safetensors, which hold numbers and nothing that could run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from crossmix import files
from crossmix.artifacts.file import Artifact, ArtifactError, Part

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ActorSizes(Part):
    """What a `crossmix.agents.policy.Policy` is built from, beside its weights."""

    platforms: int
    hidden: tuple[int, ...]
    """Widths of the trunk's layers."""
    platform_net: int
    """Width of the network that all platforms share; 0: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyHeader(Artifact):
    """Beside policy.safetensors: the actor's weights as `policy.*`, and `log_sigma` (P,)."""

    FILE: ClassVar[str] = "policy.json"
    TENSORS: ClassVar[str] = "policy.safetensors"

    actor: ActorSizes
    parent: str | None = None
    """Digest of the weights that it was fine-tuned from, where it was."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StartHeader(Artifact):
    """Beside start.safetensors: the start's weights as `policy.*`, and `log_rates` (one per entry of `rates`)."""

    FILE: ClassVar[str] = "start.json"
    TENSORS: ClassVar[str] = "start.safetensors"

    actor: ActorSizes
    rates: tuple[str, ...]
    """Parameter tensors of the policy, in the order of their inner rates."""
    steps: int
    """Inner steps it was trained for, one per cycle."""


def save_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name, whole or not at all; equal tensors give equal bytes."""
    import torch
    from safetensors.torch import save_file

    # Clones: safetensors refuses tensors that share memory, as two views of one parameter do.
    copies = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    with files.replacing(file) as half:
        save_file(copies, str(half))


def load_tensors(file: Path) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote.

    Raises:
        ArtifactError: it is missing, or cut off.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, Tensor] = load_file(str(file))
    except FileNotFoundError:
        raise ArtifactError(f"{file}: missing; `crossmix run` writes it") from None
    except SafetensorError as error:
        raise ArtifactError(f"{file}: {error}; write it anew with `crossmix run`") from None
    return tensors


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors below a dotted prefix, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}
