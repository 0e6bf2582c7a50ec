"""Features: creative embeddings, behaviour sequences and windowed statistics, as a Feast repository."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def features(config_json: str, store: str, dataset: dsl.Input[dsl.Dataset], features: dsl.Output[dsl.Dataset]) -> None:
    """Encode each creative once and write the feature repository with its online store."""
    from components.steps import run_step

    inputs = {"dataset": dataset.path}
    run_step("features", config_json, inputs, features.path, store, "feature_repo.features:build")
