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
    from components.artifacts import gate_table, log_numbers, policy_numbers, write_report
    from components.steps import read, run_step

    judged = {"dataset": dataset.path, "fusion": fusion.path, "market": market.path, "policy": policy.path}
    folder = run_step("gate", config_json, judged, evaluation.path, store, "crossmix.evaluate.gates.judge_step:judge")
    verdict = read(folder, "gates.json")
    log_numbers(metrics, policy_numbers(read(folder, "evaluation.json")))
    gate_table(verdict, gates.path)
    if not store:  # a local run renders its own, with the registry's answer
        write_report({**judged, "features": features.path, "gate": str(folder)}, report.path)
    return "passed" if verdict["passed"] else "failed"
