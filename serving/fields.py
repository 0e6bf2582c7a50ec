"""The values a request may hold: each is a type that checks it, describes it in OpenAPI, and says what to send instead.

A request's body is a model of such types (`Body`). What cannot be used is one sentence: field, value, remedy
(`refusal`); the remedy stands beside the type (`Remedy`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from crossmix.clock import EARLIEST, LATEST

LONGEST_ID = 200
LONGEST_REASON = 1_000
LARGEST_AMOUNT = 1e15
MOMENT_REMEDY = "give a time, as 2026-01-01T00:00:00Z"


class CampaignError(ValueError):
    """A campaign or override that cannot be used; the message names field, value and remedy."""

    status = 422
    """What the server answers."""


def refused(remedy: str) -> PydanticCustomError:
    """What a validator raises where field and value say what is wrong."""
    return PydanticCustomError("refused", "{remedy}", {"remedy": remedy})


def faulty(problem: str) -> PydanticCustomError:
    """What a validator raises where the problem needs words of its own, value and remedy among them."""
    return PydanticCustomError("faulty", "{problem}", {"problem": problem})


@dataclass(frozen=True, slots=True)
class Hint:
    """In an annotation: the remedy where the field is missing; the type's validators say the rest themselves."""

    remedy: str


@dataclass(frozen=True, slots=True)
class Remedy(Hint):
    """In an annotation: the remedy whatever is wrong with the value."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(handler(source), "refused", custom_error_message=self.remedy)


@dataclass(frozen=True, slots=True)
class ByPlatform(Hint):
    """In an annotation of a dict: the remedy where it is none; its keys are the platforms of the context."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def check(value: Any, info: ValidationInfo) -> dict[Any, Any]:
            if not isinstance(value, Mapping):
                raise refused(self.remedy)
            known: Sequence[str] | None = (info.context or {}).get("platforms")
            for name in value:
                if known is not None and name not in known:
                    raise faulty(f"platform {shown(name)} is unknown; use {', '.join(known)}")
            return dict(value)

        return core_schema.with_info_before_validator_function(check, handler(source))


def moment(value: Any) -> datetime:
    """A time with its zone, in UTC, between 2000 and 2200."""
    parsed = value
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            parsed = None
    if not isinstance(parsed, datetime):
        raise refused(MOMENT_REMEDY)
    if parsed.tzinfo is None:
        raise faulty(f"{shown(str(value))} has no zone; add Z for UTC, or +01:00")
    if not EARLIEST <= parsed <= LATEST:
        raise faulty(f"{shown(str(value))}; give a time from {EARLIEST.year} to {LATEST.year}")
    return parsed.astimezone(UTC)


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError
    return value


Name = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_ID),
    AfterValidator(_printable),
    Remedy(f"give 1 to {LONGEST_ID} printable characters"),
]
Moment = Annotated[
    datetime,
    PlainValidator(moment),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "with its zone"}),
    Hint(MOMENT_REMEDY),
]
Reason = Annotated[
    str,
    # A database holds no NUL, and the pattern is looked for in UTF-8: no lone surrogates.
    Field(max_length=LONGEST_REASON, pattern=r"^[^\x00]*$", description="for the audit trail"),
    Remedy(f"give text of at most {LONGEST_REASON:,} characters"),
]


class Body(BaseModel):
    """A JSON object of a request. Nothing is converted but whole numbers to fractions, and no name goes unread."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    called: ClassVar[str]
    """How a sentence names the whole of it."""
    remedy: ClassVar[str | None] = None
    """Where it is no object; absent: its fields are told."""
    hints: ClassVar[Mapping[str, str]] = {}
    """Remedies for names that are none of its fields."""
    old_names: ClassVar[frozenset[str]] = frozenset()
    """Fields that are read under their name of before too."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Its fields, as a sentence tells them."""
        return tuple(name for name in cls.model_fields if name not in cls.old_names)

    @model_validator(mode="before")
    @classmethod
    def _object(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            raise refused(cls.remedy or f"send an object with {', '.join(cls.names())}")
        if not raw.keys() <= cls.model_fields.keys():
            name, hint = cls._unknown(raw)
            raise PydanticCustomError("unknown_name", "{hint}", {"name": name, "hint": hint})
        return raw

    @classmethod
    def _unknown(cls, raw: Mapping[Any, Any]) -> tuple[str, str]:
        """The first name that is none of its fields, as it is shown, and what to use instead."""
        name = next(name for name in raw if name not in cls.model_fields)
        return shown(name), cls.hints.get(name) or f"use {', '.join(cls.names())}"

    @classmethod
    def check_names(cls, raw: Mapping[Any, Any]) -> None:
        """Raise `CampaignError` for a name that is none of its fields, whatever the values are."""
        if not raw.keys() <= cls.model_fields.keys():
            raise CampaignError(_unknown_name("", *cls._unknown(raw)))

    @classmethod
    def read(cls, raw: Any, **context: Any) -> Self:
        """One from what a request sent; raises `CampaignError` with one sentence.

        Args:
            context: `platforms`, in slot order, where it names any.
        """
        return validated(cls, raw, context)


Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], raw: Any, context: Mapping[str, Any] | None = None) -> Model:
    """A model of what a request sent; raises `CampaignError` with one sentence."""
    try:
        return model.model_validate(raw, context=dict(context or {}))
    except ValidationError as error:
        raise CampaignError(refusal(error, model)) from None


def refusal(error: ValidationError, model: type[BaseModel], within: str = "") -> str:
    """The first thing that is wrong, in one sentence: field, value, remedy.

    Args:
        within: where the whole stands, as events[3].
    """
    problem = error.errors(include_url=False)[0]
    kind, where = problem["type"], ".".join(filter(None, (within, *map(str, problem["loc"]))))
    if kind == "faulty":
        return f"{where}: {problem['msg']}" if problem["loc"] else ".".join(filter(None, (within, problem["msg"])))
    if kind == "unknown_name":
        return _unknown_name(where, problem["ctx"]["name"], problem["msg"])
    if kind == "missing":
        hints = model.model_fields[str(problem["loc"][-1])].metadata
        remedy = next((hint.remedy for hint in hints if isinstance(hint, Hint)), "send it")
        return f"{where}: missing; {remedy}"
    return f"{where or getattr(model, 'called', 'body')}: {shown(problem['input'])}; {problem['msg']}"


def _unknown_name(where: str, name: str, hint: str) -> str:
    return f"{where}: {name} is unknown; {hint}" if where else f"{name.strip(chr(39))}: unknown field; {hint}"


def shown(value: Any) -> str:
    """A value as an error shows it: short, whatever was sent."""
    if value is None:
        return "missing"
    if isinstance(value, str | bool | float):
        text = repr(value)
    elif isinstance(value, int):
        text = repr(value) if abs(value) < 10**30 else "a number too large"
    else:
        text = {"dict": "an object", "list": "an array"}.get(type(value).__name__, type(value).__name__)
    return text if len(text) <= 80 else text[:77] + "..."


def as_utc(moment: datetime) -> datetime:
    """A moment in UTC; one without a zone is taken for UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
