"""The one door to Evidently: pages and snapshots of tables whose columns `monitoring.columns` judged, and its UI.

Evidently draws and keeps; it decides nothing. Its own tests choose a method by the number of rows and know neither
several columns nor persistence, so what was decided for the whole table is registered as its stattest. It is imported
where a page or a snapshot is asked for, and never by a check.

A workspace, `OUT/serving/evidently`, holds a project per name: `<project>/snapshots/<id>.json`, and `pages/*.html` for
those that alarmed. Ids follow from name and time: what is written again for a time replaces what was there.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.files import replacing
from monitoring.columns import Column, Comparison, Limits, compare

if TYPE_CHECKING:
    import pandas as pd

STATTEST = "crossmix"
PAGES = "pages"
"""Folder of a workspace in which pages lie; Evidently reads those only that are named as ids are."""
SPACE = uuid.UUID("5d0e7a7c-6a0b-5c39-9f52-6a1f0c1b7f5e")
"""Of the names from which ids are made."""
SNAPSHOT_LIMITS = Limits(least=20)
"""A snapshot shows what there is; who alarms has thresholds of its own."""
_JUDGED: ContextVar[dict[str, Column]] = ContextVar("judged")


class DriftError(ValueError):
    """A workspace cannot be shown or written; one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was kept in an Evidently workspace."""

    path: Path
    """The snapshot, JSON of Evidently's."""
    html: Path | None
    """The page to read without a UI; only where something alarmed."""
    left_out: tuple[str, ...]
    """`column: why`, for each that could not be compared."""


def workspace(out: Path) -> Path:
    """The Evidently workspace of a run's folder."""
    return out / "serving" / "evidently"


def snapshot(
    folder: Path,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    name: str,
    at: datetime,
    alerting: bool,
    limits: Limits = SNAPSHOT_LIMITS,
) -> Snapshot:
    """Keep how `current` stands against `reference` in the workspace `folder`, which is made where it is missing.

    Args:
        name: of the workspace's project, as a campaign.
        at: when, with a time zone; a snapshot of the same name and time is replaced.
        alerting: whether to write a page too.

    Raises:
        DriftError: `at` has no time zone.
        TableError: as `monitoring.columns.read`.
        OSError: the folder cannot be written.
    """
    if at.tzinfo is None:
        raise DriftError(f"at={at.isoformat()}: has no time zone; give the time in UTC")
    found = compare(reference, current, limits)
    run = _run(found, reference, current, name=name, at=at, tags=["alert"] if alerting else [])
    project = uuid.uuid5(SPACE, name)
    path = _keep(folder, run, project, uuid.uuid5(project, at.isoformat()), name)
    html = None
    if alerting:
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60]
        html = folder / PAGES / f"{plain}-{project.hex[:8]}-{at:%Y%m%dT%H%M%S%z}.html"
        html.parent.mkdir(exist_ok=True)
        _write(run, html)
    return Snapshot(path, html, tuple(f"{column}: {why}" for column, why in found.left_out.items()))


def page(file: Path, found: Comparison, reference: pd.DataFrame, current: pd.DataFrame) -> None:
    """Evidently's page of two tables that were compared.

    Raises:
        DriftError: no column was compared.
        OSError: the file cannot be written.
    """
    if not found.columns:
        raise DriftError(f"{file}: no column was compared, so there is nothing to show")
    _write(_run(found, reference, current), file)


def ui(folder: Path, port: int) -> None:
    """Evidently's UI on a workspace, at 127.0.0.1, until the process is told to end (SIGINT, SIGTERM).

    Raises:
        DriftError: there is no workspace, or the port is taken.
    """
    if not folder.is_dir():
        raise DriftError(f"{folder}: no snapshot was kept there yet; a monitor that looks keeps one a day")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DriftError(f"--port {port}: cannot be bound ({error.strerror}); name another") from None
    _untold()
    from evidently.ui.service.app import run_local

    run_local("127.0.0.1", port, str(folder))


