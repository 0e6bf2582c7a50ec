"""Kinds of values, and the one error of a configuration."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import ConfigDict, Field

PositiveInt = Annotated[int, Field(gt=0)]


NonNegativeInt = Annotated[int, Field(ge=0)]


NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


Fraction = Annotated[float, Field(ge=0, le=1)]


Name = Annotated[str, Field(min_length=1)]


STRICT = ConfigDict(extra="forbid")


T = TypeVar("T")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names field, value and remedy."""
