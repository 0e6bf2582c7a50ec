"""The bundle as an MLflow pyfunc: its declaration ("models from code") and its signature."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crossmix.registry.mlflow_door import open_mlflow


def declare(load: Callable[[Path], Any], predict: Callable[[Any, Mapping[str, Any]], Any]) -> None:
    """Declare the pyfunc model of the file that calls this ("models from code").

    `load` takes the bundle's folder; `predict` what it returned and the named input arrays.
    """
    mlflow = open_mlflow()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow asks for type hints on `predict`, and would take them for the schema

        class Policy(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
            def load_context(self, context: Any) -> None:
                self.loaded = load(Path(context.artifacts["bundle"]))

            def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
                return predict(self.loaded, model_input)

    mlflow.models.set_model(Policy())


def split_signature(mlflow: Any, loaded: Any) -> tuple[Any, Any]:
    """Signature of a split's model, and its example."""
    import numpy as np
    from mlflow.types import Schema, TensorSpec

    def spec(name: str, width: int) -> Any:
        return TensorSpec(np.dtype(np.float32), (-1, width), name)

    platforms = len(loaded.platforms)
    signature = mlflow.models.ModelSignature(
        inputs=Schema([spec("state", loaded.layout.size), spec("low", platforms), spec("high", platforms)]),
        outputs=Schema([spec("share", platforms)]),
    )
    return signature, loaded.example()


def creators_signature(mlflow: Any, loaded: Any) -> tuple[Any, Any]:
    """Signature of a creators' model: a brief as JSON to a plan as JSON; no example, for it would be solved."""
    from mlflow.types import ColSpec, Schema

    signature = mlflow.models.ModelSignature(
        inputs=Schema([ColSpec("string", "brief")]), outputs=Schema([ColSpec("string", "plan")])
    )
    return signature, None


def journey_signature(mlflow: Any, loaded: Any) -> tuple[Any, Any]:
    """Signature of a response model: steps (., T, F) and which are real (., T) to probabilities (., C); an example."""
    import numpy as np
    from mlflow.types import Schema, TensorSpec

    from crossmix.journeys.answer import OUTPUTS
    from crossmix.journeys.bundled import probe, steps

    def spec(name: str, *shape: int) -> Any:
        return TensorSpec(np.dtype(np.float32), (-1, *shape), name)

    signature = mlflow.models.ModelSignature(
        inputs=Schema([spec("step", loaded.window, loaded.layout.size), spec("real", loaded.window)]),
        outputs=Schema([spec(name, len(loaded.channels)) for name in OUTPUTS]),
    )
    step_UTF, real_UT = steps(probe(loaded.channels), loaded.layout, loaded.window)
    return signature, {"step": step_UTF, "real": real_UT}
