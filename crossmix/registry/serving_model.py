"""What MLflow loads: the bundle as a pyfunc ("models from code": MLflow runs this file and pickles nothing)."""

from crossmix import bundle, registry

registry.declare(
    load=bundle.load,
    predict=lambda loaded, inputs: {"share": loaded.allocate(inputs["state"], inputs["low"], inputs["high"])},
)
