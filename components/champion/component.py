"""Champion: what serves, fetched from the registry with its market and its start (paper 2.3.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def champion(
    config_json: str,
    store: str,
    champion: dsl.Output[dsl.Model],
) -> None:
    """Fetch policy, market and start of the version that is champion."""
    from components.champion.step import STEP
    from components.steps import run_step

    run_step(STEP, config_json, {}, champion.path, store)
