"""Platforms and campaigns that spend, day by day, what others spend together: totals that would count money twice.

A total need not be of all: `Paid social` may stand beside the platforms that it adds up. Nor need it have every figure:
some leave out impressions, or count people once. It is proved by its impressions or clicks, or by amounts that are
equal to the cent on days that differ, unless delivery that it and all its parts tell says otherwise. Platforms whose
every figure is a fixed share of one plan add up by chance: what has 15 % is no total of those of 5 and 10 %, on one day
as on all; what always has half is none of others whose shares of the rest move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.sources.history.sheet import is_total

SUM_TOLERANCE = 0.005
"""Sums that are equal to so much, on nearly every day, are the same."""
NEARLY_ALL = 0.95
LEAST_DAYS = 14
"""Days with spend that tell it."""
MOST_PARTS = 10
"""Of so many others every choice is added up; of more, those that spend most."""
CENT = 0.006
"""Amounts are rounded one by one."""
WITH_FEES = 1.5
"""A total whose impressions and clicks are the others' sum may spend so much more: fees and taxes."""
APART = 0.005
"""Standard deviation over days of a part's share in a sum from which on parts move by themselves."""
MORE, STRAYS = 1.05, 0.1
"""What has money alone to prove it is no total where it is shown or clicked so many times as much as its parts
together, or strays from them by so much (robust deviation of the logarithm): people counted once are fewer, and as
many fewer each day."""
FIGURES = ("spend", "impressions", "clicks")

Array = npt.NDArray[np.float64]
Choices = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sum:
    """A name that has what others have together."""

    name: str
    others: tuple[str, ...]
    whole: bool
    """They are all others."""
    platform: str | None = None
    """Of a campaign: on which platform."""

    @property
    def labelled(self) -> bool:
        """Whether it is called a total, or nothing."""
        return is_total(self.name) or not self.name.strip()

    def rows(self, names: Mapping[str, Sequence[str]]) -> npt.NDArray[np.bool_]:
        """Which rows are its own; `names`: `platform` and, of a campaign, `campaign`."""
        if self.platform is None:
            return np.array([name == self.name for name in names["platform"]], bool)
        pairs = zip(names["platform"], names["campaign"], strict=True)
        return np.array([pair == (self.platform, self.name) for pair in pairs], bool)

    def left_out(self) -> str:
        """That its rows are left out."""
        if self.platform is None:
            return f"The platform {self.name!r} is the sum of {self._parts()}, day by day; its rows are left out."
        called = f"The campaign {self.name!r}" if self.name.strip() else "What has no campaign"
        return f"{called} of {self.platform!r} is the sum of the others, day by day; its rows are left out."

    def _parts(self) -> str:
        return "the others" if self.whole else ", ".join(self.others[:12])

    def sentence(self) -> str:
        """Why it is refused."""
        field = "platform" if self.platform is None else "campaign"
        where = "" if self.platform is None else f" of {self.platform!r}"
        shown = ", ".join(self.others[:12])
        others = f"the others ({shown})" if self.whole else shown
        return (
            f"{field}: {self.name!r}{where} spends day by day what {others} spend together; its money would "
            "count twice: leave its rows out"
        )


def found(frame: pd.DataFrame) -> Sum | None:
    """The first name that is others' sum: one that is called a total before others, else the largest.

    Args:
        frame: `platform`, `day`, FIGURES and, where there are any, `campaign`.
    """
    sums = _among(_tables(frame, "platform"), parts=True)
    if not sums and "campaign" in frame:
        for platform, rows in frame.groupby("platform", observed=True):
            spend = _tables(rows[["day", "campaign", "spend"]], "campaign").get("spend")
            # Of hundreds of campaigns hardly one may be all others' sum.
            if spend is not None and spend.shape[1] > 1 and _likely(spend.to_numpy()).any():
                own = _among(_tables(rows, "campaign"), parts=False)
                sums += [Sum(one.name, one.others, one.whole, str(platform)) for one in own]
    return max(sums, key=lambda one: (one.labelled, len(one.others)), default=None)


