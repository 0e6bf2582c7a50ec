"""Market: the simulator, fitted from the log (paper 2.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def market(
    config_json: str,
    store: str,
    dataset: dsl.Input[dsl.Dataset],
    fusion: dsl.Input[dsl.Model],
    market: dsl.Output[dsl.Model],
):
    """Fit volume, price, response, value and drift of every platform."""
    from components.market.step import STEP
    from components.steps import run_step

    inputs = {"dataset": dataset.path, "fusion": fusion.path}
    run_step(STEP, config_json, inputs, market.path, store)
