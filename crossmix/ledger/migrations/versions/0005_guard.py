"""Cells of feedback that are not believed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "quarantine",
        sa.Column("campaign_id", sa.String(200), primary_key=True),
        sa.Column("arm", sa.String(20), primary_key=True),
        sa.Column("platform", sa.String(200), primary_key=True),
        sa.Column("cycle", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column(
            "cause", sa.String(20), nullable=False, comment="identity, overspent, impossible, disagree or shared"
        ),
        sa.Column("quantity", sa.String(20), nullable=False, comment="that is suspect"),
        sa.Column("observed", sa.Float, nullable=False, comment="over the cycles looked at: a count or currency"),
        sa.Column("expected", sa.Float, nullable=False, comment="in the same unit"),
        sa.Column("z", sa.Float, nullable=True, comment="standard deviations; null: of what needs no law"),
        sa.Column("sentence", sa.String(1_000), nullable=False, comment="what is wrong, for a person"),
        sa.Column("since", Moment, nullable=False, comment="market time at which it was first held"),
        sa.Column("state", sa.String(20), nullable=False, comment="held, confirmed or discarded"),
        sa.Column("actor", sa.String(200), nullable=False, comment="who put it into its state: guard, or a person"),
        sa.Column("reason", sa.String(1_000), nullable=False),
        sa.Column("at", Moment, nullable=False, comment="market time of the state"),
        comment="cells of feedback that are not believed; events and totals stay as they came",
    )
