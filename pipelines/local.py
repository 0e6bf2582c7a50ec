"""Run the training pipeline on this machine: kfp's local runner over a step store, then summary.json and report.html.

OUT/steps/<step>/<key>/   finished steps, reused by later runs       OUT/summary.json   the figures
OUT/run.json              config and step folders of the last run    OUT/report.html    the same, to look at
OUT/run.log               everything kfp and the steps printed       OUT/bundle/        the champion's bundle
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from components import lifeline
from components.declared import SPLIT, steps
from crossmix import files
from crossmix.artifacts import (
    Artifact,
    Failure,
    Interval,
    Registration,
    RunRecord,
    Summary,
    SummaryGate,
    TaskFigure,
    TaskJudged,
)
from crossmix.config import Config, ConfigError, to_json
from crossmix.sources import in_s3, in_warehouse, is_pattern, log_files, log_objects, settings, takes_folder
from pipelines.environment import EVERYWHERE

Kind = TypeVar("Kind", bound=Artifact)

PASSED, FAULT, BAD_INPUT, GATES_FAILED = 0, 1, 2, 3
"""Exit statuses of `crossmix run`."""

ENVIRONMENT: Mapping[str, str] = {
    **EVERYWHERE,
    "PYTHONWARNINGS": "ignore",
    "TQDM_MININTERVAL": "0.5",
    "TQDM_NCOLS": "90",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


class StepError(RuntimeError):
    """A step ended without a result; the message says which and why. `status` is the exit status it calls for."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run leaves: its summary and the exit status it calls for."""

    summary: Summary
    status: int


def run(config: Config, out: Path) -> Outcome:
    """Run every step that has no result yet, gather the summary, render the report.

    Raises:
        ConfigError, RunningError: `out` or the log cannot be used; nothing was started.
        StepError: a step failed.
    """
    check(config, out)
    out.mkdir(parents=True, exist_ok=True)
    out = out.resolve()
    with lifeline.hold(out), environment(out):
        store = clean_store(out / "steps")
        run_pipeline(pipeline_of(config.task), config, out, store, out / "run.log")
        current = {name: store / "current" / name for name in steps(task=config.task)}
        return _finish(config, out, {name: link.resolve() for name, link in current.items() if link.exists()})


def check(config: Config, out: Path) -> None:
    """Refuse what can be refused before anything starts, leaving nothing behind."""
    if not steps(task=config.task):
        pipeline_of(config.task)
    if in_s3(config.data):
        log_objects(config.data)  # what is not there, or may not be read, is refused here
    elif config.data.path is not None and not in_warehouse(config.data):
        log = Path(config.data.path)
        pattern = takes_folder(config.data) and is_pattern(config.data.path)
        if not pattern and not log.is_file() and not (log.is_dir() and takes_folder(config.data)):
            raise ConfigError(
                f"--data {log}: {'is no file' if log.exists() else 'does not exist'}; name the log's file"
            )
        log_files(config.data)  # a folder without a log is refused here
        if not pattern and not os.access(log, os.R_OK):
            raise ConfigError(f"--data {log}: may not be read; change its permissions")
    settings(config.data)
    if config.train.settings:
        from crossmix.agents.learner import own_settings

        own_settings(config.train)
    existing = next(folder for folder in [out, *out.absolute().parents] if folder.exists())
    if not existing.is_dir():
        raise ConfigError(f"--out {out}: {existing} is a file; name a folder")
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise ConfigError(f"--out {out}: cannot write in {existing} ({error.strerror}); name another folder") from None


def clean_store(store: Path) -> Path:
    """Forget what a killed run left half-written; keep finished steps and checkpoints."""
    store.mkdir(exist_ok=True)
    for half in store.glob("*/*.tmp"):
        shutil.rmtree(half, ignore_errors=True)
    shutil.rmtree(store / "current", ignore_errors=True)
    (store / Failure.FILE).unlink(missing_ok=True)
    return store


def pipeline_of(task: str) -> Any:
    """The training pipeline of a task; kfp takes seconds to import: help and errors must not wait for it.

    Raises:
        ConfigError: this version has none.
    """
    from pipelines.training import training_of

    return training_of(task)


