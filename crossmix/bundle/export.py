"""The policy's export to ONNX: the one part of a bundle that needs torch.

Shapes: B batch, S state, M platforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmix import constraints
from crossmix.bundle.manifest import BundleError
from crossmix.bundle.session import open_session, run

if TYPE_CHECKING:
    from torch import Tensor, nn

Array = NDArray[Any]


def export(policy: nn.Module, file: Path, probe: Mapping[str, Array]) -> Array:
    """Export and return the eager answer to the probe, having checked that ONNX Runtime gives the same.

    The TorchScript exporter, not the newer one: it writes the same bytes each time and no source path of the machine
    (measured on torch 2.13; equal answers and latency).
    """
    import warnings

    import torch

    class Served(torch.nn.Module):
        """Logits, noise, softmax, projection."""

        def __init__(self) -> None:
            super().__init__()
            self.policy = policy

        def forward(self, state: Tensor, low: Tensor, high: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
            logits: Tensor = self.policy.logits(state)  # type: ignore[operator]
            return constraints.project(torch.softmax(logits + noise, 1), low, high), logits

    device = next((parameter.device for parameter in policy.parameters()), torch.device("cpu"))
    names = ("state", "low", "high", "noise")
    inputs = tuple(torch.tensor(probe[name], device=device) for name in names)
    was_training = policy.training
    served = Served().eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing remarks and the exporter's deprecation, told above
            expected_BM: Array = served(*inputs)[0].cpu().numpy()
            torch.onnx.export(
                served,
                inputs,
                str(file),
                dynamo=False,
                opset_version=17,
                input_names=list(names),
                output_names=["share", "logits"],
                dynamic_axes={name: {0: "batch"} for name in (*names[:3], "share", "logits")} | {"noise": {0: "draws"}},
            )
    finally:
        policy.train(was_training)
    _make_optional(file, "noise", np.zeros((1, probe["noise"].shape[1]), np.float32))
    session = open_session(file)
    for rows in (slice(None), slice(0, 1)):
        got_BM, _ = run(session, *(probe[name][rows] for name in names))
        off = float(np.abs(got_BM - expected_BM[rows]).max())
        if not off <= 1e-5:
            raise BundleError(f"{file}: the export answers {off:.2g} off the policy; make logits() traceable")
    return expected_BM


def _make_optional(file: Path, name: str, value: Array) -> None:
    """Give an input of an exported graph a value for when it is absent (an initializer of the same name)."""
    import onnx

    model = onnx.load(file)
    model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    onnx.save(model, file)
