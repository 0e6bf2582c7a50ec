"""Fusion: the multimodal context and the calibrated click and conversion heads (paper 2.1)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def fusion(
    config_json: str,
    store: str,
    dataset: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Dataset],
    fusion: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    click_roc: dsl.Output[dsl.ClassificationMetrics],
    conversion_roc: dsl.Output[dsl.ClassificationMetrics],
):
    """Train both heads over the entire impression space; quality on held-out users as metrics and ROC curves."""
    from components.artifacts import log_numbers, log_roc
    from components.fusion.step import STEP
    from components.steps import run_step
    from crossmix.artifacts import FusionReport

    inputs = {"dataset": dataset.path, "features": features.path}
    folder = run_step(STEP, config_json, inputs, fusion.path, store)
    log_numbers(metrics, STEP.measured(folder))
    report = FusionReport.load(folder)
    log_roc(click_roc, report.click)
    log_roc(conversion_roc, report.conversion)
