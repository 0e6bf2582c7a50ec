"""What the train step leaves: response model and MTORL as files of tensors, which nobody has to unpickle."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crossmix.journeys.head import Head
from crossmix.journeys.layout import Layout
from crossmix.journeys.log import JourneyError
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.response import Net, Response
from crossmix.journeys.settings import Journeys
from crossmix.journeys.windows import Scaler

FILE = "journeys.pt"


def save(response: Response, mtorl: Mtorl, folder: Path) -> Path:
    """Write journeys.pt; its path."""
    content = {
        "net": response.net.state_dict(),
        "mtorl": mtorl.state_dict(),
        "layout": response.layout.to_dict(),
        "window": response.window,
        "mean": torch.from_numpy(response.scaler.mean_F),
        "deviation": torch.from_numpy(response.scaler.deviation_F),
        "otherwise": torch.from_numpy(response.otherwise_C),
        "heads": [_plain(head) for head in (*response.heads, *response.prior)],
    }
    torch.save(content, folder / FILE)
    return folder / FILE


def load(folder: Path, settings: Journeys) -> tuple[Response, Mtorl]:
    """Read journeys.pt, trained with these settings.

    Raises:
        JourneyError: the file is missing, or was trained with others.
    """
    try:
        content = torch.load(folder / FILE, weights_only=True)
        layout = Layout.from_dict(content["layout"])
        net = Net(layout.size, len(layout.channels), settings, (0.5, 0.5))
        net.load_state_dict(content["net"])
        mtorl = make_mtorl(layout, settings)
        mtorl.load_state_dict(content["mtorl"])
    except (OSError, KeyError, RuntimeError) as error:
        raise JourneyError(f"{folder / FILE}: cannot be read with these settings ({error}); train anew") from None
    click, conversion, *prior = (_head(plain) for plain in content["heads"])
    scaler = Scaler(content["mean"].numpy(), content["deviation"].numpy())
    response = Response(
        net.eval(), layout, scaler, int(content["window"]), (click, conversion), (prior[0], prior[1]),
        content["otherwise"].numpy(),
    )  # fmt: skip
    return response, mtorl.eval()


def make_mtorl(layout: Layout, settings: Journeys) -> Mtorl:
    """A fresh MTORL for steps of a layout."""
    learning = settings.learning
    return Mtorl(layout.size, len(layout.channels), learning.width, learning.dropout, settings.mtorl)


def _plain(head: Head) -> dict[str, Any]:
    values = {item.name: getattr(head, item.name) for item in fields(head)}
    return {name: torch.from_numpy(one) if isinstance(one, np.ndarray) else one for name, one in values.items()}


def _head(plain: dict[str, Any]) -> Head:
    values: dict[str, Any] = {
        name: one.numpy() if isinstance(one, torch.Tensor) else one for name, one in plain.items()
    }
    return Head(**values)
