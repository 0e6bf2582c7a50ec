"""Money below 0: a ledger's sign, which is turned, or credits, which stay (`ingest.bookings`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crossmix.schema import DataError
from crossmix.sources.history.numbers import values

LEAST = 14
"""Rows that tell a platform's sign."""
DOUBTFUL = {"spend": 0.2, "revenue": 0.5}
"""Part of a platform's money below 0 from which on it is no credit."""


def settle(columns: Mapping[str, Sequence[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """The columns with spend and revenue above 0 where all of a platform's are below; and sentences for the user.

    Args:
        columns: with plain numbers.

    Raises:
        DataError: much of a platform's money is below 0, and not all.
    """
    result = {name: list(texts) for name, texts in columns.items()}
    platform = np.array(columns["platform"], dtype=object)
    notes = []
    for name, most in DOUBTFUL.items():
        amount = np.nan_to_num(values(columns[name])) if name in columns else np.zeros(0)
        if not (amount < 0).any():
            continue
        turned = []
        for one in dict.fromkeys(platform[amount < 0].tolist()):
            own = amount[(platform == one) & (amount != 0)]
            below = -own[own < 0].sum() / np.abs(own).sum()
            if len(own) >= LEAST and below == 1:
                turned.append(str(one))
            elif len(own) >= LEAST and below > most:
                raise DataError(
                    f"{name}: {one!r} has {(own < 0).sum():,} of {len(own):,} rows below 0, {below:.0%} of its money; "
                    "credits are less: write what was paid and earned above 0, and credits alone below"
                )
        if turned:
            shown = ", ".join(turned[:8])
            notes.append(
                f"{name.capitalize()} of {shown} is below 0 in every row, as a ledger has it; its sign is turned."
            )
            of = np.isin(platform, turned)
            result[name] = [
                text.lstrip().removeprefix("-") if turn and value < 0 else text
                for text, turn, value in zip(result[name], of, amount, strict=True)
            ]
    return result, notes