def twins(frame: pd.DataFrame) -> tuple[str, str, int] | None:
    """Two platforms with the same spend, impressions and clicks day by day, the one with more days first, and the days.

    One account's money told by two reports (Google Ads and GA4, which imports it) would count twice. Equal spend alone
    may be equal shares of a plan; that delivery too is equal on days that differ is no chance.

    Args:
        frame: `platform`, `day` and FIGURES.
    """
    tables = _tables(frame, "platform")
    if len(tables) < len(FIGURES):
        return None
    spend = tables["spend"]
    value = [tables[name].reindex(index=spend.index, columns=spend.columns).to_numpy() for name in FIGURES]
    order = np.argsort((value[0] > 0).sum(axis=0), kind="stable")
    for place, at in enumerate(order):
        busy = (value[0][:, at] > 0) & (value[1][:, at] > 0) & (value[2][:, at] > 0)
        if busy.sum() < LEAST_DAYS or any(len(np.unique(table[busy, at])) <= busy.sum() / 2 for table in value[:2]):
            continue
        same = [_share(table[busy].T, table[busy, at], SUM_TOLERANCE) >= NEARLY_ALL for table in value]
        for other in order[place + 1 :]:
            if all(equal[other] for equal in same):
                return str(spend.columns[other]), str(spend.columns[at]), int(busy.sum())
    return None


def _tables(frame: pd.DataFrame, by: str) -> dict[str, pd.DataFrame]:
    """FIGURES by day and name; a name without any value of a figure has no column of it."""
    told = [name for name in FIGURES if name in frame and frame[name].notna().any()]
    sums = frame.groupby(["day", by], observed=True)[told].sum()
    return {name: sums[name].unstack(fill_value=0.0) for name in told}


def _among(tables: Mapping[str, pd.DataFrame], *, parts: bool) -> list[Sum]:
    """Names that are others' sum.

    Args:
        parts: of some others too; else of all.
    """
    if "spend" not in tables:
        return []
    spend = tables["spend"]
    names = [str(name) for name in spend.columns]
    value = {name: table.reindex(index=spend.index, columns=names).to_numpy() for name, table in tables.items()}
    sums = []
    likely = np.ones(len(names), bool) if parts else _likely(value["spend"])
    for at, name in enumerate(names):
        busy = value["spend"][:, at] > 0
        if len(names) < 2 or busy.sum() < LEAST_DAYS or not likely[at]:
            continue
        own = {figure: amounts[busy, at] for figure, amounts in value.items()}
        rest = {figure: np.nan_to_num(np.delete(amounts[busy], at, axis=1)) for figure, amounts in value.items()}
        others = [other for other in names if other != name]
        choice = _chosen(own, rest, parts=parts, least=1 if is_total(name) or not name.strip() else 2)
        if choice is not None:
            found = tuple(other for other, one in zip(others, choice, strict=True) if one)
            paying = rest["spend"].any(axis=0)
            sums.append((float(own["spend"].sum()), Sum(name, found, bool((choice | ~paying).all()))))
    return [one for _, one in sorted(sums, key=lambda pair: -pair[0])]


def _likely(spend: Array) -> npt.NDArray[np.bool_]:
    """Which names (D, N) spend what all others do, on nearly all of their days or over them with fees: what `_chosen`
    asks of them at least, a little wider."""
    own, busy = np.nan_to_num(spend), spend > 0
    rest = own.sum(axis=1, keepdims=True) - own
    slack = 1.01 * np.maximum(SUM_TOLERANCE * own, CENT * (own.shape[1] + 1))
    near = (busy & (np.abs(rest - own) <= slack)).sum(axis=0) >= NEARLY_ALL * busy.sum(axis=0)
    paid, others = ((busy * amounts).sum(axis=0) for amounts in (own, rest))
    fees = (1.01 * others * WITH_FEES >= paid) & (others <= 1.01 * paid * WITH_FEES)
    return np.asarray(near | fees)


