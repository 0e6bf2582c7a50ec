"""What the management routes take and give, in OpenAPI's words: read off the models that check it."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.campaigns.schema import Edit, NewCampaign, NewOverride
from serving.experiment.schema import Extension, NewExperiment
from serving.feedback.decision import Decision
from serving.feedback.schema import MOST_EVENTS, CloudEvent, EventData, NewEvent
from serving.http.answers import CampaignAnswer, Error, SwitchedAnswer
from serving.http.bodies import BATCH, STRUCTURED

REQUESTS: tuple[type[BaseModel], ...] = (
    NewCampaign,
    Edit,
    NewOverride,
    NewEvent,
    EventData,
    CloudEvent,
    NewExperiment,
    Extension,
    Decision,
)
Id = Annotated[str, Path(description="the campaign's name")]


@lru_cache(maxsize=1)
def definitions() -> dict[str, Any]:
    """The schemas of the requests' bodies and of errors, by name, as the components of an OpenAPI document."""
    wanted = [(model, "validation") for model in (*REQUESTS, Error)]
    _, document = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas: dict[str, Any] = document["$defs"]
    return schemas


def one(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of one object of a request."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def one_or_more(model: type[BaseModel], most: int | None = None) -> dict[str, Any]:
    """The schema of an object, or an array of them, in a request."""
    return {"anyOf": [one(model), many(model, most)]}


def many(model: type[BaseModel], most: int | None = None) -> dict[str, Any]:
    """The schema of an array of objects in a request."""
    bounds = {} if most is None else {"minItems": 1, "maxItems": most}
    return {"type": "array", "items": one(model), **bounds}


def body(schema: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    """A request body in JSON.

    Args:
        others: schemas by further content types.
    """
    content = {kind: {"schema": each} for kind, each in {"application/json": schema, **others}.items()}
    return {"requestBody": {"required": True, "content": content}}


def feedback_body() -> dict[str, Any]:
    """Feedback's three content types."""
    others = {STRUCTURED: one(CloudEvent), BATCH: many(CloudEvent, MOST_EVENTS)}
    return body(one_or_more(NewEvent, MOST_EVENTS), **others)


def answer(model: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """An answer of the model, and our errors."""
    problems: dict[int | str, dict[str, Any]] = {
        code: {"description": meaning, "model": Error} for code, meaning in _PROBLEMS.items()
    }
    return {status: {"description": "done", "model": model}, **problems}


_PROBLEMS = {
    400: "the body is no JSON",
    404: "there is none of that name",
    409: "it is there already, or its state or what it has collected forbids the change",
    422: "a field cannot be used",
    503: "the database is away, or too much waits for it; nothing was kept",
}

CAMPAIGN = answer(CampaignAnswer)
SWITCHED = answer(SwitchedAnswer)
