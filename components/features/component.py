"""Features as a Feast repository: of a split embeddings, behaviour and statistics, of journeys users' exposures."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def features(config_json: str, store: str, dataset: dsl.Input[dsl.Dataset], features: dsl.Output[dsl.Dataset]) -> None:
    """Write the feature repository with its online store; a split's creatives are encoded once."""
    from components.features.step import STEP
    from components.steps import run_step

    run_step(STEP.given(config_json), config_json, {"dataset": dataset.path}, features.path, store)
