"""The server's OpenAPI: KServe's own leaves the V1 body open; here it is told, model by model, beside the bodies of the
management routes (`serving.http.openapi`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossmix.metrics import EVERY_ARM
from crossmix.reasons import MOVERS
from crossmix.response import BELIEF
from crossmix.state import Layout
from crossmix.unusual import DRIFTING
from serving.http.openapi import definitions
from serving.protocol.journey_request import JOURNEY

_LIMIT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **{name: {"type": "number", "minimum": 0, "maximum": 1} for name in ("min", "max", "step")},
        "freeze": {"type": "boolean"},
    },
}
_INTERVAL = {"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2}


def _by_platform(names: Sequence[str], description: str) -> dict[str, Any]:
    """A number per platform under each name, or null."""
    numbers = {"type": "array", "items": {"type": "number"}}
    return {
        "type": ["object", "null"],
        "properties": dict.fromkeys(names, numbers),
        "description": f"{description}; in allocation's order; null: the bundle does not tell",
    }


PREDICTION: dict[str, Any] = {
    "type": "object",
    "required": [
        "campaign_id",
        "arm",
        "cycle",
        "currency",
        "budget",
        "allocation",
        "bundle",
        "degraded",
        "allocation_id",
    ],
    "properties": {
        **{name: {"type": "string"} for name in ("campaign_id", "currency", "bundle", "state_source", "allocation_id")},
        "arm": {"type": "string", "enum": list(EVERY_ARM)},
        "cycle": {"type": "integer"},
        "budget": {"type": "number", "minimum": 0},
        "allocation": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["platform", "share", "amount", "reason"],
                "properties": {
                    "platform": {"type": "string"},
                    "share": {"type": "number"},
                    "amount": {"type": "number"},
                    "marginal_roi": {"type": ["number", "null"]},
                    "marginal_roi_interval": _INTERVAL,
                    "expected_revenue": {"type": ["number", "null"]},
                    "binding": {"type": ["string", "null"], "enum": ["min", "max", "step", "frozen", "supply", None]},
                    "reason": {"type": "string"},
                    "differs": {
                        "type": ["string", "null"],
                        "description": "what the policy believes of the cycle that differs from usual, and since when",
                    },
                    "since": {
                        "type": ["array", "null"],
                        "description": "for how many cycles on end, this one included, each quantity that differs from "
                        "usual has done so the same way; null: no cycle before is known, or not yet",
                        "items": {
                            "type": "object",
                            "required": ["quantity", "cycles", "at_least"],
                            "properties": {
                                "quantity": {"type": "string", "enum": list(DRIFTING)},
                                "cycles": {"type": "integer", "minimum": 1},
                                "at_least": {
                                    "type": "boolean",
                                    "description": "those are all cycles that are known",
                                },
                            },
                        },
                    },
                },
            },
        },
        "expected_revenue": {"type": ["number", "null"]},
        "expected_revenue_interval": _INTERVAL,
        "version": {"type": ["integer", "null"]},
        "explored": {"type": "boolean"},
        "log_density": {"type": ["number", "null"]},
        "override": {"type": ["object", "null"]},
        "state_as_of": {"type": ["string", "null"]},
        "degraded": {"type": "array", "items": {"type": "object"}},
        "notes": {"type": "array", "items": {"type": "string"}},
        "reasons": {
            "type": "array",
            "items": {"type": "string"},
            "description": "what holds for the answer as a whole, a sentence each",
        },
        "belief": _by_platform(BELIEF, "what the policy believes of the cycle, over usual; supply: currency"),
        "moved": _by_platform(MOVERS, "how far each moved the shares away from the base plan's"),
    },
}


OF_KIND: dict[str, tuple[str, dict[str, Any]]] = {
    "creators": (
        "Brief",
        {
            "type": "object",
            "required": ["brief"],
            "additionalProperties": False,
            "properties": {"brief": {"type": "object", "description": "as brief.yaml of `crossmix plan --example`"}},
        },
    ),
    "journey": ("Journey", JOURNEY),
}
"""Name and schema of an instance of each other kind's questions."""


