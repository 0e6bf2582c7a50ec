"""What is wanted: a brief, read strictly from YAML or from a mapping.

```yaml
name: spring lipstick
budget: 100000
currency: EUR
category: beauty            # null: any
channels: [instagram, tiktok]
phases: [teaser, launch]    # in the order of the walk
tiers: {head: 500000, mid: 50000, tail: 0}   # least followers, from the largest down
audience: {tiktok: 400000}  # effect that a cell of the channel saturates towards
rules:
  - {kind: order, of: tier, names: [head, mid, tail]}
  - {kind: share, phase: launch, least: 0.4, most: 0.7}
  - {kind: share, channel: tiktok, tier: head, most: 0.3}
  - {kind: share, of: budget, least: 0.9}
must_have: [c17]
forbidden: [c3]
```
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from crossmix.config.values import STRICT, Fraction, Name, NonNegative, Positive

AXES = ("channel", "phase", "tier")
MOST_NAMES = 50
"""Channels, phases or tiers of a brief."""
MOST_CELLS = 1_000
"""Channels x phases x tiers: the solver's rows and columns are of cells."""
MOST_RULES = 200
MOST_CREATORS = 100_000
"""Of those that must be there, and of those that must not."""


class BriefError(ValueError):
    """A brief that cannot be used; the message names field, value and remedy."""


class InfeasibleError(BriefError):
    """A brief that no plan can meet; `rules` are the names of those that cannot hold together."""

    def __init__(self, message: str, rules: tuple[str, ...]) -> None:
        super().__init__(message)
        self.rules = rules

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.rules)


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """Spend falls, or stays, from each name to the next."""

    __pydantic_config__ = STRICT
    kind: Literal["order"]
    of: Literal["channel", "phase", "tier"]
    """What the names are."""
    names: Annotated[tuple[Name, ...], Field(min_length=2, max_length=MOST_NAMES)]
    """From the largest spend to the smallest."""
    channel: Name | None = None
    """Of this channel's cells alone."""
    phase: Name | None = None
    """Of this phase's cells alone."""
    tier: Name | None = None
    """Of this tier's cells alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """The cells' share of what is spent, or of the budget, lies in a band."""

    __pydantic_config__ = STRICT
    kind: Literal["share"]
    of: Literal["spend", "budget"] = "spend"
    channel: Name | None = None
    phase: Name | None = None
    tier: Name | None = None
    least: Fraction = 0.0
    most: Fraction = 1.0


Rule = Annotated[Order | Share, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Brief:
    """What a plan is for, and what it must keep."""

    __pydantic_config__ = STRICT
    name: Name = "brief"
    budget: Positive
    """Most that may be spent; currency."""
    currency: Name
    """Of budget and prices."""
    category: Name | None = None
    """Creators of this category alone; null: all."""
    channels: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_NAMES)]
    phases: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_NAMES)]
    """In the order of time."""
    tiers: Annotated[dict[Name, NonNegative], Field(min_length=1, max_length=MOST_NAMES)]
    """Least followers of each tier, from the largest down; a creator below the last is not eligible."""
    audience: dict[Name, Positive] = field(default_factory=dict)
    """Effect that each cell of a channel saturates towards; channels without one have the settings' share."""
    rules: Annotated[tuple[Rule, ...], Field(max_length=MOST_RULES)] = ()
    must_have: Annotated[tuple[Name, ...], Field(max_length=MOST_CREATORS)] = ()
    """Creators that every plan has."""
    forbidden: Annotated[tuple[Name, ...], Field(max_length=MOST_CREATORS)] = ()
    """Creators that no plan has."""

    def names(self, axis: str) -> tuple[str, ...]:
        """Channels, phases or tiers."""
        return {"channel": self.channels, "phase": self.phases, "tier": tuple(self.tiers)}[axis]


def load(path: Path) -> Brief:
    """A brief from a YAML file.

    Raises:
        BriefError: what cannot be read or does not fit.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise BriefError(f"{path}: no such file; name a YAML file with a brief") from None
    except UnicodeDecodeError:
        raise BriefError(f"{path}: not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise BriefError(f"{path}: cannot be read ({error.strerror}); name a YAML file with a brief") from None
    return from_yaml(text)


def from_yaml(text: str) -> Brief:
    """A brief from YAML; a key that is there twice is refused, as YAML itself has it."""
    import yaml

    class Strict(yaml.SafeLoader):
        """YAML's plain kinds, without repeated keys."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            if (twice := repeated(keys)) is not None:
                raise BriefError(f"brief: key {twice!r} is there twice; drop one")
            return super().construct_mapping(node, deep)

    try:
        tree = yaml.load(text, Strict)
    except BriefError:
        raise
    except (yaml.YAMLError, ValueError, AttributeError, TypeError, RecursionError) as error:
        # of a number or date that is none PyYAML raises whatever its parser met
        raise BriefError(f"brief: not YAML: {_short(str(error), 300)}; correct it") from None
    if not isinstance(tree, Mapping):
        raise BriefError(f"brief: {_short(repr(tree))} is no mapping; write keys and values, as budget: 100000")
    return of(tree)


