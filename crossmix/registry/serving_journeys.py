"""What MLflow loads of kind `journey`: a pyfunc, steps to probabilities with intervals (see serving_model.py)."""

from crossmix import registry
from crossmix.journeys import bundled
from crossmix.journeys.answer import OUTPUTS


def _answer(loaded, inputs):  # type: ignore[no-untyped-def]
    answer = loaded.run(inputs["step"], inputs["real"])
    return {name: getattr(answer, f"{name}_UC").astype("float32") for name in OUTPUTS}


registry.declare(load=bundled.load, predict=_answer)
