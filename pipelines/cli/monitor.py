"""`crossmix monitor`: what the monitors find in a server's database, once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crossmix.config import Config, ConfigError, load
from monitoring.monitors import Finding, configured, look
from pipelines.cli.database import opened
from pipelines.cli.serve import clock_for, run_with

WATCHED = ("monitor.*", "alerts.*", "serving.database", "serving.clock")
"""What of a run's config a look may change."""


def findings(out: Path | None, database: str | None, overrides: Sequence[str]) -> list[Finding]:
    """What the configured monitors find now.

    Args:
        out: a finished run that was served; its config says what watches.
        database: the server's database instead of the run's.
        overrides: config keys as `a.b=c`.

    Raises:
        ConfigError: neither is named, a setting does not fit, or the database cannot be read.
    """
    if out is None and database is None:
        raise ConfigError("monitor: name the folder of a run that was served, or --database URL")
    config = load("laptop", overrides) if out is None else run_with(out, overrides, "a monitor", WATCHED)
    configured(config)
    clock = clock_for(config)
    url = database_of(config, out, database)
    kept = url.removeprefix("sqlite:///")
    if out is not None and database is None and kept != url and not Path(kept).is_file():
        raise ConfigError(f"{out}: was never served, so nothing came back; `crossmix serve {out}` begins")
    with opened(url, clock) as store:
        return look(store, clock(), config)


def database_of(config: Config, out: Path | None, database: str | None) -> str:
    """The named database, else the config's, else the one in the run's folder; a URL."""
    return database or config.serving.database or f"sqlite:///{(out or Path()).absolute() / 'serving' / 'serving.db'}"


def table(findings: Sequence[Finding]) -> str:
    """The findings for people, the alarming ones marked."""
    if not findings:
        return "nothing to watch: no campaign is running"
    rows = [("", "monitor", "campaign", "arm", "observed", "limit", ""), *(_row(finding) for finding in findings)]
    width = [max(len(row[column]) for row in rows) for column in range(6)]
    padded = ([cell.ljust(size) for cell, size in zip(row, width, strict=False)] for row in rows)
    return "\n".join("  ".join([*cells, row[6]]).rstrip() for cells, row in zip(padded, rows, strict=True))


def _row(finding: Finding) -> tuple[str, ...]:
    observed = "-" if finding.observed is None else f"{finding.observed:.1f} {finding.unit}"
    mark = "ALARM" if finding.alarming else "ok"
    limit = f"{finding.limit:g} {finding.unit}"
    return mark, finding.monitor, finding.campaign_id, finding.arm, observed, limit, finding.detail


def plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings for programs."""
    return [finding.as_dict() for finding in findings]
