"""Deploy: a running server is asked to try the challenger (paper 2.4)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def deploy(
    config_json: str,
    store: str,
    registration: dsl.Input[dsl.Artifact],
    evaluation: dsl.Input[dsl.Artifact],
    deployment: dsl.Output[dsl.Artifact],
) -> None:
    """Ask for its canary, or until the server answers with it."""
    from components.deploy.step import STEP
    from components.steps import run_step

    inputs = {"registration": registration.path, "evaluation": evaluation.path}
    run_step(STEP, config_json, inputs, deployment.path, store)
