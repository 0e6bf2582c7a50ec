"""Readapt: the market refitted to the feedback, ways to adapt tried and compared in it (paper 2.3.2, 2.5)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def readapt(
    config_json: str,
    store: str,
    champion: dsl.Input[dsl.Model],
    feedback: dsl.Input[dsl.Dataset],
    policy: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Re-plan, retrain, MAML's inner steps, eq. 12: the best is kept."""
    from components.artifacts import log_numbers
    from components.readapt.step import STEP
    from components.steps import run_step

    folder = run_step(STEP, config_json, {"champion": champion.path, "feedback": feedback.path}, policy.path, store)
    log_numbers(metrics, STEP.measured(folder))
