"""Gate: judge the market against the held-out log and the policy against its competitors (paper 2.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def gate(
    config_json: str,
    store: str,
    dataset: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Dataset],
    fusion: dsl.Input[dsl.Model],
    market: dsl.Input[dsl.Model],
    policy: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    gates: dsl.Output[dsl.Markdown],
    report: dsl.Output[dsl.HTML],
) -> str:
    """'passed' or 'failed'. A single return value: kfp's local runner reads a condition on a tuple's field as false."""
    from components.artifacts import gate_table, log_numbers, write_report
    from components.gate.step import STEP
    from components.steps import result, run_step
    from crossmix.artifacts import GateTable

    judged = {"dataset": dataset.path, "fusion": fusion.path, "market": market.path, "policy": policy.path}
    folder = run_step(STEP, config_json, judged, evaluation.path, store)
    verdict = GateTable.load(folder)
    log_numbers(metrics, STEP.measured(folder))
    gate_table(verdict, gates.path)
    shown = {**judged, "features": features.path, "gate": evaluation.path}
    write_report({name: str(result(path, store)) for name, path in shown.items()}, report.path)
    return "passed" if verdict.passed else "failed"
