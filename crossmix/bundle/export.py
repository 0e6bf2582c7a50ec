"""The policy's export to ONNX: the one part of a bundle that needs torch.

Shapes: B batch, S state, M platforms, Q what is believed of each (`crossmix.response.BELIEF`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix import constraints
from crossmix.bundle.manifest import BundleError
from crossmix.bundle.session import BELIEVED, SPLIT, open_session, run

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[Any]


def export(policy: nn.Module, file: Path, probe: Mapping[str, Array]) -> Array:
    """Export and return the eager answer to the probe, having checked that ONNX Runtime gives the same.

    A policy with a `planner` (`crossmix.agents.policy`) also says what split it started from, (B, M), what it believes
    of the coming cycle, (B, Q, M), and which campaign of its tables it takes the state for, (B,).

    The TorchScript exporter, not the newer one: it writes the same bytes each time and no source path of the machine
    (measured on torch 2.13; equal answers and latency).
    """
    import warnings

    import torch

    planner: Any = getattr(policy, "planner", None)

    class Served(torch.nn.Module):
        """Logits, noise, softmax, projection; with a planner what it says."""

        def __init__(self) -> None:
            super().__init__()
            self.policy = policy

        def forward(self, state: Tensor, low: Tensor, high: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
            planned = () if planner is None else tuple(planner.plan(state))
            logits: Tensor = self.policy.logits(state, *planned[:1])  # type: ignore[operator]
            return constraints.project(torch.softmax(logits + noise, 1), low, high), logits, *planned

    device = next((parameter.device for parameter in policy.parameters()), torch.device("cpu"))
    names = ("state", "low", "high", "noise")
    outputs = SPLIT if planner is None else (*SPLIT, *BELIEVED)
    inputs = tuple(torch.tensor(probe[name], device=device) for name in names)
    was_training = policy.training
    served = Served().eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing remarks and the exporter's deprecation, told above
            expected: list[Array] = [answer.cpu().numpy() for answer in served(*inputs)]
            torch.onnx.export(
                served,
                inputs,
                str(file),
                dynamo=False,
                opset_version=17,
                input_names=list(names),
                output_names=list(outputs),
                dynamic_axes={name: {0: "batch"} for name in (*names[:3], *outputs)} | {"noise": {0: "draws"}},
            )
    finally:
        policy.train(was_training)
    _make_optional(file, "noise", np.zeros((1, probe["noise"].shape[1]), np.float32))
    session = open_session(file)
    for rows in (slice(None), slice(0, 1)):
        state, low, high, noise = (probe[name][rows] for name in names)
        got = run(session, state, low, high, noise, outputs=outputs)
        off = float(np.abs(got[0] - expected[0][rows]).max())
        if not off <= 1e-5:
            raise BundleError(f"{file}: the export answers {off:.2g} off the policy; make logits() traceable")
        for name, said, meant in zip(outputs[2:], got[2:], expected[2:], strict=True):
            if not np.allclose(said, meant[rows], rtol=1e-3, atol=1e-5):
                raise BundleError(f"{file}: the export's {name} is not the policy's; make plan() traceable")
    return expected[0]


def _make_optional(file: Path, name: str, value: Array) -> None:
    """Give an input of an exported graph a value for when it is absent (an initializer of the same name)."""
    import onnx

    model = onnx.load(file)
    model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, file)
