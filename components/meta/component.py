"""Meta: where re-adaptation to a moved market starts (paper 2.3.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def meta(
    config_json: str,
    store: str,
    market: dsl.Input[dsl.Model],
    policy: dsl.Input[dsl.Model],
    start: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    """Meta-train by MAML on shifted tasks, from the trained policy; a killed run goes on from its checkpoint."""
    from components.artifacts import log_numbers
    from components.meta.step import STEP
    from components.steps import run_step

    inputs = {"market": market.path, "policy": policy.path}
    folder = run_step(STEP, config_json, inputs, start.path, store)
    log_numbers(metrics, STEP.measured(folder))