def run_pipeline(pipeline: Any, config: Config, out: Path, store: Path, log: Path) -> None:
    """Run a pipeline's steps by kfp's local runner, one line each on the screen; the rest goes to the log.

    Raises:
        StepError: a step failed.
    """
    from kfp import local

    from pipelines.console import Console
    from pipelines.wiring import arguments, build

    root = out / "kfp"
    shutil.rmtree(root, ignore_errors=True)
    (root / "tmp").mkdir(parents=True)
    with log.open("w", buffering=1) as file:  # by line: who follows it sees what the steps print
        console = Console(file)
        try:
            with contextlib.redirect_stdout(console):
                local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=True)
                build(pipeline)(**arguments(pipeline, config, str(store)))
        except RuntimeError:
            raise _explain(store, log) from None
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _explain(store: Path, log: Path) -> StepError:
    """kfp says only that a task failed; the step left its reason in the store."""
    reason = Failure.found(store)
    if reason is None:
        message = (
            "a step ended before it could say why (killed, or out of memory?); run the same command again to go on"
        )
        return StepError(f"{message}. Log: {log}", FAULT)
    if reason.kind == "input":
        return StepError(f"{reason.step}: {reason.message}", BAD_INPUT)
    return StepError(f"{reason.step} failed: {reason.message}. Log: {log}", FAULT)


def _finish(config: Config, out: Path, folders: Mapping[str, Path]) -> Outcome:
    from pipelines.summary import collect, own_bundle

    run_id = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-") + folders["gate"].name[:8]
    registered = _registered(config, out, folders["register"]) if "register" in folders else None
    bundle = own_bundle(folders["gate"] / "bundle", out / "bundle") if registered else None
    summary = collect(config, steps(task=config.task), folders, run_id, registered, bundle)
    relative = {name: str(folder.relative_to(out)) for name, folder in folders.items()}
    RunRecord(run_id=run_id, config=json.loads(to_json(config)), steps=relative).save(out)
    page = report(out, summary)
    if registered:
        from crossmix.registry.store import Registry

        Registry.of(config, out).log_artifact(registered.version, page.name, page)
    summary.save(out, strict=True)
    return Outcome(summary, PASSED if registered else GATES_FAILED)


def _registered(config: Config, out: Path, folder: Path) -> Registration:
    """The version that the register step made, as the registry has it now; the champion's bundle in OUT/bundle."""
    from crossmix.registry.mlflow_door import RegistryError
    from crossmix.registry.store import CHAMPION, Registry

    registry = Registry.of(config, out)
    number = Registration.load(folder).version
    try:
        registry.fetch(CHAMPION, out / "bundle")
        return Registration.of(registry.get(number).as_dict())
    except RegistryError as error:
        shutil.rmtree(folder)  # so that the next run registers again
        raise StepError(f"register: {error}; run the same command again to register anew", FAULT) from None


def report(out: Path, summary: Summary | None = None) -> Path:
    """Render OUT/report.html again from the steps of the last run; its path.

    Raises:
        ConfigError: the folder holds no finished run.
        ArtifactError: a file of the run cannot be read.
    """
    from crossmix.report.inputs import ReportInputs
    from crossmix.report.page import render

    summary = summary or _read_run(out, Summary)
    folders = _read_run(out, RunRecord).steps
    inputs = ReportInputs.collect({name: out / folder for name, folder in folders.items()}, summary)
    page = out / "report.html"
    files.write(page, render(inputs))
    return page


def step_folder(out: Path, name: str) -> Path:
    """Where the last finished run has a step's result.

    Raises:
        ConfigError: the folder holds no finished run, or that run had no such step, or its result is gone.
    """
    record = _read_run(out, RunRecord)
    folders, task = record.steps, record.config.get("task", SPLIT)
    if name not in steps(task=task) and name in steps():
        raise ConfigError(
            f"{out}: holds a run of task {task!r}, which has no {name} step; name the folder of a split's"
        )
    if name not in folders or not (out / folders[name]).is_dir():
        raise ConfigError(f"{out}: holds no finished {name} step; run `crossmix run --out {out}` again")
    return out / folders[name]


