"""Run a re-adaptation, or the daily refit, on this machine: kfp's local runner over the step store of the trained run.

OUT/readapt/<run>/request.json   what was asked for: the same again goes on with it
OUT/readapt/<run>/result.json    how it ended                    OUT/readapt/<run>/run.log   everything that was printed
OUT/steps/<step>/<key>/          finished steps, as of training
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from components import lifeline
from components.declared import steps
from crossmix.artifacts import (
    Deployment,
    FeedbackReport,
    GateTable,
    Lead,
    Readaptation,
    ReadaptationJudged,
    ReadaptRequest,
    ReadaptResult,
    Registration,
)
from crossmix.clock import ClockError, clock_of
from crossmix.config import Config, ConfigError, documented, from_json, load
from pipelines import local

Pipeline = Literal["readapt", "online"]
FOLDER = "readapt"
"""Of the runs, in the folder of the trained run."""
CHANGES = ("readapt.", "levels.", "online.", "evaluate.", "gates.", "serving.", "registry.")
"""Begin the keys that a re-adaptation may change."""
RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Adapted:
    """A finished run, and what its steps told."""

    result: ReadaptResult
    told: FeedbackReport
    report: Readaptation
    judged: ReadaptationJudged
    gates: GateTable
    registration: Registration | None
    deployment: Deployment | None


def asked(
    out: Path, overrides: Sequence[str], pipeline: Pipeline, run: str | None = None, clock: str | None = None
) -> ReadaptRequest:
    """The run that is asked for: the one of that name, one of the same request that was cut off, or a new one.

    Args:
        out: folder of the trained run.
        overrides: changes of its config, as KEY=VALUE.
        run: its id; `None`: of one that was cut off, or a new one.
        clock: the file of the market's clock where the config names none.

    Raises:
        ConfigError: a change that does not fit, an id that is none, or of another request.
    """
    config = _config(out, overrides)
    if run is not None and not RUN.fullmatch(run):
        raise ConfigError(f"--run {run!r}: give letters, digits, dots, dashes and underscores, 100 at most")
    before = {one.run: one for one in _requests(out)}
    if run is not None and run in before:
        same = before[run]
        if (same.pipeline, same.overrides) != (pipeline, tuple(overrides)):
            raise ConfigError(f"--run {run}: it was asked for with other settings; name another run")
        return same
    if run is None:
        for one in sorted(before.values(), key=lambda one: one.at, reverse=True):
            open_ = ReadaptResult.found(out / FOLDER / one.run) is None
            if open_ and (one.pipeline, one.overrides) == (pipeline, tuple(overrides)):
                return one
    at = config.readapt.at or _now(config, clock).isoformat()
    request = ReadaptRequest(run=run or _fresh(before, at), pipeline=pipeline, at=at, overrides=tuple(overrides))
    (out / FOLDER / request.run).mkdir(parents=True, exist_ok=True)
    request.save(out / FOLDER / request.run)
    return request


def _config(out: Path, overrides: Sequence[str]) -> Config:
    for item in overrides:
        if not item.startswith(CHANGES):
            takes = ", ".join(f"{one}*" for one in CHANGES)
            raise ConfigError(f"--set {item!r}: a re-adaptation takes {takes}; train for the rest")
    before = from_json(json.dumps(local.run_config(out)))
    return load(before.preset, overrides, dict(documented(before)))


def _requests(out: Path) -> list[ReadaptRequest]:
    return [ReadaptRequest.load(file.parent) for file in sorted((out / FOLDER).glob(f"*/{ReadaptRequest.FILE}"))]


def _now(config: Config, clock: str | None) -> datetime:
    try:
        return clock_of(config.serving.clock or clock)().astimezone(UTC)
    except ClockError as error:
        raise ConfigError(f"serving.{error}") from None


def _fresh(before: Mapping[str, Any], at: str) -> str:
    """An id that tells the market time."""
    stem = datetime.fromisoformat(at).strftime("%Y%m%dT%H%M%SZ")
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(before) + 3))]
    return next(name for name in names if name not in before)


def run(out: Path, request: ReadaptRequest, wait: float = 0.0) -> Adapted:
    """Run every step that has no result yet.

    Args:
        wait: seconds for which another run in the folder is waited for.

    Raises:
        ConfigError, RunningError: nothing was started.
        StepError: a step failed; the same request goes on from there.
    """
    out = out.resolve()
    folder = out / FOLDER / request.run
    config = _config(out, request.overrides)
    config = replace(config, readapt=replace(config.readapt, run=request.run, at=request.at))
    with _held(out, wait), local.environment(out):
        store = local.clean_store(out / "steps")
        local.run_pipeline(_pipeline(request.pipeline), config, out, store, folder / "run.log")
        links = {name: store / "current" / name for name in steps(request.pipeline)}
        folders = {name: link.resolve() for name, link in links.items() if link.exists()}
    return _finish(out, request, config, folders)


@contextmanager
def _held(out: Path, wait: float) -> Iterator[None]:
    deadline = time.monotonic() + wait
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lifeline.hold(out))
                break
            except lifeline.RunningError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(min(1.0, wait))
        yield


def _pipeline(name: Pipeline) -> Any:
    if name == "online":
        from pipelines.online import ONLINE

        return ONLINE
    from pipelines.readapt import READAPT

    return READAPT


def _finish(out: Path, request: ReadaptRequest, config: Config, folders: Mapping[str, Path]) -> Adapted:
    judged = ReadaptationJudged.load(folders["judge"])
    dry = judged.outcome == "adapted" and config.readapt.promote == "never"
    registration = Registration.found(folders.get("register"))
    deployment = Deployment.found(folders.get("deploy"))
    result = ReadaptResult(
        run=request.run,
        outcome="dry run" if dry else judged.outcome,
        reason=judged.reason,
        status=local.GATES_FAILED if judged.outcome == "stopped" else local.PASSED,
        version=None if registration is None else registration.version,
        deployed=None if deployment is None else deployment.state,
        steps={name: str(folder.relative_to(out)) for name, folder in folders.items()},
    )
    result.save(out / FOLDER / request.run)
    return Adapted(
        result=result,
        told=FeedbackReport.load(folders["feedback"]),
        report=Readaptation.load(folders["finetune" if request.pipeline == "online" else "readapt"]),
        judged=judged,
        gates=GateTable.load(folders["judge"]),
        registration=registration,
        deployment=deployment,
    )


def describe(done: Adapted) -> str:
    """What was tried, what the gates said and what became of it, for a terminal."""
    told, report = done.told, done.report
    lines = ["", f"feedback   {told.cycles} cycles of {len(told.campaigns)} campaigns up to {told.until or told.at}"]
    lines += [f"  left out: {name}: {why}" for name, why in told.left_out.items()]
    lines += [f"  held: {one.sentence}" for one in told.suspects[:5]]
    if len(told.suspects) > 5:
        lines.append(f"  held: {len(told.suspects) - 5} more, in feedback.json")
    lines.append(f"moved      {len(report.moved)} levels that are more likely to have moved than not")
    for one in report.moved[:5]:
        low, high = one.ci95
        lines.append(f"  {one.quantity} of {one.campaign} on {one.platform}: x{one.factor:.2f} [{low:.2f}, {high:.2f}]")
    if len(report.moved) > 5:
        lines.append(f"  {len(report.moved) - 5} more, in readapt.json")
    lines += ["", *_ways(report), "", *_gates(done.gates), "", f"{done.result.outcome}: {done.result.reason}"]
    if done.registration is not None:
        lines.append(
            f"registry   {done.registration.name} version {done.registration.version}: {done.registration.note}"
        )
    if done.deployment is not None:
        lines.append(f"deployed   {done.deployment.state}: {done.deployment.detail}")
        lines.append(f"rolled out {done.deployment.rollout or '–'}")
    return "\n".join(lines)


def _ways(report: Readaptation) -> list[str]:
    rows = [("way", "of the oracle", "over the champion", "updates", "CPU s", "")]
    for one in report.tried:
        if one.left_out is not None:
            rows.append((one.name, "–", "", "", "", f"not tried: {one.left_out}"))
            continue
        lead = "" if one.lead is None or one is report.tried[0] else _lead(one.lead)
        kept = "kept" if one.kept else ""
        rows.append((one.name, _short(one.oracle_ratio), lead, str(one.updates), f"{one.seconds or 0.0:.2f}", kept))
    return _columns(rows)


def _lead(lead: Lead) -> str:
    return f"{lead.mean:+.4f} [{lead.ci95[0]:+.4f}, {lead.ci95[1]:+.4f}]"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _gates(table: GateTable) -> list[str]:
    rows = [("gate", "figure", "wanted", "verdict", "required", "reason")]
    for one in table.gates:
        rows.append(
            (one.name, _short(one.value), one.threshold, one.verdict, "yes" if one.required else "no", one.detail)
        )
    return _columns(rows)


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows]