def _chosen(own: Mapping[str, Array], rest: Mapping[str, Array], *, parts: bool, least: int) -> Choices | None:
    """Which others a name is the sum of.

    Args:
        own: (D,) by figure; NaN where it has no such figure.
        rest: (D, N) by figure.
        least: so many others at least; of a name that says total, one.
    """
    choices = _choices(own["spend"], rest["spend"], parts=parts)
    sums = {name: choices.astype(float) @ amounts.T for name, amounts in rest.items()}
    spent = _share(sums["spend"], own["spend"], SUM_TOLERANCE) >= NEARLY_ALL
    counted = [name for name in FIGURES[1:] if name in own and np.nan_to_num(own[name]).any()]
    near_by = {name: _share(sums[name], own[name], SUM_TOLERANCE) >= NEARLY_ALL for name in counted}
    same_by = [_share(sums[name], own[name], 0.0) >= NEARLY_ALL for name in counted]
    size = choices.sum(1)
    cents = np.abs(sums["spend"] - own["spend"]) <= CENT * (size + 1)[:, None]
    differ = len(np.unique(own["spend"].round(2))) > len(own["spend"]) / 2
    exact = (cents.mean(1) >= NEARLY_ALL) & differ
    near = np.logical_or.reduce(list(near_by.values()), axis=0, initial=False)
    same = np.logical_and.reduce(same_by, axis=0, initial=len(counted) > 1)
    fees = sums["spend"].sum(1) >= own["spend"].sum() / WITH_FEES
    fees &= sums["spend"].sum(1) <= own["spend"].sum() * WITH_FEES
    # Two that are equal may be one under two names, or shares of a plan; a total is of several.
    proved = (size >= least) & ((spent & near) | exact | (same & fees))
    fits = np.flatnonzero(proved)
    if least > 1:
        equal = near_by | {"spend": spent | exact}
        # All others, by people and clicks exactly: shares may be fixed.
        surely = same & (np.arange(len(choices)) == 0)
        counts = (spent & near) | (same & fees)
        told = [
            surely[fit]
            or (
                any(_apart(rest[name][:, choices[fit]]) for name, is_equal in equal.items() if is_equal[fit])
                and (counts[fit] or not any(_denies(own[name], rest[name][:, choices[fit]]) for name in counted))
            )
            for fit in fits
        ]
        fits = fits[np.array(told, bool)]
    return choices[fits[size[fits].argmax()]] if len(fits) else None


def _apart(parts: Array) -> bool:
    """Whether parts (D, N) of a sum are more than fixed shares of it."""
    total = parts.sum(axis=1, keepdims=True)
    shares = parts[total[:, 0] > 0] / total[total[:, 0] > 0]
    return len(shares) > 0 and bool(shares.std(axis=0).max() > APART)


def _denies(own: Array, parts: Array) -> bool:
    """Whether a figure that a name (D,) and each of its parts (D, N) have says that it is not theirs together."""
    known = (own > 0) & (parts > 0).all(axis=1)
    if known.sum() < LEAST_DAYS:
        return False
    off = np.log(own[known] / parts[known].sum(axis=1))
    middle = np.median(off)
    return bool(middle > np.log(MORE) or 1.4826 * np.median(np.abs(off - middle)) > STRAYS)


def _choices(own: Array, rest: Array, *, parts: bool) -> Choices:
    """Rows of others that may add up to a name: all, and with `parts` every choice of those that never spend more."""
    every = np.ones((1, rest.shape[1]), bool)
    if not parts:
        return every
    paying = rest.sum(axis=0) > 0
    within = paying & ((rest <= own[:, None] * WITH_FEES).mean(axis=0) >= NEARLY_ALL)
    free = np.flatnonzero(within)
    free = free[np.argsort(-rest[:, free].sum(axis=0), kind="stable")][:MOST_PARTS]
    bits = (np.arange(1, 1 << len(free))[:, None] >> np.arange(len(free))) & 1
    some = np.zeros((len(bits), rest.shape[1]), bool)
    some[:, free] = bits == 1
    return np.vstack([every, some])


def _share(sums: Array, own: Array, tolerance: float) -> Array:
    """Of each row of sums (S, D) the share of days on which it is a name's figure (D,)."""
    slack = np.maximum(tolerance * np.abs(own), 0.5 if tolerance == 0 else 0.011)
    result: Array = (np.abs(sums - own) <= slack).mean(axis=1)
    return result
