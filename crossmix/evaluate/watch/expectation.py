"""What a bundle carries for its monitor, watch.npz: what is usual, thresholds, and quiet residuals to compare with.

Shapes: C campaigns, P platforms, Q quantities, I quiet cycles.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix.config import Levels
from crossmix.evaluate.watch.statistic import Thresholds
from crossmix.feedback import Array
from crossmix.market.level_evidence import LATER, QUANTITIES, Usual
from crossmix.market.price import EmpiricalPrice, LogNormalPrice, Price

if TYPE_CHECKING:
    # Who looks plays no market: simulator and calibration stay unread.
    from crossmix.evaluate.watch.quiet import Calibrated
    from crossmix.market.model import Market

FORMAT = 1
_TOGETHER = 100
"""Cells whose price tables are integrated at once: they stay in the cache."""
_THRESHOLDS = ("largest", "cusum", "reference", "cooldown", "windows", "scale_2WPQ")
_TABLES = tuple(one.name for one in fields(Usual) if one.name not in ("price", "days"))


class ExpectationError(ValueError):
    """A watch.npz that cannot be read; the message says why and the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What feedback is held against."""

    campaigns: tuple[str, ...]
    platforms: tuple[str, ...]
    currency: str
    cycle_hours: float
    usual: Usual
    """Of `campaigns`."""
    law: Levels
    thresholds: Thresholds
    budget: float
    """False alerts per 30 days that were allowed."""
    achieved: float
    """And that there were, on the quiet flights."""
    days: float
    """Quiet days of the advertiser that were simulated."""
    quiet_IPQ: Array
    """z of some quiet cycles."""

    @classmethod
    def of(cls, market: Market, law: Levels, budget: float, calibrated: Calibrated) -> Expectation:
        return cls(
            market.campaigns,
            market.platforms,
            market.currency,
            float(market.cycle_hours),
            Usual.of(market),
            law,
            calibrated.thresholds,
            budget,
            calibrated.achieved,
            calibrated.days,
            calibrated.z_IPQ,
        )

    def as_bytes(self) -> bytes:
        """As numpy's .npz, the same bytes each time; `from_bytes` reads it."""
        price = self.usual.price
        lognormal = isinstance(price, LogNormalPrice)
        told = {
            "format": FORMAT,
            "quantities": QUANTITIES,
            "campaigns": self.campaigns,
            "platforms": self.platforms,
            "currency": self.currency,
            "cycle_hours": self.cycle_hours,
            "days": self.usual.days,
            "law": asdict(self.law),
            "quiet": {"budget": self.budget, "achieved": self.achieved, "days": self.days},
        }
        tables: dict[str, NDArray[Any]] = {
            "told": np.array(json.dumps(told, sort_keys=True)),
            "quiet": self.quiet_IPQ.astype(np.float32),
            **{f"usual_{name}": getattr(self.usual, name).numpy() for name in _TABLES},
            **{f"threshold_{name}": np.asarray(getattr(self.thresholds, name)) for name in _THRESHOLDS},
        }
        parts = ("mu", "sigma") if lognormal else ("knots",)
        tables |= {f"price_{name}": getattr(price, name).numpy() for name in parts}
        file = io.BytesIO()
        np.savez_compressed(file, **tables)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Expectation:
        """Raises `ExpectationError`."""
        try:
            with np.load(io.BytesIO(data)) as archive:
                tables = dict(archive)
            told = json.loads(str(tables["told"]))
            if (told["format"], tuple(told["quantities"])) != (FORMAT, QUANTITIES):
                raise ExpectationError(f"watch.npz: format {told['format']}, this version reads {FORMAT}; train anew")
            usual = {
                name: torch.from_numpy(tables[f"usual_{name}"])
                for name in _TABLES
                if name not in LATER or f"usual_{name}" in tables
            }
            threshold = {name: tables[f"threshold_{name}"] for name in _THRESHOLDS}
            price = _price({name: torch.from_numpy(tables[name]) for name in tables if name.startswith("price_")})
            law = _law(told["law"])
        except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
            if isinstance(error, ExpectationError):
                raise
            raise ExpectationError(f"watch.npz: cannot be read ({error}); train anew") from None
        return cls(
            campaigns=tuple(told["campaigns"]),
            platforms=tuple(told["platforms"]),
            currency=told["currency"],
            cycle_hours=told["cycle_hours"],
            usual=Usual(price=price, days=told["days"], **usual),
            law=law,
            thresholds=Thresholds(
                largest=float(threshold["largest"]),
                cusum=float(threshold["cusum"]),
                reference=float(threshold["reference"]),
                cooldown=int(threshold["cooldown"]),
                windows=tuple(threshold["windows"].tolist()),
                scale_2WPQ=threshold["scale_2WPQ"],
            ),
            budget=told["quiet"]["budget"],
            achieved=told["quiet"]["achieved"],
            days=told["quiet"]["days"],
            quiet_IPQ=tables["quiet"].astype(np.float64),
        )


def _law(told: Mapping[str, Any]) -> Levels:
    """As it was written, which was checked then; raises `ValueError` where it is of other settings."""
    known = [one.name for one in fields(Levels)]
    if set(told) - set(known) or not all(isinstance(value, int | float) for value in told.values()):
        raise ValueError(f"law: {told}, where numbers called {', '.join(known)} are known")
    return Levels(**told)


def _price(tables: dict[str, Tensor]) -> Price:
    if "price_knots" not in tables:
        return LogNormalPrice(tables["price_mu"], tables["price_sigma"])
    knots = tables["price_knots"]
    area, area2 = (torch.from_numpy(table) for table in _integrals(knots.numpy()))
    return EmpiricalPrice(knots, area, area2)


def _integrals(knots: Array) -> tuple[Array, Array]:
    """As `EmpiricalPrice.of`, bit for bit, in place: a served advertiser's are tens of megabytes."""
    cells, step = knots.reshape(-1, knots.shape[-1]), 1 / (knots.shape[-1] - 1)
    area, area2 = np.empty_like(cells), np.empty_like(cells)
    area[:, 0] = area2[:, 0] = 0.0
    for first in range(0, len(cells), _TOGETHER):
        some = slice(first, first + _TOGETHER)
        left, right = cells[some, :-1], cells[some, 1:]
        piece = left + right
        piece *= 0.5
        piece *= step
        np.cumsum(piece, -1, out=area[some, 1:])
        square = np.square(cells[some])
        np.multiply(left, right, out=piece)
        piece += square[:, :-1]
        piece += square[:, 1:]
        piece /= 3
        piece *= step
        np.cumsum(piece, -1, out=area2[some, 1:])
    return area.reshape(knots.shape), area2.reshape(knots.shape)
