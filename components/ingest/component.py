"""Ingest: the raw log becomes a clean `Dataset` folder."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def ingest(config_json: str, store: str, dataset: dsl.Output[dsl.Dataset], metrics: dsl.Output[dsl.Metrics]) -> None:
    """Clean, impute, quarantine, attribute and split the log; rates and row counts become metrics."""
    from components.artifacts import log_numbers
    from components.steps import read, run_step

    folder = run_step("ingest", config_json, {}, dataset.path, store, "crossmix.ingest.step:ingest")
    report = read(folder, "report.json")
    log_numbers(metrics, {"rows": report["rows"]["ingested"], **report["rates"]})
