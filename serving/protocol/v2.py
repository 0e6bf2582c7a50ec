"""The V2 protocol's inference route for plain JSON, which KServe's takes through pydantic and numpy twice.

What is out of the ordinary (tensors as raw bytes, chosen outputs, parameters) goes KServe's own way; both end in the
same models with the same answers (`tests/service/test_server.py`).
"""

from __future__ import annotations

import struct
import uuid
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from kserve import InferInput, InferRequest
from kserve.errors import InferenceError, InvalidInput, ModelNotReady
from kserve.protocol.rest.v2_datamodels import (
    InferenceRequest,
    InferenceResponse,
    ModelMetadataResponse,
    ModelReadyResponse,
)
from pydantic import ValidationError

BINARY_HEADER = "inference-header-content-length"
V2 = "v2"
MODEL = "/v2/models/{model_name}"
VERSION = f"{MODEL}/versions/{{model_version}}"
_PLAIN = {"id", "inputs"}
_TENSOR = {"name", "shape", "datatype", "data"}
DATATYPES = frozenset(
    ["BOOL", "BYTES", "FP32", "FP64", *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))]
)
_KINDS = {name: frozenset((int,)) for name in DATATYPES if "INT" in name} | {
    "BOOL": frozenset((bool,)),
    "BYTES": frozenset((str,)),
    "FP32": frozenset((int, float)),
    "FP64": frozenset((int, float)),
}


def router(plane: Any) -> APIRouter:
    """POST /v2/models/{model_name}/infer, and what names a version, over this server's data plane."""
    routes = APIRouter(tags=["V2"])
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": INFER}}}}

    @routes.post(f"{MODEL}/infer", response_model=InferenceResponse, openapi_extra=body)
    async def infer(model_name: str, request: Request) -> Response:
        """A row per question; inputs and outputs as `GET /v2/models/{model_name}` lists them."""
        if not await plane.model_ready(model_name, True):
            raise ModelNotReady(model_name)
        body, headers = await request.body(), dict(request.headers.items())
        asked = _read(plane, body, headers, model_name)
        answer, answer_headers = await plane.infer(model_name=model_name, request=asked, headers=headers)
        answer_headers = {
            name: value for name, value in answer_headers.items() if name not in ("content-type", "content-length")
        }
        if asked.request_outputs or asked.use_binary_outputs:
            content, length = answer.to_rest()
            if length is not None:
                answer_headers |= {BINARY_HEADER: str(length)}
                return Response(content, headers=answer_headers, media_type="application/octet-stream")
            return Response(
                orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), 200, answer_headers, "application/json"
            )
        return Response(_written(answer), headers=answer_headers, media_type="application/json")

    @routes.post(f"{VERSION}/infer", response_model=InferenceResponse, openapi_extra=body)
    async def infer_version(model_name: str, model_version: str, request: Request) -> Response:
        """The same, of the version that serves; another is 404."""
        plane.check_version(model_name, model_version)
        return await infer(model_name, request)

    @routes.get(MODEL, response_model=ModelMetadataResponse, response_model_exclude_none=True)
    @routes.get(VERSION, response_model=ModelMetadataResponse, response_model_exclude_none=True)
    async def metadata(model_name: str, model_version: str | None = None) -> Any:
        """A model's inputs and outputs, of the version that serves; another is 404."""
        plane.check_version(model_name, model_version)
        return await plane.model_metadata(model_name)

    @routes.get(f"{MODEL}/ready", response_model=ModelReadyResponse)
    @routes.get(f"{VERSION}/ready", response_model=ModelReadyResponse)
    async def ready(model_name: str, model_version: str | None = None) -> Any:
        """Whether the version that serves is ready; another is 404."""
        plane.check_version(model_name, model_version)
        if not await plane.model_ready(model_name):
            raise ModelNotReady(model_name)
        return {"name": model_name, "ready": True}

    return routes


def _read(plane: Any, body: bytes, headers: dict[str, str], model: str) -> InferRequest:
    if BINARY_HEADER in headers:
        try:
            request: InferRequest = plane.decode(body, headers, protocol_version=V2, model_name=model)[0]
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise InvalidInput(
                f"{BINARY_HEADER}: the body is no JSON of that length with tensors behind ({error})"
            ) from None
        except InferenceError:  # of KServe's: it decodes text at once
            raise InvalidInput("inputs: a tensor of BYTES is not UTF-8; send text") from None
        return request
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"body: not JSON ({error}); send what /openapi.json describes") from None
    if isinstance(raw, dict) and raw.keys() <= _PLAIN and isinstance(raw.get("inputs"), list):
        tensors = [_tensor(one) for one in raw["inputs"]]
        if all(tensor is not None for tensor in tensors) and isinstance(raw.get("id", ""), str):
            return InferRequest(model, tensors, request_id=raw.get("id"))
    try:
        parsed = InferenceRequest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidInput(f"{where}: {first['msg']}; send what /openapi.json describes") from None
    decoded: InferRequest = plane.decode(parsed, headers, protocol_version=V2, model_name=model)[0]
    return decoded


def _tensor(raw: Any) -> InferInput | None:
    """A plain input; `None`: not plain."""
    if not isinstance(raw, dict) or raw.keys() != _TENSOR:
        return None
    name, shape, datatype, data = raw["name"], raw["shape"], raw["datatype"], raw["data"]
    if not (isinstance(name, str) and datatype in DATATYPES and isinstance(shape, list) and isinstance(data, list)):
        return None
    if not all(type(size) is int and size >= 0 for size in shape):
        return None
    kinds = _KINDS[datatype]
    if not kinds.issuperset(map(type, data)):
        flat = [cell for row in data for cell in row] if data and all(type(row) is list for row in data) else data
        if not kinds.issuperset(map(type, flat)):
            raise InvalidInput(f"inputs.{name}: not all of its data are {datatype}; send values of that kind")
    return InferInput(name, shape, datatype, data)


def _written(answer: Any) -> bytes:
    outputs = [
        {"name": one.name, "shape": one.shape, "datatype": one.datatype, "data": one.data} for one in answer.outputs
    ]
    body = {"id": answer.id or str(uuid.uuid4()), "model_name": answer.model_name, "outputs": outputs}
    if answer.model_version is not None:
        body["model_version"] = answer.model_version
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


INFER: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype", "data"],
                "properties": {
                    "name": {"type": "string"},
                    "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
                    "datatype": {"type": "string", "enum": sorted(DATATYPES)},
                    "data": {"type": "array"},
                    "parameters": {"type": "object"},
                },
            },
        },
        "outputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "parameters": {"type": "object"}},
            },
        },
    },
}
