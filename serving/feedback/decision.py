"""What a person may say of cells that are held: each field is checked by itself. No database here."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from crossmix.metrics import ARMS, Arm
from serving.fields import Body, Name, Reason, Remedy, faulty

Cycle = Annotated[int, Field(ge=0), Remedy("give a whole number from 0")]


class Decision(Body):
    """Held cells of a campaign, or of a part of it, are to be believed, or not."""

    called = "decision"
    hints: ClassVar[dict[str, str]] = {"cycles": "send first and last"}
    campaign_id: Annotated[Name, Field(description="the campaign's name")]
    state: Annotated[
        Literal["confirmed", "discarded"],
        Field(description="confirmed: believed from now on; discarded: unknown for good"),
        Remedy("use confirmed (believed from now on) or discarded (unknown for good)"),
    ]
    arm: Annotated[Arm | None, Field(description="absent: all"), Remedy(f"use {' or '.join(ARMS)}")] = None
    platform: Annotated[Name | None, Field(description="absent: all")] = None
    first: Annotated[Cycle | None, Field(description="cycle; absent: from the first held one")] = None
    last: Annotated[Cycle | None, Field(description="cycle; absent: to the newest held one")] = None
    again: Annotated[bool, Remedy("give true or false"), Field(description="also what was decided otherwise")] = False
    reason: Reason = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first is not None and self.last is not None and self.last < self.first:
            raise faulty(f"last: {self.last} lies before first, {self.first}; give the later cycle last")
        return self

    @property
    def cycles(self) -> tuple[int, int] | None:
        """First and last; `None`: all."""
        if self.first is None and self.last is None:
            return None
        return self.first or 0, 2**31 - 1 if self.last is None else self.last
