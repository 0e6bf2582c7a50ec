"""Register: the bundle becomes a version of the registered model; aliases move if it earned them."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def register(
    config_json: str,
    store: str,
    evaluation: dsl.Input[dsl.Artifact],
    registration: dsl.Output[dsl.Artifact],
    policy: dsl.Input[dsl.Model] | None = None,
    meta: dsl.Input[dsl.Model] | None = None,
    market: dsl.Input[dsl.Model] | None = None,
) -> None:
    """Register the judged bundle and write what the registry answered; the split with policy, market and start."""
    from components.artifacts import given
    from components.register.step import STEP
    from components.steps import run_step

    inputs = given(evaluation=evaluation, policy=policy, meta=meta, market=market)
    run_step(STEP.given(config_json), config_json, inputs, registration.path, store)
