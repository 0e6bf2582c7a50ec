"""Versions on trial."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "canaries",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("version", sa.Integer, nullable=False, comment="in the registry, on trial"),
        sa.Column("bundle", sa.String(64), nullable=False, comment="its digest"),
        sa.Column("champion", sa.Integer, nullable=True, comment="version that served as it began"),
        sa.Column("actor", sa.String(200), nullable=False, comment="who began it"),
        sa.Column("began", Moment, nullable=False),
        sa.Column("parts", sa.JSON, nullable=False, comment="planned: parts of the policy's users, rising"),
        sa.Column("cycles", sa.Integer, nullable=False, comment="planned, of each step"),
        sa.Column("roi_drop", sa.Float, nullable=False, comment="that stops it"),
        sa.Column("false_stops", sa.Float, nullable=False, comment="chance of one, planned"),
        sa.Column("step", sa.Integer, nullable=False, comment="index into parts"),
        sa.Column("step_began", Moment, nullable=False),
        sa.Column("steps", sa.JSON, nullable=False, comment="[when, part] of each step that has begun"),
        sa.Column("ended", Moment, nullable=True),
        sa.Column("outcome", sa.String(20), nullable=True, comment="promoted, rolled back or ended"),
        sa.Column("reason", sa.String(1_000), nullable=True, comment="why it ended"),
        sa.Column("ended_by", sa.String(200), nullable=True, comment="guardrail, canary, or a person"),
        sa.Column("settled", Moment, nullable=True, comment="since when what serves is known to be right again"),
        comment="versions on trial; at most one runs",
    )
