"""KServe's data plane with this server's own name, extensions and versions, and its gRPC servicer over it.

A model's one version is the registry's that serves; a request that names another is refused, not answered by this one.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as installed
from typing import Any, Protocol

from kserve.errors import ModelNotFound
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.servicer import InferenceServicer

from serving.kinds.champion import NoChampionError

EXTENSIONS = ("binary_tensor_data",)
"""Of the V2 protocol, by the names it has for them."""


class UnknownVersionError(ModelNotFound):  # type: ignore[misc]
    """No such version of a model: 404 and NOT_FOUND.

    Args:
        serving: the version that is there; `None`: models have none here.
    """

    def __init__(self, model: str, version: str, serving: int | None) -> None:
        super().__init__(model)
        there = "it has no versions" if serving is None else f"version {serving} serves"
        self.reason = f"model_version: {version[:80]!r} of model {model!r} is unknown; {there}, or leave it out"


class Readiness(Protocol):
    """Whether something serves, and why nothing does."""

    @property
    def ready(self) -> bool: ...
    def absent(self) -> NoChampionError: ...


class Plane(DataPlane):  # type: ignore[misc]
    """The data plane.

    Args:
        model_registry: KServe's repository of models.
        serving: the registry's version that a model of this name serves; `None`: the bundle is of no registry.
        readiness: what says whether the server is ready.
    """

    def __init__(self, model_registry: Any, serving: Callable[[str], int | None], readiness: Readiness) -> None:
        super().__init__(model_registry=model_registry)
        self._serving, self._readiness = serving, readiness
        self._server_name, self._server_version = "crossmix", installed("crossmix")

    def metadata(self) -> dict[str, Any]:
        """Name, version and extensions of the server."""
        return {"name": self._server_name, "version": self._server_version, "extensions": list(EXTENSIONS)}

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """Inputs, outputs, and the version that may be asked for; raises `ModelNotFound`."""
        metadata: dict[str, Any] = await super().model_metadata(model_name)
        serving = self._serving(model_name)
        return metadata | ({} if serving is None else {"versions": [str(serving)]})

    async def ready(self) -> bool:
        """Whether the server can answer anything; where it cannot that is raised, with the reason (503)."""
        if not self._readiness.ready:
            raise self._readiness.absent()
        return True

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        """Whether it can answer; where nothing of its kind serves that is raised, with the reason (503)."""
        missing = self.get_model_from_registry(model_name).missing()
        if missing is not None:
            raise missing
        return bool(await super().model_ready(model_name, disable_predictor_health_check))

    def check_version(self, model_name: str, version: str | None) -> None:
        """Raise `ModelNotFound` for a model or, where one is named, a version that is not there; which is there nobody
        knows of a model that cannot answer yet, so that `NoChampionError` is raised then."""
        model = self.get_model_from_registry(model_name)
        serving = self._serving(model_name)
        if version and version != str(serving):
            missing = model.missing()
            if serving is None and missing is not None:
                raise missing
            raise UnknownVersionError(model_name, version, serving)


class Servicer(InferenceServicer):  # type: ignore[misc]
    """KServe's servicer, with versions, and without what this server withholds (`serving.app`)."""

    async def ServerReady(self, request: Any, context: Any) -> Any:
        try:
            return await super().ServerReady(request, context)
        except NoChampionError:
            return pb.ServerReadyResponse(ready=False)

    async def ModelReady(self, request: Any, context: Any) -> Any:
        try:
            self._data_plane.check_version(request.name, request.version)
            return await super().ModelReady(request, context)
        except NoChampionError:
            return pb.ModelReadyResponse(ready=False)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:
        self._data_plane.check_version(request.name, request.version)
        return pb.ModelMetadataResponse(**await self._data_plane.model_metadata(request.name))

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self._data_plane.check_version(request.model_name, request.model_version)
        return await super().ModelInfer(request, context)

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:
        raise NotImplementedError("the registry says what serves")

    RepositoryModelUnload = RepositoryModelLoad
