"""Train: the allocation policy, in the market (paper 2.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    config_json: str,
    store: str,
    policy: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    market: dsl.Input[dsl.Model] | None = None,
    dataset: dsl.Input[dsl.Dataset] | None = None,
) -> None:
    """Train the policy on `train.ranks` ranks; the curve is live in MLflow, and a killed run goes on.

    The split is trained in its market, other tasks on their dataset.
    """
    from components.artifacts import given, log_numbers
    from components.steps import run_step
    from components.train.step import STEP

    step = STEP.given(config_json)
    folder = run_step(step, config_json, given(market=market, dataset=dataset), policy.path, store)
    log_numbers(metrics, step.measured(folder))