def question(layout: Layout) -> dict[str, Any]:
    """A question to a predictor or the router, about a bundle of this layout."""
    numbers = {"type": "array", "items": {"type": "number"}, "minItems": layout.size, "maxItems": layout.size}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["campaign_id"],
        "properties": {
            "campaign_id": {"type": "string", "minLength": 1},
            "user_id": {"type": "string", "minLength": 1, "maxLength": 500, "description": "for model router: needed"},
            "arm": {"type": "string", "enum": list(EVERY_ARM), "description": "for the predictors; their own"},
            "cycle": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1, "description": "absent: now's"},
            "budget": {"type": "number", "exclusiveMinimum": 0, "maximum": 1e15, "description": "of the arm's cycle"},
            "limits": {"type": "object", "additionalProperties": _LIMIT, "description": "by platform"},
            "state": {"anyOf": [numbers, {"type": "object", "additionalProperties": {"type": "number"}}]},
            "explore": {"type": "boolean"},
        },
    }


def install(app: Any, models: Sequence[str], layout: Layout | None, kinds: Sequence[str] = ()) -> None:
    """Make `app.openapi()` tell bodies, answers and errors.

    Args:
        layout: of the bundle that serves; `None`: no split does.
        kinds: of the models, those of other kinds (`serving.kinds`).
    """
    from fastapi.openapi.utils import get_openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(title=app.title, version="1", routes=app.routes)
            _complete(document, models, layout, kinds)
            app.openapi_schema = document
        return dict(app.openapi_schema)

    app.openapi = openapi


def _complete(document: dict[str, Any], models: Sequence[str], layout: Layout | None, kinds: Sequence[str]) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= definitions()
    if layout is not None:
        schemas |= {"Question": question(layout), "Prediction": PREDICTION}
    schemas |= {OF_KIND[kind][0]: OF_KIND[kind][1] for kind in kinds}
    told = [OF_KIND[kind][0] for kind in kinds]
    asked = _any([*(["Question"] if layout is not None else []), *told])
    given: dict[str, Any] = {"type": "object", "description": "of another kind: as its guide tells"}
    if layout is not None:
        prediction: dict[str, Any] = {"$ref": "#/components/schemas/Prediction"}
        given = {"anyOf": [prediction, given]} if kinds else prediction
    error = _json({"$ref": "#/components/schemas/Error"}, "what is wrong, and the remedy")
    if "/" in document["paths"]:  # the page's; `serving.protocol.v1.Alive` answers whoever does not ask for one
        alive = {"type": "object", "properties": {"status": {"type": "string", "const": "alive"}}}
        document["paths"]["/"]["get"]["responses"]["200"]["content"] |= _json(alive)["content"]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "model_name":
                    parameter["schema"] = {"type": "string", "enum": list(models)}
            answers = operation["responses"]
            answers.setdefault("422", error)
            for status in ("400", "401", "403", "404", "413", "415", "503"):
                answers.setdefault(status, error)
            answers["422"] = error
        if path.endswith(":predict"):
            _list = {"type": "array", "minItems": 1}
            methods["post"]["requestBody"] = {
                "required": True,
                **_json(_wrapped("instances", {**_list, "items": asked})),
            }
            answer = _wrapped("predictions", {**_list, "items": given})
            methods["post"]["responses"]["200"] = _json(answer, "a prediction per instance, in order")


def _any(names: Sequence[str]) -> dict[str, Any]:
    """One of several schemas."""
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _wrapped(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: schema}}


def _json(schema: dict[str, Any], description: str | None = None) -> dict[str, Any]:
    content: dict[str, Any] = {"content": {"application/json": {"schema": schema}}}
    return content if description is None else content | {"description": description}
