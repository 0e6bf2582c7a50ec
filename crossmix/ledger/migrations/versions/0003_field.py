"""Feedback that is late, corrected or complete; totals kept as events come; campaigns with time zones; experiments that
are extended, shipped and archived; a database's own identity.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    zone = "IANA; null: cycles of a fixed length from starts on"
    op.add_column("campaigns", sa.Column("timezone", sa.String(60), nullable=True, comment=zone))
    _experiments()
    _events()
    number = "feedback_state.late, as they were computed"
    op.add_column("pushed", sa.Column("number", sa.Integer, nullable=False, server_default="0", comment=number))
    many = "how many; grows with each"
    op.add_column("pushed", sa.Column("pushes", sa.Integer, nullable=False, server_default="0", comment=many))
    identity = op.create_table(
        "identity",
        sa.Column("id", sa.String(32), primary_key=True, comment="random: whose files beside the database these are"),
    )
    op.execute(identity.insert().values(id=secrets.token_hex(16)))
    _totals()


def _experiments() -> None:
    for column in (
        sa.Column("cycle_hours", sa.Float, nullable=True, comment="of its cycles; null: the longest of its campaigns'"),
        sa.Column("included", sa.JSON, nullable=True, comment="names of its campaigns; null: all"),
        sa.Column("excluded", sa.JSON, nullable=True, comment="names of campaigns that it leaves out"),
        sa.Column("outcome", sa.String(20), nullable=True, comment="shipped, or replaced by the next"),
        sa.Column("shipped", Moment, nullable=True, comment="since when the policy serves everybody"),
        sa.Column("archived", Moment, nullable=True),
    ):
        op.add_column("experiments", column)


def _events() -> None:
    counts = "event that stands in for it: it counts no more"
    for column in (
        sa.Column(
            "complete", sa.Boolean, nullable=False, server_default=sa.false(), comment="nothing more comes of its cell"
        ),
        sa.Column("replaces", sa.String(200), nullable=True, comment="event that it stands in for"),
        sa.Column("replaced_by", sa.String(200), nullable=True, comment=counts),
        sa.Column("reason", sa.String(1_000), nullable=True, comment="of a correction or refund"),
    ):
        op.add_column("events", column)


def _totals() -> None:
    keys = ("campaign_id", "arm", "cycle", "platform", "known")
    sums = ("impressions", "clicks", "conversions", "revenue", "spend")
    totals = op.create_table(
        "totals",
        sa.Column("campaign_id", sa.String(200), primary_key=True),
        sa.Column("arm", sa.String(20), primary_key=True),
        sa.Column("cycle", sa.Integer, primary_key=True, autoincrement=False, comment="of the impressions"),
        sa.Column("platform", sa.String(200), primary_key=True),
        sa.Column(
            "known", sa.Integer, primary_key=True, autoincrement=False, comment="cycle in which they were received"
        ),
        sa.Column("requests", sa.Float, nullable=True, comment="auction requests; null: none of the events tells"),
        sa.Column("won", sa.Float, nullable=False, comment="impressions of the events that tell requests"),
        sa.Column("impressions", sa.Float, nullable=False),
        sa.Column("clicks", sa.Float, nullable=False),
        sa.Column("conversions", sa.Float, nullable=False),
        sa.Column("revenue", sa.Float, nullable=False, comment="currency"),
        sa.Column("spend", sa.Float, nullable=False, comment="currency"),
        sa.Column("events", sa.Integer, nullable=False, comment="how many count"),
        sa.Column("complete", sa.Integer, nullable=False, comment="how many of them say that nothing more comes"),
        sa.Column("received", Moment, nullable=False, comment="the newest"),
        comment="sums of events, kept as they come",
    )
    state = op.create_table(
        "feedback_state",
        sa.Column("campaign_id", sa.String(200), primary_key=True),
        sa.Column("arm", sa.String(20), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, comment="grows with each transaction that changed its totals"),
        sa.Column("received", Moment, nullable=False, comment="the newest event"),
        sa.Column("cycle", sa.Integer, nullable=False, comment="newest with an event"),
        sa.Column(
            "late",
            sa.Integer,
            nullable=False,
            server_default="0",
            comment="of them, how many changed a cycle that was over",
        ),
    )
    names = (*keys, "requests", *sums, "received")
    events = sa.table("events", *(sa.column(name) for name in names))
    by = [events.c[name] for name in keys]
    won = sa.case((events.c.requests.is_not(None), events.c.impressions), else_=0.0)
    figures = {
        "requests": sa.func.sum(events.c.requests),
        "won": sa.func.sum(won),
        **{name: sa.func.sum(events.c[name]) for name in sums},
        "events": sa.func.count(),
        "complete": sa.literal(0),
        "received": sa.func.max(events.c.received),
    }
    op.execute(totals.insert().from_select([*keys, *figures], sa.select(*by, *figures.values()).group_by(*by)))
    arm = [totals.c.campaign_id, totals.c.arm]
    # One late change each: what was pushed before is made again, once.
    figures = {
        "number": sa.literal(1),
        "received": sa.func.max(totals.c.received),
        "cycle": sa.func.max(totals.c.cycle),
        "late": sa.literal(1),
    }
    newest = sa.select(*arm, *figures.values()).group_by(*arm)
    op.execute(state.insert().from_select(["campaign_id", "arm", *figures], newest))
