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
) -> None:
    """Move the market's parameters, or the policy, until a discriminator no longer tells simulation from log."""
    from components.artifacts import log_numbers
    from components.steps import read, run_step

    inputs = {"dataset": dataset.path, "market": market.path, "policy": policy.path}
    folder = run_step("align", config_json, inputs, aligned.path, store, "crossmix.training.align:align")
    told = read(folder, "align.json")
    log_numbers(metrics, {key: told[key] for key in ("validation_trained", "validation_aligned") if key in told})
