"""Finetune: the daily refit's plan, and eq. 12 where it is asked for (paper 2.5)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def finetune(
    config_json: str,
    store: str,
    champion: dsl.Input[dsl.Model],
    feedback: dsl.Input[dsl.Dataset],
    policy: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Re-plan, and with `online.daily` eq. 12 on what was served: the best is kept."""
    from components.artifacts import log_numbers
    from components.finetune.step import STEP
    from components.steps import run_step

    folder = run_step(STEP, config_json, {"champion": champion.path, "feedback": feedback.path}, policy.path, store)
    log_numbers(metrics, STEP.measured(folder))