def run_steps(out: Path) -> dict[str, Path]:
    """Where the last finished run has each of its steps' results; raises as `report`."""
    return {name: out / folder for name, folder in _read_run(out, RunRecord).steps.items()}


def run_config(out: Path) -> dict[str, Any]:
    """The configuration of the last finished run; raises as `report`."""
    return _read_run(out, RunRecord).config


def _read_run(out: Path, kind: type[Kind]) -> Kind:
    content = kind.found(out)
    if content is None:
        raise ConfigError(f"{out}: holds no finished run ({kind.FILE} is missing); make one with `crossmix run`")
    return content


@contextlib.contextmanager
def environment(out: Path) -> Iterator[None]:
    """What the steps' processes inherit; a variable the user has set stays as it is."""
    before = dict(os.environ)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    tempfile.gettempdir()  # settles where this process keeps its own
    os.environ["TMPDIR"] = str(out / "kfp" / "tmp")  # kfp leaves a temporary folder behind for every step
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def describe(outcome: Outcome, out: Path) -> str:
    """The result in a few lines."""
    summary = outcome.summary
    lines = ["", *(_quality(summary.figures) if summary.figures else _split(summary))]
    lines += _gates(summary.gates)
    if summary.registry:
        entry = summary.registry
        lines.append(f"registry   {entry.name} version {entry.version} ({', '.join(entry.aliases)})")
    if rolled := (summary.steps or {}).get("deploy", {}).get("rollout"):
        lines.append(f"servers    {rolled}")
    lines.append(f"report     {out / 'report.html'}")
    if outcome.status == GATES_FAILED:
        harmless = {"pass", "not applicable"}
        failures = [gate for gate in summary.gates if gate.required and gate.verdict not in harmless]
        lines.append("nothing was registered: a required gate did not pass")
        for gate in failures:
            lines.append(f"  {gate.verdict.upper()}  {gate.name}: {_number(gate.value)}, wanted {gate.threshold}")
            lines += [f"    {gate.detail}"] if gate.detail else []
        if summary.policy:
            lines.append(f"`crossmix allocate {out}` answers all the same, and says how far to trust it")
    return "\n".join(lines)


def _gates(gates: Sequence[SummaryGate]) -> list[str]:
    """Verdicts counted: of the gates that registering asks for, and of those that only tell."""
    lines: list[str] = []
    for required, called in ((True, "required"), (False, "others, which hold nothing back")):
        verdicts = [gate.verdict for gate in gates if gate.required == required]
        counted = ", ".join(f"{verdicts.count(kind)} {kind}" for kind in dict.fromkeys(verdicts))
        if counted:
            lines.append(f"{'' if lines else 'gates':<10} {called}: {counted}")
    return lines


def _split(summary: Summary) -> list[str]:
    """How good the policy is, and the heads."""
    policy, fused = summary.policy, summary.fusion
    if policy is None or fused is None:
        return []
    best = max(policy.baselines, key=lambda name: policy.baselines[name].mean)
    return [
        f"policy     {_with_interval(policy.oracle_ratio)} of the oracle's revenue, "
        f"{_with_interval(policy.gap_closed)} of the gap from uniform closed (mean, 95 % interval)",
        f"rival      {_with_interval(policy.baselines[best])} ({best}, the best competitor)",
        f"fusion     click AUC {_number(fused.click_auc)}, conversion AUC {_number(fused.conversion_auc)}, "
        f"from {', '.join(fused.modalities)}"
        if fused.modalities
        else "fusion     none: the log is a spend history",
    ]


def _quality(judged: TaskJudged) -> list[str]:
    """The figures of another task than the split."""
    width = max(map(len, judged.figures), default=0)
    rows = []
    for name, figure in judged.figures.items():
        value = _with_interval(figure) if figure.ci95 else _number(figure.mean)
        rows.append(f"{name.replace('_', ' '):{width}}  {value}  {figure.meaning}")
    return rows


def _with_interval(figure: Interval | TaskFigure) -> str:
    low, high = figure.ci95 or (figure.mean, figure.mean)
    return f"{figure.mean:.3f} [{low:.3f}, {high:.3f}]"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
