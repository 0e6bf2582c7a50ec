"""The standing of a run's answers, from what its gate step wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmix.artifacts import Decision, GateRow, GateTable
from crossmix.config import ConfigError
from pipelines.local import step_folder

if TYPE_CHECKING:
    from crossmix.bundle import Bundle
    from crossmix.evaluate.decision.standing import Standing


def of_run(out: Path, campaign: str | None) -> Standing | None:
    """What a run's own gates say of its answers; `None`: it has no gate step."""
    from crossmix.evaluate.decision.standing import standing

    folder = _gate(out)
    return None if folder is None else standing(GateTable.load(folder).gates, Decision.found(folder), campaign)


def of_bundle(bundle: Bundle, out: Path | None, campaign: str) -> Standing | None:
    """What the gates say that a bundle was judged by; a decision is known of the run's own bundle alone.

    `None`: the bundle tells none.
    """
    from crossmix.bundle import BundleError, load
    from crossmix.evaluate.decision.standing import standing

    rows: list[dict[str, Any]] = list(bundle.manifest.get("gates", ()))
    if not rows:
        return None
    folder = None if out is None else _gate(out)
    decision = None
    if folder is not None:
        try:
            decision = Decision.found(folder) if load(folder / "bundle").digest == bundle.digest else None
        except BundleError:
            decision = None  # the run's own bundle is gone; what answers carries its gates itself
    return standing([GateRow(**row) for row in rows], decision, campaign)


def first_tests(out: Path) -> dict[str, str]:
    """Of a spend history each running campaign's first test in words; of impressions none."""
    from crossmix.evaluate.decision.standing import sentence

    folder = _gate(out)
    decision = None if folder is None else Decision.found(folder)
    if decision is None:
        return {}
    return {
        one.campaign: sentence(one.first_test, decision.currency, decision.cycle_hours)
        for one in decision.campaigns
        if one.ended is None
    }


def untried(out: Path | None, campaign: str) -> frozenset[str]:
    """Platforms where a campaign of a spend history never spent."""
    folder = None if out is None else _gate(out)
    decision = None if folder is None else Decision.found(folder)
    own = () if decision is None else (one for one in decision.campaigns if one.campaign == campaign)
    return frozenset(row.platform for one in own for row in one.platforms if not row.tried)


def judged_bundle(out: Path) -> Path | None:
    """The bundle that a run judged, whether it was registered or not; `None`: there is none."""
    folder = _gate(out)
    return folder / "bundle" if folder is not None and (folder / "bundle").is_dir() else None


def _gate(out: Path) -> Path | None:
    try:
        return step_folder(out, "gate")
    except ConfigError:
        return None
