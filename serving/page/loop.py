"""The loop on the page: alerts, what was done about them, and which versions have served since, with why.

All of it is read from the ledger, by a fixed number of queries.
"""

from __future__ import annotations

from typing import Any

from crossmix.ledger import alerts, audit, canaries, runs
from crossmix.ledger.store import Store
from crossmix.pages.table import Cell, Table

SHOWN = 6
"""Rows of each table."""
SERVES = ("bundle.serve", canaries.BEGIN, canaries.END)
"""Actions of the audit trail after which another version answers somebody."""
WORDS = {"bundle.serve": "serves everybody", canaries.BEGIN: "canary began", canaries.END: "canary ended"}
RUN_CHIPS = {runs.CLAIMED: "insufficient-data", runs.STARTED: "insufficient-data", runs.FAILED: "fail"}
SEVERITY_CHIPS = {"critical": "fail", "warning": "insufficient-data"}


def read(store: Store) -> dict[str, Any]:
    """Plain data: `alerts`, `runs` and `versions`, the newest first, and `open`, how many runs are not over.

    Raises:
        StoreAwayError: the database is away.
    """
    raised = {one.notice.alert_id: one for one in alerts.newest(store, limit=4 * SHOWN)}
    return {
        "alerts": [
            {
                "at": one.at.isoformat(),
                "campaign_id": one.notice.campaign_id,
                "cause": one.notice.cause,
                "platform": one.notice.platform,
                "severity": one.notice.severity,
                "detail": one.notice.event.get("data", {}).get("detail", ""),
            }
            for one in list(raised.values())[:SHOWN]
        ],
        "runs": [
            {
                "run_id": one.run_id,
                "campaign_id": one.campaign_id,
                "state": one.state,
                "claimed": one.claimed.isoformat(),
                "closed": None if one.closed is None else one.closed.isoformat(),
                "detail": one.detail,
            }
            for one in runs.newest(store, SHOWN)
        ],
        "versions": [
            {"at": one.at.isoformat(), "action": one.action, "subject": one.subject, "actor": one.actor}
            | {"reason": one.reason}
            for one in audit.trail(store, limit=SHOWN, actions=SERVES)
        ],
        "open": sum(runs.open_counts(store).values()),
    }


def summary(data: dict[str, Any] | None) -> str:
    """One line for who does not open the section."""
    if data is None:
        return "the database is away"
    if not data["alerts"]:
        return "no alert yet"
    newest = data["alerts"][0]
    going = f"; {data['open']} re-adaptation{'s' if data['open'] > 1 else ''} under way" if data["open"] else ""
    return f"newest alert: {named(newest)}, {newest['at'][:10]}{going}"


def named(alert: dict[str, Any]) -> str:
    """Cause and platform of an alert."""
    return alert["cause"] if alert["platform"] is None else f"{alert['cause']} on {alert['platform']}"


def alert_table(data: dict[str, Any]) -> Table:
    """The newest alerts."""
    rows = tuple(
        (
            Cell(one["at"][:10]),
            Cell(named(one), f"chip {SEVERITY_CHIPS.get(one['severity'], 'none')}"),
            Cell("all campaigns" if one["campaign_id"] == "*" else one["campaign_id"]),
            Cell(one["detail"], "prose"),
        )
        for one in data["alerts"]
    )
    return Table("", ("Alert", "Cause", "Campaign", "What was seen"), rows)


def run_table(data: dict[str, Any]) -> Table:
    """The newest re-adaptations."""
    rows = tuple(
        (
            Cell(one["claimed"][:10]),
            Cell(one["state"], f"chip {RUN_CHIPS.get(one['state'], 'pass')}"),
            Cell("all campaigns" if one["campaign_id"] == "*" else one["campaign_id"]),
            Cell(one["run_id"][:12], "mono"),
            Cell(one["detail"] or "", "prose"),
        )
        for one in data["runs"]
    )
    return Table("", ("Re-adaptation", "State", "Campaign", "Run", "Detail"), rows)


def version_table(data: dict[str, Any]) -> Table:
    """What has served since when, and why."""
    rows = tuple(
        (
            Cell(one["at"][:10]),
            Cell(WORDS[one["action"]]),
            Cell(one["subject"]),
            Cell(one["actor"]),
            Cell(one["reason"] or "", "prose"),
        )
        for one in data["versions"]
    )
    return Table("", ("Since", "What", "Which", "By", "Why"), rows)
