"""Gate of re-adaptation: the challenger beside the champion in the refitted market (paper 2.2, 2.3.2)."""

from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def judge(
    config_json: str,
    store: str,
    champion: dsl.Input[dsl.Model],
    feedback: dsl.Input[dsl.Dataset],
    policy: dsl.Input[dsl.Model],
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    gates: dsl.Output[dsl.Markdown],
) -> str:
    """'register', or why not: 'dry run', 'nothing to gain', 'stopped'. A single return value, as the gate step's."""
    from components.artifacts import gate_table, log_numbers
    from components.judge.step import STEP, word
    from components.steps import run_step
    from crossmix.artifacts import GateTable

    judged = {"champion": champion.path, "feedback": feedback.path, "policy": policy.path}
    folder = run_step(STEP, config_json, judged, evaluation.path, store)
    log_numbers(metrics, STEP.measured(folder))
    gate_table(GateTable.load(folder), gates.path)
    return word(config_json, folder)
