"""The state's layout: which numbers a policy sees, in which order, and how they are read and written by name.

Contract: docs/design.md#definitions.

A state is a fused context and behind it the statistics: every field of every platform slot, slot after slot, then the
campaign's. `ALLOCATION` is the layout of the budget split (§2.2, §2.5), 640 = 512 + 12 x 10 + 8; a bundle carries its
own, and `Layout.from_plain` refuses one whose kind or version this code does not build. Nobody else counts positions.

Training works on torch tensors, serving on numpy arrays (it runs without torch); the arithmetic is written once.

Shapes: B batch, S state, D context, X statistics, P platforms, F fields of a platform, C fields of the campaign.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    A = TypeVar("A", Tensor, NDArray[Any])

Array = NDArray[Any]

KINDS: dict[str, tuple[int, ...]] = {"allocation": (1,)}
"""The kinds of layout that this code builds the statistics of, and the versions of each."""


class LayoutError(ValueError):
    """A layout that cannot be built, or that lacks a field that is needed; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Field:
    """One number of the state, clamped to [low, high] by `Layout.encode`."""

    name: str
    unit: str
    low: float
    high: float
    cold: float = 0.0
    """Its value before the first cycle, where nobody knows better."""


@dataclass(frozen=True)
class Layout:
    """Which numbers a state holds and where: build one, and read and write states through it.

    Two layouts of the same numbers in the same order have the same `digest`, whatever their kind is called.
    """

    kind: str
    """What the statistics are of; one of `KINDS` where it is loaded."""
    version: int
    """Grows when a field of the same name comes to mean something else."""
    context_size: int
    """Width D of the fused context."""
    slots: int
    """Platforms at most; a log with fewer leaves the last slots zero."""
    platform_fields: tuple[Field, ...]
    """Of each slot, in order."""
    campaign_fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        for what, fields in (("platform", self.platform_fields), ("campaign", self.campaign_fields)):
            names = [field.name for field in fields]
            if len(set(names)) != len(names):
                raise LayoutError(
                    f"layout {self.label}: a {what} field comes twice in {', '.join(names)}; name each once"
                )
        if min(self.context_size, self.slots - 1) < 0:
            raise LayoutError(
                f"layout {self.label}: {self.context_size} of context, {self.slots} slots; give at least 0 and 1"
            )

    # ---- sizes and names ---------------------------------------------------------------------------------------------

    @cached_property
    def statistics_size(self) -> int:
        """Width X of the statistics."""
        return self._campaign_at + len(self.campaign_fields)

    @cached_property
    def size(self) -> int:
        """Width S of a state."""
        return self.context_size + self.statistics_size

    @cached_property
    def platform_names(self) -> tuple[str, ...]:
        """Names of the slots' statistics, slot after slot: `p0_previous_share` and so on."""
        return tuple(f"p{slot}_{field.name}" for slot in range(self.slots) for field in self.platform_fields)

    @cached_property
    def campaign_names(self) -> tuple[str, ...]:
        """Names of the campaign's statistics: `campaign_elapsed` and so on."""
        return tuple(f"campaign_{field.name}" for field in self.campaign_fields)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of every statistic, in order."""
        return (*self.platform_names, *self.campaign_names)

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The field of every statistic by its name, in order."""
        ordered = (*(self.platform_fields * self.slots), *self.campaign_fields)
        return dict(zip(self.names, ordered, strict=True))

    def platform(self, name: str) -> int:
        """Index of a platform field, within F; raises `LayoutError` for an unknown one."""
        return self._index(self._platform_index, name, "platform")

    def campaign(self, name: str) -> int:
        """Index of a campaign field, within C; raises `LayoutError` for an unknown one."""
        return self._index(self._campaign_index, name, "campaign")

    def index(self, name: str) -> int:
        """Index of a statistic, within X, by its name in `names`; raises `LayoutError` for an unknown one."""
        return self._index(self._statistic_index, name, "statistic")

    # ---- reading -----------------------------------------------------------------------------------------------------

    def context(self, state_BS: A) -> A:
        """The fused context (B, D) of states: a view."""
        part: A = state_BS[..., : self.context_size]
        return part

    def statistics(self, state_BS: A) -> A:
        """The statistics (B, X) of states: a view."""
        part: A = state_BS[..., self.context_size :]
        return part

    def split(self, state_BS: A, platforms: int | None = None) -> tuple[A, A, A]:
        """Context (B, D), the slots' fields (B, P, F) and the campaign's (B, C): views.

        Args:
            platforms: P, the slots in use; absent: all.
        """
        used = self.slots if platforms is None else platforms
        end = self.context_size + used * len(self.platform_fields)
        fields = state_BS[:, self.context_size : end].reshape(-1, used, len(self.platform_fields))
        return state_BS[:, : self.context_size], fields, state_BS[:, self.context_size + self._campaign_at :]

    def split_statistics(self, statistics_BX: A, platforms: int | None = None) -> tuple[A, A]:
        """The slots' fields (B, P, F) and the campaign's (B, C) of statistics: views."""
        used = self.slots if platforms is None else platforms
        width = len(self.platform_fields)
        fields = statistics_BX[:, : used * width].reshape(-1, used, width)
        return fields, statistics_BX[:, self._campaign_at :]

    def by_platform(self, platform_BPF: A) -> dict[str, A]:
        """Each platform field by name, (B, P): views."""
        return {field.name: platform_BPF[..., index] for index, field in enumerate(self.platform_fields)}

    def by_campaign(self, campaign_BC: A) -> dict[str, A]:
        """Each campaign field by name, (B,): views."""
        return {field.name: campaign_BC[..., index] for index, field in enumerate(self.campaign_fields)}

    def of_platforms(self, statistics_BX: A, name: str, platforms: int | None = None) -> A:
        """One field of the first `platforms` slots, (B, P) or, of one row of statistics, (P,): a view to write into."""
        width = len(self.platform_fields)
        end = width * (self.slots if platforms is None else platforms)
        column: A = statistics_BX[..., self.platform(name) : end : width]
        return column

    def of_campaign(self, statistics_BX: A, name: str) -> A:
        """One field of the campaign, (B,) or, of one row of statistics, a number."""
        column: A = statistics_BX[..., self._campaign_at + self.campaign(name)]
        return column

    # ---- writing -----------------------------------------------------------------------------------------------------

    def stack(self, platform: Mapping[str, A], campaign: Mapping[str, A]) -> tuple[A, A]:
        """Fields given by name as (B, P, F) and (B, C), in the layout's order.

        Args:
            platform, campaign: each field (B, P) and (B,); names that the layout lacks are left out.

        Raises:
            LayoutError: a field of the layout is not given.
        """
        for fields, values in ((self.platform_fields, platform), (self.campaign_fields, campaign)):
            for field in fields:
                if field.name not in values:
                    raise LayoutError(
                        f"layout {self.label}: nobody here knows {field.name}; serve it with the "
                        "crossmix that trained it"
                    )
        lib = _library(next(iter(platform.values())))
        return (
            lib.stack([platform[field.name] for field in self.platform_fields], 2),
            lib.stack([campaign[field.name] for field in self.campaign_fields], 1),
        )

    def write(
        self,
        statistics_X: Array,
        platform: Mapping[str, Array] | None = None,
        campaign: Mapping[str, float] | None = None,
    ) -> Array:
        """A float32 copy of one row of statistics with fields written in.

        Args:
            statistics_X: (X,), or anything of so many numbers.
            platform: fields by name, (P,) each: of the first slots.
            campaign: fields by name.

        Raises:
            LayoutError: the row has another width, or a field is unknown.
        """
        row_X = np.array(statistics_X, np.float32).reshape(-1)
        if len(row_X) != self.statistics_size:
            raise LayoutError(f"statistics: {len(row_X)} numbers; the layout has {self.statistics_size}")
        for name, value_P in (platform or {}).items():
            self.of_platforms(row_X, name, len(value_P))[:] = value_P
        for name, value in (campaign or {}).items():
            row_X[self._campaign_at + self.campaign(name)] = value
        return row_X

    def cold_start(self, platform: Mapping[str, Array], campaign: Mapping[str, float]) -> Array:
        """The statistics (X,) of a campaign before its first cycle, float32.

        Every field has its `Field.cold` in each of the P slots in use; what is known of the campaign takes its place.

        Args:
            platform, campaign: what is known by name, (P,) each and numbers; names that the layout lacks are left out.
        """
        platforms = len(next(iter(platform.values())))
        row_X = np.zeros(self.statistics_size, np.float32)
        for field in self.platform_fields:
            self.of_platforms(row_X, field.name, platforms)[:] = platform.get(field.name, field.cold)
        for field in self.campaign_fields:
            row_X[self._campaign_at + self.campaign(field.name)] = campaign.get(field.name, field.cold)
        return row_X

    def encode(self, context_BD: A, platform_BPF: A, campaign_BC: A) -> A:
        """Assemble states (B, S): the fused context, and `encode_statistics` behind it.

        Raises:
            ValueError: a shape does not fit the layout.
        """
        statistics_BX = self.encode_statistics(platform_BPF, campaign_BC)
        if context_BD.shape != (len(statistics_BX), self.context_size):
            raise ValueError(f"context {tuple(context_BD.shape)}: want {(len(statistics_BX), self.context_size)}")
        encoded: A = _library(statistics_BX).concatenate([context_BD, statistics_BX], 1)
        return encoded

    def encode_statistics(self, platform_BPF: A, campaign_BC: A) -> A:
        """Assemble statistics, of torch tensors or of numpy arrays.

        Args:
            platform_BPF: the fields of each of P <= `slots` platforms, in order.
            campaign_BC: the campaign's fields, in order.

        Returns:
            (B, X), every statistic clamped to its field's range; NaN and infinity become the field's low end
            (no observation yet), so that none leaves here.

        Raises:
            ValueError: a shape does not fit the layout.
        """
        batch, platforms, width = platform_BPF.shape
        if width != len(self.platform_fields) or platforms > self.slots:
            raise ValueError(
                f"platform statistics: got {platforms} x {width}, layout has {self.slots} x {len(self.platform_fields)}"
            )
        if campaign_BC.shape != (batch, len(self.campaign_fields)):
            raise ValueError(f"campaign {tuple(campaign_BC.shape)}: want {(batch, len(self.campaign_fields))}")
        lib = _library(platform_BPF)
        unused = lib.zeros_like(campaign_BC[:, :1]).repeat((self.slots - platforms) * width, 1).reshape(batch, -1)
        statistics_BX: A = lib.concatenate([platform_BPF.reshape(batch, -1), unused, campaign_BC], 1)
        return self.clamp(statistics_BX, platforms)

    def clamp(self, statistics_BX: A, platforms: int | None = None) -> A:
        """Clamp statistics to the layout's ranges; slots from `platforms` on become 0."""
        lib = _library(statistics_BX)
        low, high = (_as(edge, statistics_BX) for edge in self._edges)
        finite = lib.where(lib.isfinite(statistics_BX), statistics_BX, low)
        end = self._campaign_at if platforms is None else platforms * len(self.platform_fields)
        used = np.ones(self.statistics_size)
        used[end : self._campaign_at] = 0
        clamped: A = lib.minimum(lib.maximum(finite, low), high) * _as(used, statistics_BX)
        return clamped

    def bounds(self) -> tuple[Array, Array]:
        """Low and high of the statistics, each (X,) float32."""
        low, high = self._edges
        return low.astype(np.float32), high.astype(np.float32)

    # ---- plain data --------------------------------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """Kind and version, as messages name it."""
        return f"{self.kind} version {self.version}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the numbers in their order: name, unit, range of each, and the context's width."""
        return hashlib.sha256(json.dumps(self._numbers(), sort_keys=True).encode()).hexdigest()

    def as_plain(self) -> dict[str, Any]:
        """Plain data, ready for JSON; `from_plain` builds the layout back."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Any) -> Layout:
        """Build a layout from `as_plain`, or from the list of numbers that bundles held before layouts had a kind.

        Raises:
            LayoutError: it is of a kind or version that this code does not build, or no layout at all.
        """
        if isinstance(plain, list):
            if plain != ALLOCATION._numbers():
                raise LayoutError(
                    f"layout of {len(plain)} numbers without a kind: only {ALLOCATION.label} was stored so, and this "
                    "is another; serve it with the crossmix that trained it, or train again"
                )
            return ALLOCATION
        kind, version = (plain.get(name) if isinstance(plain, Mapping) else None for name in ("kind", "version"))
        if version not in KINDS.get(str(kind), ()):
            known = ", ".join(f"{name} version {one}" for name, versions in KINDS.items() for one in versions)
            raise LayoutError(
                f"layout {kind} version {version}: this version of crossmix builds {known}; serve it with the crossmix "
                "that trained it, or train again"
            )
        try:
            fields = {
                name: tuple(Field(**field) for field in plain[name]) for name in ("platform_fields", "campaign_fields")
            }
            return cls(str(kind), int(plain["version"]), int(plain["context_size"]), int(plain["slots"]), **fields)
        except LayoutError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise LayoutError(f"layout {kind} version {version}: it cannot be read ({error}); save it again") from None

    def _numbers(self) -> list[dict[str, object]]:
        """Every number of a state in order; what `digest` covers."""
        return [{"name": "context", "size": self.context_size, "unit": "fused context"}] + [
            {"name": name, "unit": field.unit, "low": field.low, "high": field.high}
            for name, field in self.fields.items()
        ]

    # ---- positions ---------------------------------------------------------------------------------------------------

    @cached_property
    def _campaign_at(self) -> int:
        """Where the campaign's fields begin among the statistics."""
        return self.slots * len(self.platform_fields)

    @cached_property
    def _platform_index(self) -> Mapping[str, int]:
        return {field.name: index for index, field in enumerate(self.platform_fields)}

    @cached_property
    def _campaign_index(self) -> Mapping[str, int]:
        return {field.name: index for index, field in enumerate(self.campaign_fields)}

    @cached_property
    def _statistic_index(self) -> Mapping[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @cached_property
    def _edges(self) -> tuple[Array, Array]:
        fields = self.fields.values()
        return np.array([field.low for field in fields], float), np.array([field.high for field in fields], float)

    def _index(self, table: Mapping[str, int], name: str, what: str) -> int:
        try:
            return table[name]
        except KeyError:
            raise LayoutError(
                f"layout {self.label}: it has no {what} field {name!r}; it has {', '.join(table)}"
            ) from None


ALLOCATION = Layout(
    kind="allocation",
    version=1,
    context_size=512,
    slots=10,
    platform_fields=(
        Field("previous_share", "share of the cycle budget", 0.0, 1.0),
        Field("budget_consumed", "platform spend so far / campaign budget so far", 0.0, 2.0),
        Field("utilisation", "spend / planned, over the window", 0.0, 2.0),
        Field("windowed_roi", "revenue / planned budget, over the window", 0.0, 50.0),
        Field("last_roi", "revenue / planned budget, last cycle", 0.0, 50.0),
        Field("windowed_ctr", "clicks / impressions, over the window", 0.0, 1.0),
        Field("windowed_cvr", "conversions / clicks, over the window", 0.0, 1.0),
        Field("win_rate", "impressions / requests, last cycle", 0.0, 1.0),
        Field("log_price", "ln of the mean price paid, last cycle", -20.0, 20.0),
        Field("max", "upper limit of the share", 0.0, 1.0),
        Field("min", "lower limit of the share", 0.0, 1.0),
        Field("log_supply", "ln of (cost of all requests / campaign cycle budget)", -10.0, 10.0),
    ),
    campaign_fields=(
        Field("elapsed", "cycles gone / cycles planned", 0.0, 1.0),
        Field("consumed", "spend so far / campaign budget", 0.0, 2.0),
        Field("pace", "remaining budget per remaining cycle / planned budget per cycle", 0.0, 5.0, cold=1.0),
        Field("weekday_sin", "sin(2 pi weekday / 7)", -1.0, 1.0),
        Field("weekday_cos", "cos(2 pi weekday / 7)", -1.0, 1.0),
        Field("windowed_roi", "revenue / planned budget, over the window", 0.0, 50.0),
        Field("windowed_ctr", "clicks / impressions, over the window", 0.0, 1.0),
        Field("windowed_cvr", "conversions / clicks, over the window", 0.0, 1.0),
    ),
)
"""The budget split's layout (§2.2): what `crossmix.history` tells of every campaign."""


def weekday_fields(weekday: Any) -> dict[str, Any]:
    """Sine and cosine of a weekday (Monday 0) by field name: of a number, an array or a tensor."""
    angle = 2 * math.pi * weekday / 7
    lib = _library(angle) if hasattr(angle, "dtype") else np
    return {"weekday_sin": lib.sin(angle), "weekday_cos": lib.cos(angle)}


def weekday_index(campaign: Mapping[str, Tensor]) -> Tensor:
    """The weekday (B,) that is nearest to `weekday_fields`, among `Layout.by_campaign`'s fields."""
    import torch

    sine, cosine = campaign["weekday_sin"], campaign["weekday_cos"]
    angle = torch.arange(7, device=sine.device) * (2 * torch.pi / 7)
    return (sine[:, None] * angle.sin() + cosine[:, None] * angle.cos()).argmax(1)


def _library(array: Any) -> Any:
    """The module whose functions work on `array`: numpy or torch."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    import torch

    return torch


def _as(values: Array, like: A) -> A:
    """`values` as an array of the library, type and device of `like`."""
    array: A = values.astype(like.dtype) if isinstance(like, np.ndarray) else like.new_tensor(values)
    return array
