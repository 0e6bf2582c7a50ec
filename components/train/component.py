"""Train: the allocation policy, in the market (paper 2.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    config_json: str,
    store: str,
    market: dsl.Input[dsl.Model],
    policy: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    """Train the policy on `train.ranks` ranks; the curve is live in MLflow, and a killed run goes on."""
    from components.artifacts import log_numbers
    from components.steps import run_step
    from components.train.step import STEP

    folder = run_step(STEP, config_json, {"market": market.path}, policy.path, store)
    log_numbers(metrics, STEP.measured(folder))
