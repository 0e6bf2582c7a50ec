"""What a person may send of an experiment: each field is checked by itself. No database here."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from crossmix.ledger.experiments import Plan
from serving.assignment.arms import Experiment, ExperimentFieldError
from serving.campaigns.schema import Cycles, Hours
from serving.fields import Body, CampaignError, Name, Remedy, faulty

LONGEST_SALT = 200
WEIGHT, CYCLES, LEVEL = 0.7, 14, 0.05


def _salt(value: Any) -> str | None:
    # No sentence shows what was sent: it may be nearly the salt.
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_SALT or not value.isprintable():
        raise faulty(f"it cannot be used; give 1 to {LONGEST_SALT} printable characters, or leave it out")
    return value


Salt = Annotated[
    str | None,
    PlainValidator(_salt),
    WithJsonSchema({"type": ["string", "null"], "writeOnly": True, "maxLength": LONGEST_SALT}),
    Field(description="shuffles users into arms; absent: random; it is kept in the database and shown nowhere"),
]
Weight = Annotated[
    float,
    Field(ge=0, le=1, allow_inf_nan=False, description="the policy's part of users and budget"),
    Remedy("give a share from 0 to 1, as 0.7"),
]
Level = Annotated[
    float,
    Field(gt=0, le=0.5, allow_inf_nan=False, description="chance of a false positive"),
    Remedy("give a chance above 0, 0.5 at most, as 0.05"),
]
Names = Annotated[list[Name], Remedy("give an array of campaigns' names")]


class NewExperiment(Body):
    """An experiment to begin; the one that runs ends."""

    called = "experiment"
    hints: ClassVar[dict[str, str]] = {"weights": "send weight, the policy's; the control has the rest"}
    id: Annotated[Name, Field(description="its name")]
    weight: Weight = WEIGHT
    days: Cycles = CYCLES
    level: Level = LEVEL
    cycle_hours: Annotated[Hours | None, Field(description="of its cycles; absent: as most of its campaigns have")] = (
        None
    )
    included: Annotated[Names | None, Field(description="its campaigns; absent: all")] = None
    excluded: Annotated[Names | None, Field(description="campaigns that its verdict leaves out")] = None
    salt: Salt = None

    def plan(self) -> Plan:
        """The same for the ledger, with a salt; raises `CampaignError` for a weight of no whole number of buckets."""
        salt = self.salt or secrets.token_hex(16)
        weights = {"policy": self.weight, "control": round(1 - self.weight, 9)}
        try:
            Experiment(self.id, salt, weights)
        except ExperimentFieldError as error:
            raise CampaignError(f"{error.field.removesuffix('s')}: {error.problem}") from None
        return Plan(self.id, salt, weights, self.days, self.level, self.cycle_hours, self.included, self.excluded)


class Extension(Body):
    """More cycles."""

    called = "extension"
    days: Annotated[Cycles, Field(description="planned cycles, all in all")]
