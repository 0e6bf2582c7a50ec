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
) -> None:
    """Train both heads over the entire impression space; quality on held-out users as metrics and ROC curves."""
    from components.artifacts import log_head
    from components.steps import read, run_step

    inputs = {"dataset": dataset.path, "features": features.path}
    folder = run_step("fusion", config_json, inputs, fusion.path, store, "crossmix.fusion.fit:fit")
    report = read(folder, "report.json")
    for head, curve in (("click", click_roc), ("conversion", conversion_roc)):
        if report[head]:  # a spend history has no impression to judge
            log_head(metrics, curve, head, report[head])
