"""Train: the allocation policy, in the market (paper 2.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def train(
    config_json: str,
    store: str,
    market: dsl.Input[dsl.Model],
    policy: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train the policy on `train.ranks` ranks; the curve is live in MLflow, and a killed run goes on."""
    from components.artifacts import log_numbers
    from components.steps import read, run_step

    folder = run_step(
        "train", config_json, {"market": market.path}, policy.path, store, "crossmix.registry.step_train:followed"
    )
    curve = read(folder, "curve.json")
    log_numbers(metrics, {"uniform_ratio": curve["uniform_ratio"], **curve["best"]})
