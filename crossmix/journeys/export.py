"""The response model as one ONNX graph: scaler, encoder, heads, calibration, intervals. Answering needs no torch.

Shapes: B users, T steps, F features, C channels.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crossmix.bundle import BundleError
from crossmix.bundle.session import open_session
from crossmix.journeys.answer import OUTPUTS
from crossmix.journeys.head import Z95, Head
from crossmix.journeys.response import Response

Singles = NDArray[np.float32]
INPUTS = ("step", "real")
OFF = 1e-4


class Layer(nn.Module):
    """A head and its prior, for journeys with steps and without."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        for name in ("weight_CD", "covariance_CDD", "error_22"):
            self.register_buffer(name, torch.tensor(getattr(head, name), dtype=torch.float32))
        self.scale, self.shift, self.spread, self.misfit = head.scale, head.shift, head.spread, head.misfit

    def forward(self, phi_BCD: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds and half their interval, (B, C); one channel's features stand for all."""
        raw_BC = (phi_BCD * self.weight_CD).sum(-1)  # type: ignore[operator]
        turned_BCD = (phi_BCD[:, :, None] @ self.covariance_CDD)[:, :, 0]  # type: ignore[operator]
        own_BC = (turned_BCD * phi_BCD).sum(-1)
        error_22 = self.error_22
        calibration_BC = error_22[0, 0] * raw_BC**2 + 2 * error_22[0, 1] * raw_BC + error_22[1, 1]  # type: ignore[index]
        variance_BC = (self.spread * self.scale) ** 2 * own_BC + calibration_BC + self.misfit
        return self.scale * raw_BC + self.shift, Z95 * torch.sqrt(variance_BC.clamp(min=0.0))


class Served(nn.Module):
    """Steps as the layout has them, unscaled and padded at the end, to probabilities with intervals."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.net, self.own = response.net, response.own
        self.register_buffer("mean_F", torch.tensor(response.scaler.mean_F, dtype=torch.float32))
        self.register_buffer("deviation_F", torch.tensor(response.scaler.deviation_F, dtype=torch.float32))
        self.heads = nn.ModuleList(Layer(head) for head in response.heads)
        self.priors = nn.ModuleList(Layer(head) for head in response.prior)
        self.register_buffer("otherwise_C", torch.tensor(response.otherwise_C, dtype=torch.float32))

    def forward(self, step_BTF: Tensor, real_BT: Tensor) -> tuple[Tensor, ...]:
        count_B1 = real_BT.sum(1, keepdim=True)
        scaled_BTF = (step_BTF - self.mean_F) / self.deviation_F * real_BT[..., None]  # type: ignore[operator]
        read_BTD = self.net.read(scaled_BTF, real_BT)
        # The last real step, as a sum over a mask: places differ by user.
        place_T = torch.arange(1, step_BTF.shape[1] + 1, dtype=real_BT.dtype)
        last_BT = (place_T == count_B1).to(real_BT.dtype)
        read_BD = (read_BTD * last_BT[..., None]).sum(1)
        own_BC, moved_BCM = self.own.moves(scaled_BTF, real_BT)
        own_BC1, read_BCD = own_BC[..., None], read_BD[:, None].expand(-1, own_BC.shape[1], -1)
        phi_BCD = torch.cat([moved_BCM, read_BCD, own_BC1, torch.ones_like(own_BC1)], -1)
        said = []
        for head, prior in zip(self.heads, self.priors, strict=True):
            (full, half), (empty, half_empty) = head(phi_BCD), prior(torch.ones_like(count_B1)[..., None])
            said.append((torch.where(count_B1 > 0, full, empty), torch.where(count_B1 > 0, half, half_empty)))
        (click_BC, half_BC), (given_BC, half_given_BC) = said
        p_BC, q_BC = torch.sigmoid(click_BC), torch.sigmoid(given_BC)
        # As `head.conversions`; halves are Z95 deviations.
        spread_BC = torch.sqrt(((1 - p_BC) * half_BC) ** 2 + ((1 - q_BC) * half_given_BC) ** 2)
        both_BC, rest_BC = p_BC * q_BC, (1 - p_BC) * self.otherwise_C  # type: ignore[operator]
        clicks = (p_BC, torch.sigmoid(click_BC - half_BC), torch.sigmoid(click_BC + half_BC))
        high_BC = (both_BC * torch.exp(spread_BC) + rest_BC).clamp(max=1.0)
        return *clicks, both_BC + rest_BC, both_BC * torch.exp(-spread_BC) + rest_BC, high_BC


def export(response: Response, file: Path, step_BTF: Singles, real_BT: Singles) -> dict[str, Singles]:
    """Write the graph, and return what it answers, having checked that it is what the model answers.

    Args:
        step_BTF, real_BT: a probe: steps without scaling, and 1 where there is one.

    Raises:
        BundleError: the graph answers something else.
    """
    inputs = torch.tensor(step_BTF, dtype=torch.float32), torch.tensor(real_BT, dtype=torch.float32)
    served = Served(response).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing remarks, and the exporter's deprecation (crossmix/bundle/export.py)
        expected = [one.numpy() for one in served(*inputs)]
        torch.onnx.export(
            served,
            inputs,
            str(file),
            dynamo=False,
            opset_version=17,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in (*INPUTS, *OUTPUTS)},
        )
    session = open_session(file)
    for rows in (slice(None), slice(0, 1)):
        got = session.run(list(OUTPUTS), {name: one[rows].numpy() for name, one in zip(INPUTS, inputs, strict=True)})
        off = max(float(np.abs(one - meant[rows]).max()) for one, meant in zip(got, expected, strict=True))
        if not off <= OFF:
            raise BundleError(f"{file}: the export answers {off:.2g} off the model; make its modules traceable")
    return dict(zip(OUTPUTS, expected, strict=True))
