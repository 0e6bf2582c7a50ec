"""Register: the bundle becomes a version of the registered model; aliases move if it earned them."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def register(
    config_json: str,
    store: str,
    evaluation: dsl.Input[dsl.Artifact],
    policy: dsl.Input[dsl.Model],
    meta: dsl.Input[dsl.Model],
    market: dsl.Input[dsl.Model],
    registration: dsl.Output[dsl.Artifact],
) -> None:
    """Register the judged bundle and write what the registry answered."""
    from components.register.step import STEP
    from components.steps import run_step

    inputs = {"evaluation": evaluation.path, "policy": policy.path, "meta": meta.path, "market": market.path}
    run_step(STEP, config_json, inputs, registration.path, store)
