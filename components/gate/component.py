"""Gate: judge the market against the held-out log and the policy against its competitors (paper 2.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gate(
    config_json: str,
    store: str,
    dataset: dsl.Input[dsl.Dataset],
    policy: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    gates: dsl.Output[dsl.Markdown],
    report: dsl.Output[dsl.HTML],
    features: dsl.Input[dsl.Dataset] | None = None,
    fusion: dsl.Input[dsl.Model] | None = None,
    market: dsl.Input[dsl.Model] | None = None,
) -> str:
    """'passed' or 'failed'. A single return value: kfp's local runner reads a condition on a tuple's field as false."""
    from components.artifacts import gate_table, given, log_numbers, write_report
    from components.gate.step import STEP
    from components.steps import result, run_step
    from crossmix.artifacts import GateTable

    step = STEP.given(config_json)
    judged = given(dataset=dataset, features=features, fusion=fusion, market=market, policy=policy)
    folder = run_step(step, config_json, judged, evaluation.path, store)
    verdict = GateTable.load(folder)
    log_numbers(metrics, step.measured(folder))
    gate_table(verdict, gates.path)
    shown = {**judged, "gate": evaluation.path}
    write_report({name: str(result(path, store)) for name, path in shown.items()}, report.path)
    return "passed" if verdict.passed else "failed"
