"""Feedback: what came back of the finished cycles, checked before it is believed (paper 2.5)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def feedback(
    config_json: str,
    store: str,
    champion: dsl.Input[dsl.Model],
    feedback: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Read the ledger; cells that cannot be so are unknown, and told."""
    from components.artifacts import log_numbers
    from components.feedback.step import STEP
    from components.steps import run_step

    folder = run_step(STEP, config_json, {"champion": champion.path}, feedback.path, store)
    log_numbers(metrics, STEP.measured(folder))
