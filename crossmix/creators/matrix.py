"""The matrix of channel x phase x tier, its rules as linear rows over cell spends, and the check of a plan by name.

    sum_c a_rc x_c >= low_r          for every ratio rule r, x_c the spend of cell c, currency
    sum_c x_c <= budget

    order: x(head) - x(mid) >= 0, x(mid) - x(tail) >= 0
    share of spend: x(in) - least x(all) >= 0, most x(all) - x(in) >= 0
    share of budget: x(in) >= least budget, -x(in) >= -most budget

This is the one place where a rule becomes numbers: solver, projection, walk and check read these rows.

Shapes: C cells (channel, then phase, then tier), K classes (channel, then tier), P phases, R rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crossmix.creators.brief import Brief, BriefError, Order, Share
from crossmix.creators.catalogue import Catalogue, Flags, Floats, Ints

BUDGET = "budget"
MUST_HAVE = "must_have"
FORBIDDEN = "forbidden"
ONCE = "once"
ELIGIBLE = "eligible"

TOLERANCE = 1e-6
"""Of the budget: a shortfall below it is rounding."""

_Add = Callable[[str, Floats, float], None]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Cells in the order of the walk: channel, then phase, then tier."""

    channels: tuple[str, ...]
    phases: tuple[str, ...]
    tiers: tuple[str, ...]

    @property
    def cells(self) -> int:
        return len(self.channels) * len(self.phases) * len(self.tiers)

    @property
    def classes(self) -> int:
        """Channel and tier: what a creator has by itself; the phase is a choice."""
        return len(self.channels) * len(self.tiers)

    def label(self, cell: int) -> tuple[str, str, str]:
        """Channel, phase and tier of a cell."""
        channel, phase, tier = np.unravel_index(cell, self.shape)
        return self.channels[channel], self.phases[phase], self.tiers[tier]

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.channels), len(self.phases), len(self.tiers)

    def class_label(self, kind: int) -> tuple[str, str]:
        """Channel and tier of a class."""
        return self.channels[kind // len(self.tiers)], self.tiers[kind % len(self.tiers)]

    @property
    def cell_KP(self) -> Ints:
        """Cell of a class in a phase."""
        index = np.arange(self.cells).reshape(self.shape)
        return np.moveaxis(index, 1, 2).reshape(self.classes, len(self.phases))

    def members(self, channel: str | None = None, phase: str | None = None, tier: str | None = None) -> Flags:
        """Cells of a channel, phase and tier, (C,); `None`: all."""
        flags = np.ones(self.shape, bool)
        for axis, (names, name) in enumerate(
            ((self.channels, channel), (self.phases, phase), (self.tiers, tier)),
        ):
            if name is not None:
                only = np.zeros(len(names), bool)
                only[names.index(name)] = True
                flags &= only.reshape([-1 if at == axis else 1 for at in range(3)])
        return flags.reshape(-1)


@dataclass(frozen=True, slots=True)
class Rows:
    """Every ratio rule as a row: coefficient . spend >= low."""

    names: tuple[str, ...]
    coefficient_RC: Floats
    low_R: Floats
    """Currency."""

    def slack_R(self, spend_C: Floats) -> Floats:
        """Currency by which each row holds; negative: by which it is broken."""
        return self.coefficient_RC @ spend_C - self.low_R

    def without(self, rule: int) -> Rows:
        """The other rows."""
        keep = np.arange(len(self.names)) != rule
        names = tuple(name for at, name in enumerate(self.names) if at != rule)
        return Rows(names, self.coefficient_RC[keep], self.low_R[keep])


def matrix_of(brief: Brief) -> Matrix:
    """The matrix that a brief spans."""
    return Matrix(brief.channels, brief.phases, tuple(brief.tiers))


def rows_of(brief: Brief) -> Rows:
    """The brief's ratio rules as rows; a band makes two, an order of n names n - 1.

    Raises:
        BriefError: two rules come to the same row.
    """
    matrix = matrix_of(brief)
    names: list[str] = []
    coefficients: list[Floats] = []
    lows: list[float] = []

    def add(name: str, coefficient_C: Floats, low: float) -> None:
        if name in names:
            raise BriefError(f"brief.rules: {name!r} is there twice; drop one")
        names.append(name)
        coefficients.append(coefficient_C)
        lows.append(low)

    for rule in brief.rules:
        if isinstance(rule, Order):
            _order(matrix, rule, add)
        else:
            _share(matrix, rule, brief.budget, add)
    coefficient_RC = np.array(coefficients, np.float64).reshape(len(names), matrix.cells)
    return Rows(tuple(names), coefficient_RC, np.asarray(lows, np.float64))


def _order(matrix: Matrix, rule: Order, add: _Add) -> None:
    within = {axis: getattr(rule, axis) for axis in ("channel", "phase", "tier") if axis != rule.of}
    for more, less in zip(rule.names, rule.names[1:], strict=False):
        upper = matrix.members(**{**within, rule.of: more})
        lower = matrix.members(**{**within, rule.of: less})
        add(f"{more} >= {less}{_within(within.values())}", upper.astype(float) - lower.astype(float), 0.0)


def _share(matrix: Matrix, rule: Share, budget: float, add: _Add) -> None:
    inside = matrix.members(rule.channel, rule.phase, rule.tier).astype(float)
    words = [name for name in (rule.channel, rule.phase, rule.tier) if name is not None]
    where = " ".join(words) if words else "spend"
    whole, money = (np.ones(matrix.cells), 0.0) if rule.of == "spend" else (np.zeros(matrix.cells), budget)
    if rule.least > 0:
        add(f"{where} >= {rule.least:.6g} of {rule.of}", inside - rule.least * whole, rule.least * money)
    if rule.most < 1:
        add(f"{where} <= {rule.most:.6g} of {rule.of}", rule.most * whole - inside, -rule.most * money)


def _within(names: Iterable[str | None]) -> str:
    words = [name for name in names if name is not None]
    return f" in {' '.join(words)}" if words else ""


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a plan breaks."""

    rule: str
    """Name of a ratio rule, or `budget`, `must_have`, `forbidden`, `once`, `eligible`."""
    detail: str
    """By how much, or who."""


def tier_N(brief: Brief, followers_N: Floats) -> Ints:
    """Tier of each creator, (N,); -1 below the last."""
    least = np.asarray(list(brief.tiers.values()))
    return np.where(followers_N < least[-1], -1, np.argmax(followers_N[:, None] >= least[None, :], axis=1))


def check(
    catalogue: Catalogue, brief: Brief, chosen: Sequence[tuple[str, str]], spent_C: Floats | None = None
) -> list[Breach]:
    """Every rule that a plan breaks, from the catalogue and the brief alone.

    Args:
        chosen: creator and phase of each collaboration.
        spent_C: what was spent before by cell, currency; budget and ratio rules count it.
    """
    matrix, rows = matrix_of(brief), rows_of(brief)
    at = {name: row for row, name in enumerate(catalogue.ids)}
    member_N = catalogue.of_category(brief.category)
    tier = tier_N(brief, catalogue.followers_N)
    breaches: list[Breach] = []
    spend_C = np.zeros(matrix.cells) if spent_C is None else np.array(spent_C, np.float64)
    cost, taken = float(spend_C.sum()), set[str]()
    for name, phase in chosen:
        if name in taken:
            breaches.append(Breach(ONCE, f"{name} is there twice"))
        taken.add(name)
        row = at.get(name)
        channel = None if row is None else catalogue.channels[catalogue.channel_N[row]]
        if row is None or channel not in matrix.channels or not member_N[row] or tier[row] < 0:
            breaches.append(Breach(ELIGIBLE, f"{name} is not of the brief's channels, category and tiers"))
            continue
        if phase not in matrix.phases:
            breaches.append(Breach(ELIGIBLE, f"{name} is put into {phase!r}, which is no phase of the brief"))
            continue
        cell = np.ravel_multi_index(
            (matrix.channels.index(channel), matrix.phases.index(phase), int(tier[row])), matrix.shape
        )
        spend_C[cell] += catalogue.price_N[row]
        cost += float(catalogue.price_N[row])
    if cost > brief.budget * (1 + TOLERANCE):
        breaches.append(Breach(BUDGET, f"{cost:,.2f} of {brief.budget:,.2f}"))
    breaches += [Breach(MUST_HAVE, f"{name} is not there") for name in brief.must_have if name not in taken]
    breaches += [Breach(FORBIDDEN, f"{name} is there") for name in brief.forbidden if name in taken]
    for name, slack in zip(rows.names, rows.slack_R(spend_C), strict=True):
        if slack < -TOLERANCE * brief.budget:
            breaches.append(Breach(name, f"short of {-slack:,.2f}"))
    return breaches
