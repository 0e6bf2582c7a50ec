"""What a person may send of a canary, and what is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from serving.fields import Body, faulty
from serving.http.answers import Answer

LONGEST = 100


def _version(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, str) and 0 < len(value) <= LONGEST and value.isprintable():
        return value
    raise faulty("give the number of a registered version, or an alias as challenger")


class NewCanary(Body):
    """A version to try."""

    called = "canary"
    version: Annotated[
        str,
        PlainValidator(_version),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "maxLength": LONGEST}]}),
        Field(description="number of a registered version, or an alias"),
    ] = "challenger"


class CanaryStep(Answer):
    """A step that has begun."""

    began: datetime
    part: float = Field(description="of the policy's users")


class CanaryRow(Answer):
    """A version on trial, now or before."""

    id: int
    state: Literal["running", "promoted", "rolled back", "ended"]
    version: int
    bundle: str
    champion: int | None = Field(description="version that served as it began")
    actor: str
    began: datetime
    parts: list[float] = Field(description="planned steps, of the policy's users; 1 promotes")
    cycles: int = Field(description="planned, of each step")
    step: int = Field(description="from 1")
    part: float = Field(description="of the policy's users, in the cycles that begin now")
    step_began: datetime
    steps: list[CanaryStep]
    ended: datetime | None
    outcome: str | None
    reason: str | None = Field(description="why it ended")
    ended_by: str | None
    settled: datetime | None = Field(description="since when every arm's answers name the version that they should")


class CanaryStanding(Answer):
    """How it stands against the policy."""

    verdict: Literal["broken", "holds", "insufficient data"]
    detail: str
    lift: float | None = Field(description="of ROI, relative")
    low: float | None = Field(description="always-valid; null: not bounded yet")
    high: float | None
    cycles: int = Field(description="finished with feedback, since it began")
    of_step: int = Field(description="of those, the ones that began in the step that runs")
    earlier: int = Field(description="degrees of freedom that cycles before told of the noise")


class CanaryAnswer(Answer):
    """The newest canary, how it stands, and those before."""

    canary: CanaryRow | None
    standing: CanaryStanding | None
    earlier: list[CanaryRow] = Field(description="the newest first")
