"""What a bundle carries for its monitor, watch.npz: what is usual, thresholds, and quiet residuals to compare with.

Shapes: C campaigns, P platforms, Q quantities, I quiet cycles.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix.config import Levels, strictly
from crossmix.evaluate.watch.quiet import Calibrated
from crossmix.evaluate.watch.statistic import Thresholds
from crossmix.feedback import Array
from crossmix.market.level_evidence import LATER, QUANTITIES, Usual
from crossmix.market.model import Market
from crossmix.market.price import EmpiricalPrice, LogNormalPrice, Price

FORMAT = 1
_TOGETHER = 200
"""Cells whose price tables are integrated at once: they stay in the cache, and are too few for a second thread."""
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
            law = strictly(Levels, told["law"], "watch.npz: law")
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


def _price(tables: dict[str, Tensor]) -> Price:
    if "price_knots" in tables:
        knots = tables["price_knots"]
        cells = torch.split(knots.reshape(-1, knots.shape[-1]), _TOGETHER)
        parts = [EmpiricalPrice.of(some) for some in cells]
        integrals = (torch.cat([getattr(part, name) for part in parts]) for name in ("area", "area2"))
        return EmpiricalPrice(knots, *(table.reshape(knots.shape) for table in integrals))
    return LogNormalPrice(tables["price_mu"], tables["price_sigma"])
