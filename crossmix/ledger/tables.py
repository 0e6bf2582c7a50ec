"""The ledger's tables: campaigns, overrides, feedback and its sums, assignments, served splits, experiments, audit.

A change here needs a migration (`crossmix/ledger/migrations/versions`); a test compares the two on both engines.
"""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

metadata = sa.MetaData()
Moment = sa.DateTime(timezone=True)
"""UTC; `utc` reads it back with its zone, which SQLite drops."""

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("campaign_id", sa.String(200), primary_key=True),
    sa.Column("currency", sa.String(40), nullable=False),
    sa.Column("cycle_budget", sa.Float, nullable=False, comment="of both arms together, currency per cycle"),
    sa.Column("share", sa.JSON, nullable=False, comment="platform -> share of the static split, sums to 1"),
    sa.Column("limits", sa.JSON, nullable=False, comment="platform -> {min, max, step, freeze}"),
    sa.Column("starts", Moment, nullable=False, comment="start of cycle 0"),
    sa.Column("cycles", sa.Integer, nullable=False, comment="planned cycles"),
    sa.Column("cycle_hours", sa.Float, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False, default=False),
    sa.Column("timezone", sa.String(60), nullable=True, comment="IANA; null: cycles of a fixed length from starts on"),
)

overrides = sa.Table(
    "overrides",
    metadata,
    sa.Column("campaign_id", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(10), nullable=False, comment="static (kill switch) or given"),
    sa.Column("share", sa.JSON, nullable=True, comment="platform -> share of a given split"),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("reason", sa.String(1_000), nullable=False),
    sa.Column("at", Moment, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", Moment, nullable=False, index=True),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("action", sa.String(50), nullable=False, comment="as campaign.edit, override.set, bundle.promote"),
    sa.Column("subject", sa.String(200), nullable=False, comment="campaign, version or experiment"),
    sa.Column("before", sa.JSON, nullable=True),
    sa.Column("after", sa.JSON, nullable=True),
    sa.Column("reason", sa.String(1_000), nullable=False, default=""),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("event_id", sa.String(200), primary_key=True),
    sa.Column("received", Moment, nullable=False),
    sa.Column("campaign_id", sa.String(200), nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("platform", sa.String(200), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False, comment="of the impressions"),
    sa.Column("known", sa.Integer, nullable=False, comment="cycle in which it was received: later for late ones"),
    sa.Column("user", sa.String(64), nullable=True, comment="keyed hash, never the id"),
    sa.Column("requests", sa.Float, nullable=True, comment="auction requests; null: not told"),
    sa.Column("impressions", sa.Float, nullable=False),
    sa.Column("clicks", sa.Float, nullable=False),
    sa.Column("conversions", sa.Float, nullable=False),
    sa.Column("revenue", sa.Float, nullable=False, comment="currency"),
    sa.Column("spend", sa.Float, nullable=False, comment="currency"),
    sa.Column(
        "complete", sa.Boolean, nullable=False, server_default=sa.false(), comment="nothing more comes of its cell"
    ),
    sa.Column("replaces", sa.String(200), nullable=True, comment="event that it stands in for"),
    sa.Column("replaced_by", sa.String(200), nullable=True, comment="event that stands in for it: it counts no more"),
    sa.Column("reason", sa.String(1_000), nullable=True, comment="of a correction or refund"),
    sa.Index("events_by_cycle", "campaign_id", "arm", "cycle"),
    sa.Index("events_by_known", "campaign_id", "arm", "known"),
    comment="increments of delivery outcomes, each counted once",
)

totals = sa.Table(
    "totals",
    metadata,
    sa.Column("campaign_id", sa.String(200), primary_key=True),
    sa.Column("arm", sa.String(20), primary_key=True),
    sa.Column("cycle", sa.Integer, primary_key=True, autoincrement=False, comment="of the impressions"),
    sa.Column("platform", sa.String(200), primary_key=True),
    sa.Column("known", sa.Integer, primary_key=True, autoincrement=False, comment="cycle in which they were received"),
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

feedback_state = sa.Table(
    "feedback_state",
    metadata,
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

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("campaign_id", sa.String(200), primary_key=True),
    sa.Column("arm", sa.String(20), primary_key=True),
    sa.Column("platform", sa.String(200), primary_key=True),
    sa.Column("cycle", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cause", sa.String(20), nullable=False, comment="identity, overspent, impossible, disagree or shared"),
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

assignments = sa.Table(
    "assignments",
    metadata,
    sa.Column("experiment", sa.String(200), primary_key=True),
    sa.Column("user", sa.String(64), primary_key=True, comment="keyed hash, never the id"),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("bucket", sa.Integer, nullable=False),
    sa.Column("first_seen", Moment, nullable=False),
)

served = sa.Table(
    "served",
    metadata,
    sa.Column("allocation_id", sa.String(64), primary_key=True, comment="digest of the row's content"),
    sa.Column("at", Moment, nullable=False),
    sa.Column("campaign_id", sa.String(200), nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("bundle", sa.String(64), nullable=False, comment="digest"),
    sa.Column("budget", sa.Float, nullable=False, comment="of the arm's cycle, currency"),
    sa.Column("share", sa.JSON, nullable=False, comment="platform -> share, after exploration and limits"),
    sa.Column("state", sa.LargeBinary, nullable=True, comment="640 float32, little-endian; null for a static split"),
    sa.Column("logits", sa.JSON, nullable=True, comment="as sampled, slot order; null: not explored"),
    sa.Column("log_density", sa.Float, nullable=True, comment="ln p(logits | state) of the served Gaussian"),
    sa.Column("override", sa.String(10), nullable=True),
    sa.Index("served_by_cycle", "campaign_id", "arm", "cycle"),
    comment="each split that was served: what online learning and off-policy estimates read beside events",
)

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("salt", sa.String(200), nullable=False),
    sa.Column("weights", sa.JSON, nullable=False, comment="arm -> share of users and budget"),
    sa.Column("started", Moment, nullable=False),
    sa.Column("days", sa.Integer, nullable=False, comment="planned cycles"),
    sa.Column("level", sa.Float, nullable=False),
    sa.Column("ended", Moment, nullable=True),
    sa.Column("reason", sa.String(1_000), nullable=True, comment="why it ended; a guardrail's sentence"),
    sa.Column("ended_by", sa.String(200), nullable=True, comment="who ended it: guardrail, or a person"),
    sa.Column("cycle_hours", sa.Float, nullable=True, comment="of its cycles; null: the longest of its campaigns'"),
    sa.Column("included", sa.JSON, nullable=True, comment="names of its campaigns; null: all"),
    sa.Column("excluded", sa.JSON, nullable=True, comment="names of campaigns that it leaves out"),
    sa.Column("outcome", sa.String(20), nullable=True, comment="shipped, or replaced by the next"),
    sa.Column("shipped", Moment, nullable=True, comment="since when the policy serves everybody"),
    sa.Column("archived", Moment, nullable=True),
)

pushed = sa.Table(
    "pushed",
    metadata,
    sa.Column("campaign_id", sa.String(200), primary_key=True),
    sa.Column("arm", sa.String(20), primary_key=True),
    sa.Column("cycle", sa.Integer, nullable=False, comment="newest cycle whose statistics went to the feature store"),
    sa.Column(
        "number", sa.Integer, nullable=False, server_default="0", comment="feedback_state.late, as they were computed"
    ),
    sa.Column("pushes", sa.Integer, nullable=False, server_default="0", comment="how many; grows with each"),
)

identity = sa.Table(
    "identity",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True, comment="random: whose files beside the database these are"),
)

revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)


def utc(moment: datetime) -> datetime:
    """A moment as the database gave it, in UTC: SQLite drops the zone."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
