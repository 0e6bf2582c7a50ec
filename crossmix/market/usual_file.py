"""What a fitted market holds for usual, as a file: what a server needs of the market that its policy was planned in.

    usual.npz   a table of each field of `Usual`, `campaigns` (C,) and `platforms` (P,) names; the price's model as
                `price.knots` (C, P, K + 1) or `price.mu`, `price.sigma` (C, P). Equal content gives equal bytes.

Shapes: C campaigns, P platforms, K pieces of a price's quantile function; those of `crossmix.market.level_evidence`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crossmix.market.level_evidence import LATER, QUANTITIES, Usual
from crossmix.market.model import Market
from crossmix.market.price import EmpiricalPrice, LogNormalPrice, Price

_TABLES = tuple(one.name for one in fields(Usual) if one.name not in ("price", "days"))
_CAMPAIGN_AXIS = {name: 1 if name.endswith("CP") else 0 for name in _TABLES}


class UsualError(ValueError):
    """A file that is not of this version; the message names the file and the remedy."""


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """`Usual` of named campaigns and platforms, rows and slots in this order."""

    usual: Usual
    campaigns: tuple[str, ...]
    platforms: tuple[str, ...]

    @classmethod
    def of(cls, market: Market) -> Named:
        """Of every campaign of a fitted market."""
        return cls(Usual.of(market), tuple(market.campaigns), tuple(market.platforms))

    def of_campaigns(self, names: Sequence[str]) -> Usual:
        """Rows of these campaigns, in this order.

        Raises:
            KeyError: one is not in it.
        """
        row = {name: number for number, name in enumerate(self.campaigns)}
        index = torch.tensor([row[name] for name in names], dtype=torch.long)
        tables: dict[str, Any] = {
            name: getattr(self.usual, name).index_select(axis, index) for name, axis in _CAMPAIGN_AXIS.items()
        }
        return replace(self.usual, price=_rows(self.usual.price, index), **tables)


def as_bytes(named: Named) -> bytes:
    """The file's content."""
    price = named.usual.price
    tables = {name: getattr(named.usual, name) for name in _TABLES}
    if isinstance(price, LogNormalPrice):
        tables |= {"price.mu": price.mu, "price.sigma": price.sigma}
    else:
        tables["price.knots"] = price.knots
    content = io.BytesIO()
    np.savez(
        content,
        quantities=np.array(QUANTITIES),
        campaigns=np.array(named.campaigns, dtype=str),
        platforms=np.array(named.platforms, dtype=str),
        days=np.array(named.usual.days),
        **{name: table.double().numpy() for name, table in tables.items()},
    )
    return content.getvalue()


def load(file: Path) -> Named:
    """Read what `as_bytes` wrote.

    Raises:
        UsualError: the file is missing, or of another version.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            content = dict(archive)
        if tuple(content["quantities"].tolist()) != QUANTITIES:
            raise KeyError("quantities")
        tables: dict[str, Any] = {
            name: torch.from_numpy(content[name]) for name in _TABLES if name in content or name not in LATER
        }
        price = _price(content)
        campaigns, platforms, days = content["campaigns"], content["platforms"], float(content["days"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsualError(
            f"{file}: not what this version reads as usual ({error}); train again, or save the bundle again"
        ) from None
    usual = Usual(price=price, days=days, **tables)
    return Named(usual, tuple(campaigns.tolist()), tuple(platforms.tolist()))


def _price(content: dict[str, Any]) -> Price:
    if "price.knots" in content:
        return EmpiricalPrice.of(torch.from_numpy(content["price.knots"]))
    return LogNormalPrice(torch.from_numpy(content["price.mu"]), torch.from_numpy(content["price.sigma"]))


def _rows(price: Price, index: torch.Tensor) -> Price:
    if isinstance(price, LogNormalPrice):
        return LogNormalPrice(price.mu[index], price.sigma[index])
    return EmpiricalPrice.of(price.knots[index])


__all__ = ["Named", "UsualError", "as_bytes", "load"]
