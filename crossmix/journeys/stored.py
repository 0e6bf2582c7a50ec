"""What the train step leaves: response model and MTORL, numbers as safetensors beside a header of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crossmix import files
from crossmix.artifacts.networks import load_tensors, save_tensors
from crossmix.journeys.head import Head
from crossmix.journeys.layout import Layout
from crossmix.journeys.log import JourneyError
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.net import Net
from crossmix.journeys.own import Own
from crossmix.journeys.response import Response
from crossmix.journeys.settings import Journeys
from crossmix.journeys.windows import Scaler

HEADER, TENSORS = "journeys.json", "journeys.safetensors"
VERSION = 2
"""Of what is stored: the second has a law of users' clicks with moves; the first had no number."""


def save(response: Response, mtorl: Mtorl, folder: Path) -> Path:
    """Write journeys.json and journeys.safetensors; the latter's path."""
    heads = (*response.heads, *response.prior)
    tensors = {f"net.{name}": one for name, one in response.net.state_dict().items()}
    tensors |= {f"own.{name}": one for name, one in response.own.state_dict().items()}
    tensors |= {f"mtorl.{name}": one for name, one in mtorl.state_dict().items()}
    arrays = {
        "mean": response.scaler.mean_F,
        "deviation": response.scaler.deviation_F,
        "otherwise": response.otherwise_C,
    }
    for number, head in enumerate(heads):
        arrays |= {f"heads.{number}.{name}": one for name, one in _values(head).items() if isinstance(one, np.ndarray)}
    save_tensors(folder / TENSORS, tensors | {name: torch.from_numpy(one) for name, one in arrays.items()})
    numbers = [{name: one for name, one in _values(head).items() if not isinstance(one, np.ndarray)} for head in heads]
    told = {"version": VERSION, "layout": response.layout.to_dict(), "window": response.window, "heads": numbers}
    files.write_json(folder / HEADER, told)
    return folder / TENSORS


def load(folder: Path, settings: Journeys) -> tuple[Response, Mtorl]:
    """Read what `save` wrote, trained with these settings.

    Raises:
        JourneyError: a file is missing, or was trained with others, or by another version.
    """
    try:
        told = json.loads((folder / HEADER).read_text())
        if told.get("version") != VERSION:
            raise JourneyError(
                f"{folder / HEADER}: was trained by another version of crossmix; `crossmix run --out OUT` trains anew"
            )
        tensors = load_tensors(folder / TENSORS)
        layout = Layout.from_dict(told["layout"])
        net, own = Net(layout, settings, (0.0, 0.0)), Own(layout)
        net.load_state_dict(_part(tensors, "net."))
        own.load_state_dict(_part(tensors, "own."))
        mtorl = make_mtorl(layout, settings)
        mtorl.load_state_dict(_part(tensors, "mtorl."))
        click, conversion, *prior = (
            _head(numbers, _part(tensors, f"heads.{number}.")) for number, numbers in enumerate(told["heads"])
        )
        scaler = Scaler(tensors["mean"].numpy(), tensors["deviation"].numpy())
        otherwise_C = tensors["otherwise"].numpy()
    except JourneyError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise JourneyError(f"{folder / TENSORS}: cannot be read with these settings ({error}); train anew") from None
    response = Response(
        net.eval(), own, layout, scaler, int(told["window"]), (click, conversion), (prior[0], prior[1]), otherwise_C
    )
    return response, mtorl.eval()


def make_mtorl(layout: Layout, settings: Journeys) -> Mtorl:
    """A fresh MTORL for steps of a layout."""
    learning = settings.learning
    return Mtorl(layout.size, len(layout.channels), learning.width, learning.dropout, settings.mtorl)


def _values(head: Head) -> dict[str, Any]:
    return {item.name: getattr(head, item.name) for item in fields(head)}


def _head(numbers: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> Head:
    values: dict[str, Any] = numbers | {name: one.numpy() for name, one in tensors.items()}
    return Head(**values)


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
