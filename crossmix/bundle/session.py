"""The exported policy in ONNX Runtime: opened, asked, and held against the probe that was saved with it.

Shapes: B batch, S state, M platforms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.bundle.manifest import BundleError, check_answer

Array = NDArray[Any]

PROBE_ROWS = 8
PROBE_TOLERANCE = 1e-4
"""Shares; eager and ONNX Runtime differ by 3e-7 on one machine, other CPUs order their sums differently."""


def open_session(file: Path) -> Any:
    """The `onnxruntime.InferenceSession` of a file; raises `BundleError`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # 0.1 ms of work: threads only add waiting
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise BundleError(f"{file}: onnxruntime cannot read it ({error}); fetch the bundle again") from error


SPLIT = ("share", "logits")
BELIEVED = ("base", "belief", "campaign")
"""Outputs beside the split, of a policy that starts from a plan; bundles of before have none of them."""


def tells_belief(session: Any) -> bool:
    """Whether the graph has the outputs `BELIEVED`."""
    return set(BELIEVED) <= {output.name for output in session.get_outputs()}


def run(
    session: Any,
    states: Array,
    low: Array,
    high: Array,
    noise: Array | None = None,
    *,
    outputs: Sequence[str] = SPLIT,
) -> tuple[Array, ...]:
    """The outputs, by default shares and logits (B, M) each, of contiguous float32 inputs."""
    given = {"state": states, "low": low, "high": high} | ({} if noise is None else {"noise": noise})
    return tuple(session.run(outputs, given))


def probe_inputs(state_size: int, platforms: int) -> dict[str, Array]:
    """Fixed inputs: waves for states and noise, boxes from free to nearly frozen."""
    wave = np.sin(0.1 + 0.37 * np.arange(PROBE_ROWS * state_size)).reshape(PROBE_ROWS, state_size)
    centre = 1.5 + np.cos(np.arange(PROBE_ROWS * platforms)).reshape(PROBE_ROWS, platforms)
    centre /= centre.sum(1, keepdims=True)
    radius = np.array([1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.001, 0.0])[:, None]
    low, high = np.clip(centre - radius, 0, 1), np.clip(centre + radius, 0, 1)
    noise = 0.3 * np.sin(np.arange(PROBE_ROWS * platforms)).reshape(PROBE_ROWS, platforms)
    inputs = {"state": wave, "low": low, "high": high, "noise": noise}
    return {name: np.asarray(values, np.float32) for name, values in inputs.items()}


def check_probe(folder: Path, session: Any, expected: Mapping[str, Any]) -> None:
    """Raise `BundleError` unless the session answers the stored probe as the manifest says."""
    with np.load(folder / "probe.npz") as probe:
        got_BM, _ = run(session, *(probe[name] for name in ("state", "low", "high", "noise")))
    check_answer(
        folder / "policy.onnx",
        {"share": got_BM},
        expected,
        "this onnxruntime does not run the policy as it was saved: install the version in constraints.txt",
    )
