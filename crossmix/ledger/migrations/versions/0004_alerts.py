"""Alerts that monitors raised and webhooks accepted, the runs that they asked for, and those on their way."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    _alerts()
    _runs()
    _outbox()


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", sa.String(200), primary_key=True, comment="digest: what is told twice has one id"),
        sa.Column("side", sa.String(10), primary_key=True, comment="raised by a monitor, or accepted by a webhook"),
        sa.Column("campaign_id", sa.String(200), nullable=False, comment="*: every campaign"),
        sa.Column("cause", sa.String(200), nullable=False),
        sa.Column("platform", sa.String(200), nullable=True, comment="null: none in particular"),
        sa.Column("cycle", sa.Integer, nullable=True, comment="first of its episode; null: not told"),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("dedupkey", sa.String(200), nullable=False, comment="the same for every episode of one trouble"),
        sa.Column("sender", sa.String(20), nullable=False, comment="crossmix or alertmanager"),
        sa.Column("at", Moment, nullable=False, comment="market time"),
        sa.Column("event", sa.JSON, nullable=False, comment="as sent or received"),
        sa.Column(
            "outcome", sa.String(20), nullable=True, comment="what an accepted one did: run, open, cooldown, noted"
        ),
        sa.Column("run_id", sa.String(64), nullable=True, comment="that it started or found open"),
    )
    op.create_index("alerts_by_time", "alerts", ["side", "at"])


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column(
            "run_id", sa.String(64), primary_key=True, comment="digest of the alert: its launcher starts it once"
        ),
        sa.Column("campaign_id", sa.String(200), nullable=False, comment="*: every campaign"),
        sa.Column("alert_id", sa.String(200), nullable=False, comment="that asked for it"),
        sa.Column("spec", sa.JSON, nullable=False, comment="what the launcher is given"),
        sa.Column("state", sa.String(20), nullable=False, comment="claimed, started, succeeded or failed"),
        sa.Column("claimed", Moment, nullable=False, comment="market time"),
        sa.Column("closed", Moment, nullable=True, comment="market time; null: open"),
        sa.Column("opened", Moment, nullable=False, comment="wall time"),
        sa.Column("started", Moment, nullable=True, comment="wall time; null: not yet"),
        sa.Column("started_id", sa.String(200), nullable=True, comment="the launcher's name of it"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0", comment="starts that were tried"),
        sa.Column("holder", sa.String(200), nullable=True, comment="process that starts and watches it"),
        sa.Column("lease", Moment, nullable=True, comment="wall time until when nobody else takes it"),
        sa.Column("heartbeat", Moment, nullable=True, comment="wall time when its holder last found it alive"),
        sa.Column("detail", sa.String(1_000), nullable=True, comment="why it waits or ended"),
        comment="re-adaptations that alerts asked for; one open per campaign",
    )
    op.create_index(
        "runs_one_open",
        "runs",
        ["campaign_id"],
        unique=True,
        sqlite_where=sa.text("closed IS NULL"),
        postgresql_where=sa.text("closed IS NULL"),
    )
    op.create_index("runs_by_campaign", "runs", ["campaign_id", "claimed"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("alert_id", sa.String(200), primary_key=True),
        sa.Column("target", sa.String(200), primary_key=True, comment="name in alerts.targets"),
        sa.Column("created", Moment, nullable=False, comment="wall time"),
        sa.Column("due", Moment, nullable=False, comment="wall time of the next try"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("delivered", Moment, nullable=True, comment="wall time of the acknowledgement"),
        sa.Column("parked", Moment, nullable=True, comment="wall time since when nothing is tried: it will never work"),
        sa.Column("status", sa.Integer, nullable=True, comment="HTTP, of the last try; null: no answer"),
        sa.Column("trouble", sa.String(1_000), nullable=True, comment="of the last try"),
        comment="alerts on their way; a row waits until its target acknowledges it",
    )
    op.create_index("outbox_by_due", "outbox", ["target", "due"])