def _run(
    found: Comparison,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    name: str = "tables",
    at: datetime | None = None,
    tags: list[str] | None = None,
) -> Any:
    """Evidently's run over the compared columns, with what was decided for each."""
    _untold()
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import RowCount, ValueDrift

    _register(found.limits)
    before, after = (_plain(found, table) for table in (reference, current))
    numbers = [column.name for column in found.columns if column.kind == "number"]
    categories = [column.name for column in found.columns if column.kind == "category"]
    # Without a definition Evidently guesses kinds, and takes numbers of few values for categories.
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    shown = [
        ValueDrift(column=column.name, method=STATTEST, threshold=found.limits.effect)
        for column in sorted(found.columns, key=lambda column: (column.verdict != "drift", -column.effect))
    ]
    token = _JUDGED.set({column.name: column for column in found.columns})
    try:
        return Report([RowCount(tests=[]), *shown], include_tests=True).run(
            Dataset.from_pandas(after, data_definition=definition),
            Dataset.from_pandas(before, data_definition=definition),
            timestamp=at,
            name=name,
            tags=tags or [],
            metadata={f"left out: {column}": why for column, why in found.left_out.items()},
        )
    finally:
        _JUDGED.reset(token)


def _register(limits: Limits) -> None:
    """Make what was decided Evidently's test.

    It is found by members of `ColumnType`: registered for their values, "num" and "cat", no column would find it.
    """
    from evidently.legacy.calculations.stattests import registry
    from evidently.legacy.core import ColumnType

    def decided(reference: pd.Series[Any], _current: pd.Series[Any], _kind: object, _limit: float) -> Any:
        column = _JUDGED.get()[str(reference.name)]
        return column.effect, column.verdict == "drift"

    registry.register_stattest(
        registry.StatTest(
            name=STATTEST,
            display_name="Distance and significance over all columns (Holm)",
            allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
            default_threshold=limits.effect,
        ),
        default_impl=decided,
    )


def _plain(found: Comparison, table: pd.DataFrame) -> pd.DataFrame:
    """The compared columns as Evidently takes them: numbers as floats, all else as text; without any, row numbers."""
    import pandas as pd

    table = table.set_axis([str(name) for name in table.columns], axis=1)
    if not found.columns:
        return pd.DataFrame({"row": range(max(len(table), 1))})
    made = {}
    for column in found.columns:
        series = table[column.name]
        if column.kind == "number":
            made[column.name] = pd.Series(series.to_numpy("float64", na_value=float("nan")))
        else:
            made[column.name] = series.astype(str).where(series.notna(), None).reset_index(drop=True).astype(object)
    return pd.DataFrame(made)


def _keep(folder: Path, run: Any, project: uuid.UUID, identity: uuid.UUID, name: str) -> Path:
    """Write a run into the workspace.

    Evidently writes files in place, and a UI that follows the workspace would read halves. So it writes beside the
    workspace, and each whole file is moved in.
    """
    from evidently.sdk.models import ProjectModel
    from evidently.ui.workspace import Workspace

    folder.mkdir(parents=True, exist_ok=True)
    snapshots = folder / str(project) / "snapshots"
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        aside = Workspace.create(beside)
        aside.add_project(ProjectModel(id=project, name=name))
        written = aside.add_run(project, run, include_data=False)
        snapshots.mkdir(parents=True, exist_ok=True)
        known = folder / str(project) / "metadata.json"
        if not known.exists():
            shutil.move(Path(beside) / str(project) / known.name, known)
        target = snapshots / f"{identity}.json"
        (Path(beside) / str(project) / "snapshots" / f"{written.id}.json").replace(target)
    return target


def _write(run: Any, file: Path) -> None:
    with replacing(file) as half:
        run.save_html(str(half))


def _untold() -> None:
    """Evidently reports its use to its makers unless told not to, before it is imported."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