def of(tree: Mapping[str, Any]) -> Brief:
    """A brief from plain data, as strict as from YAML.

    Raises:
        BriefError: an unknown key, a wrong type, a value outside its domain, names that do not fit together.
    """
    try:
        brief = _ADAPTER.validate_json(json.dumps(tree), strict=True)
    except (TypeError, ValueError, RecursionError) as error:
        if isinstance(error, ValidationError):
            raise BriefError(_explain(error)) from None
        raise BriefError(
            f"brief: not plain data ({_short(str(error))}); write text, numbers, lists and mappings"
        ) from None
    _check(brief)
    return brief


_ADAPTER = TypeAdapter(Brief)


def _check(brief: Brief) -> None:
    for where, names in (
        ("channels", brief.channels),
        ("phases", brief.phases),
        ("must_have", brief.must_have),
        ("forbidden", brief.forbidden),
    ):
        if (twice := repeated(names)) is not None:
            raise BriefError(f"brief.{where}: {twice!r} is there twice; drop one")
    cells = len(brief.channels) * len(brief.phases) * len(brief.tiers)
    if cells > MOST_CELLS:
        raise BriefError(
            f"brief.phases: {len(brief.channels)} channels x {len(brief.phases)} phases x {len(brief.tiers)} tiers are "
            f"{cells:,} cells, a plan has {MOST_CELLS:,} at most; drop some, or write several briefs"
        )
    forbidden = frozenset(brief.forbidden)
    both = [name for name in brief.must_have if name in forbidden]
    if both:
        raise BriefError(f"brief.must_have: {both[0]!r} is forbidden too; drop it from one of the two")
    tiers = list(brief.tiers.items())
    for (upper, high), (lower, low) in pairwise(tiers):
        if low >= high:
            raise BriefError(
                f"brief.tiers.{lower}: {low:g} is not below {upper}'s {high:g}; order tiers from the largest down"
            )
    for name in brief.audience:
        if name not in brief.channels:
            raise BriefError(f"brief.audience.{name}: no such channel; use {', '.join(brief.channels)}")
    for at, rule in enumerate(brief.rules):
        _check_rule(brief, f"brief.rules.{at}", rule)


def _check_rule(brief: Brief, where: str, rule: Order | Share) -> None:
    for axis in AXES:
        name = getattr(rule, axis)
        if name is not None and name not in brief.names(axis):
            raise BriefError(f"{where}.{axis}: {name!r} is no {axis} of this brief; use {', '.join(brief.names(axis))}")
    if isinstance(rule, Order):
        if getattr(rule, rule.of) is not None:
            raise BriefError(f"{where}.{rule.of}: an order of {rule.of}s cannot be within one; drop the key")
        for name in rule.names:
            if name not in brief.names(rule.of):
                known = ", ".join(brief.names(rule.of))
                raise BriefError(f"{where}.names: {name!r} is no {rule.of} of this brief; use {known}")
            if rule.names.count(name) > 1:
                raise BriefError(f"{where}.names: {name!r} is there twice; drop one")
        return
    if rule.least > rule.most:
        raise BriefError(f"{where}.least: {rule.least:g} is above most = {rule.most:g}; lower it")
    if rule.least == 0 and rule.most == 1:
        raise BriefError(f"{where}: asks for nothing; give least or most")
    if rule.of == "spend" and all(getattr(rule, axis) is None for axis in AXES):
        raise BriefError(
            f"{where}: all cells have all of the spend; name a channel, phase or tier, or write of: budget"
        )


def repeated(names: Iterable[Any]) -> Any:
    """The first that is there a second time; `None`: none is."""
    seen: set[Any] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _short(text: str, most: int = 80) -> str:
    """In one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}..."


REMEDIES = {
    "greater_than": "give a number above {gt:g}",
    "greater_than_equal": "give {ge:g} or more",
    "less_than_equal": "give {le:g} at most; of a share 0.4 is 40 %",
    "float_type": "give a number, without quotes",
    "finite_number": "give a finite number",
    "too_short": "name at least {min_length}",
    "too_long": "name {max_length} at most",
    "string_too_short": "give a name",
    "tuple_type": "write a list, as [a, b]",
    "dict_type": "write names and values, as name: value",
    "dataclass_type": "write names and values, as name: value",
    "literal_error": "use {expected}",
}
"""What to write instead, by what pydantic says is wrong."""
FEW = 3
"""Mistakes that are told at once."""


def _remedy(item: ErrorDetails) -> str:
    known = REMEDIES.get(item["type"])
    return _short(item["msg"], 160) if known is None else known.format(**item.get("ctx", {}))


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        parts = [_short(str(part)) for part in item["loc"] if part not in ("order", "share")]
        where = ".".join(["brief", *parts])
        if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            kinds = (Order, Share) if "rules" in parts else (Brief,)
            known = list(dict.fromkeys(one.name for kind in kinds for one in fields(kind)))
            close = difflib.get_close_matches(parts[-1], known, n=1)
            lines.append(f"{where}: unknown key; {f'did you mean {close[0]}?' if close else 'use ' + ', '.join(known)}")
        elif item["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
            lines.append(f"{where}: is missing; give it")
        elif item["type"] == "string_type":
            lines.append(f"{where}: {_short(repr(item['input']))} is no text; put it in quotes")
        elif item["type"].startswith("union_tag"):
            lines.append(f"{where}.kind: write kind: order or kind: share")
        else:
            lines.append(f"{where}: {_short(repr(item['input']))} does not fit; {_remedy(item)}")
    lines = list(dict.fromkeys(lines))
    more = len(lines) - FEW
    return "; ".join([*lines[:FEW], *([f"and {more} more like these"] if more > 0 else [])])
