"""One to many ranks: torchrun's process group, averaged gradients, and what ranks tell each other.

Contract: docs/design.md#learning.

Each rank plays its own rows of every batch, with one thread and seeds of its own; gradients are averaged after the
backward pass, so that the batch is the same however many ranks share it. Outside a process group there is one rank,
and every function here is the identity.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn

from crossmix.background import Loop

_log = logging.getLogger(__name__)


INHERITED = ("PET_", "TORCHELASTIC_", "MASTER_", "GROUP_", "ROLE_")
"""Begins of what a torchrun, or a TrainJob's pod, tells its own processes; a torchrun that is started within must not
hear it: it would wait for that job's nodes."""
OWN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")


class RankError(RuntimeError):
    """The ranks ended without a result, or cannot be had."""


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def grouped() -> bool:
    """Whether this process is one of a group's, be it the only one."""
    return dist.is_initialized()


def require_gpus(here: int) -> None:
    """A GPU for each of the ranks of this machine, where it has any: NCCL takes a device once.

    Raises:
        RankError: there are fewer.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if 0 < gpus < here:
        raise RankError(
            f"train.ranks: {here} ranks on a machine with {gpus} GPU{'s' * (gpus > 1)}, and each needs its own; set "
            f"train.ranks={gpus}, or hide the GPUs (CUDA_VISIBLE_DEVICES=) to train on the CPU"
        )


def device() -> torch.device:
    """This rank's GPU, where there are any; else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def share(rows: int) -> int:
    """This rank's part of a global number of rows; `ranks` divides it (`config` checks)."""
    return rows // size()


def seed(base: int, episode: int) -> int:
    """Seed of this rank's episode: all ranks' seeds of all episodes differ."""
    return base + episode * size() + rank()


def optimiser_step(optimiser: torch.optim.Optimizer, loss: Tensor, clip: float, unit: Tensor | None = None) -> None:
    """One step down the gradient of `loss`, averaged over ranks and clipped to a norm.

    Args:
        unit: a number whose mean over ranks the loss is divided by, whatever its sign; without one, nothing is.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    if size() > 1:
        # One message for all tensors and the unit: a network has a few large and many small ones, and ranks that meet
        # twice wait for the slower twice.
        parts = [p.grad.flatten() for p in parameters]
        flat = torch.cat(parts if unit is None else [*parts, unit.detach().reshape(1)])
        dist.all_reduce(flat)
        flat /= size()
        begin = 0
        for p in parameters:
            # A view, not a copy: the message is the gradient from here on.
            p.grad = flat[begin : begin + p.numel()].view_as(p)
            begin += p.numel()
        unit = None if unit is None else flat[-1]
    if unit is not None:
        scale = unit.detach().abs().clamp(min=1e-6)
        for p in parameters:
            p.grad.div_(scale)
    nn.utils.clip_grad_norm_(parameters, clip)
    optimiser.step()


def mean(value: Tensor) -> Tensor:
    """Mean of a detached tensor over ranks."""
    if size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / size()


def gather(rows: Tensor) -> Tensor:
    """Every rank's rows, in the order of ranks; all have the same number."""
    if size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def barrier() -> None:
    """Wait until every rank is here."""
    if size() > 1:
        dist.barrier()


@contextmanager
def group() -> Iterator[None]:
    """Join the ranks that torchrun started; this process ends when its torchrun does.

    Raises:
        RankError: fewer GPUs here than ranks.
    """
    require_gpus(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    torch.set_num_threads(1)
    Loop("torchrun", 0.5, partial(_end_without, os.getppid()), at_once=True).start()
    here = device()
    if here.type == "cuda":
        torch.cuda.set_device(here)
    dist.init_process_group("nccl" if here.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def launch(
    module: str, arguments: Sequence[str], ranks: int, restarts: int, meanwhile: Callable[[], None] | None = None
) -> None:
    """Run `python -m module arguments` as `ranks` ranks on this machine, under torchrun.

    A rank that dies takes the others down; all of them start again, up to `restarts` times, and resume from their
    checkpoint. Each time it is a torchrun of its own: ranks that one torchrun restarts read the addresses of the dead
    ones from the store that it keeps, and wait for them (torch 2.13; docs/decisions).

    Args:
        meanwhile: called once a second while they run, and once after.

    Raises:
        RankError: they died more often than that, or there are fewer GPUs.
    """
    require_gpus(ranks)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={ranks}", "--max-restarts=0", "-m", module, *arguments),
    ]
    for restart in range(restarts + 1):
        status = _attend(command, meanwhile)
        if not status:
            break
        if restart < restarts:
            _log.warning("a rank died: all start again from their checkpoint (restart %d of %d)", restart + 1, restarts)
    if meanwhile is not None:
        meanwhile()
    if status:
        raise RankError(f"train.ranks = {ranks}: torchrun ended with status {status} after {restarts} restarts")


def _attend(command: Sequence[str], meanwhile: Callable[[], None] | None) -> int:
    """Exit status of one torchrun."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(INHERITED) and key not in OWN}
    environment = inherited | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, preexec_fn=_end_with_parent) as process:
        try:
            while (status := _wait(process)) is None:
                if meanwhile is not None:
                    meanwhile()
        except BaseException:
            process.terminate()
            raise
    return status


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return None


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent dies, however it dies (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _end_without(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(137)
