"""Align: simulated transitions against logged ones (paper 2.3.1)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def align(
    config_json: str,
    store: str,
    dataset: dsl.Input[dsl.Dataset],
    market: dsl.Input[dsl.Model],
    policy: dsl.Input[dsl.Model],
    aligned: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
):
    """Move the market's parameters, or the policy, until a discriminator no longer tells simulation from log."""
    from components.align.step import STEP
    from components.artifacts import log_numbers
    from components.steps import run_step

    inputs = {"dataset": dataset.path, "market": market.path, "policy": policy.path}
    folder = run_step(STEP, config_json, inputs, aligned.path, store)
    log_numbers(metrics, STEP.measured(folder))
