"""Ingest: the raw log becomes a clean `Dataset` folder; of task `creators` a table its catalogue."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def ingest(
    config_json: str,
    store: str,
    log: str,
    dataset: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Clean, impute, quarantine, attribute and split the log; rates and row counts become metrics.

    `log` stands for the log's content, which Kubeflow's cache does not look into; the step reads the log itself.
    """
    from components.artifacts import log_numbers
    from components.ingest.step import STEP
    from components.steps import run_step

    step = STEP.given(config_json)
    folder = run_step(step, config_json, {}, dataset.path, store)
    log_numbers(metrics, step.measured(folder))
