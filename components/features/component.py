"""Features: creative embeddings, behaviour sequences and windowed statistics, as a Feast repository."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def features(config_json: str, store: str, dataset: dsl.Input[dsl.Dataset], features: dsl.Output[dsl.Dataset]):
    """Encode each creative once and write the feature repository with its online store."""
    from components.features.step import STEP
    from components.steps import run_step

    run_step(STEP, config_json, {"dataset": dataset.path}, features.path, store)
