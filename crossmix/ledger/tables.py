"""The ledger's tables: campaigns, overrides, feedback and its sums, assignments, served splits, experiments,
canaries, audit, alerts and what they started.

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
    sa.Index("totals_by_received", "received"),
    sa.Index("totals_by_known", "campaign_id", "known"),
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

canaries = sa.Table(
    "canaries",
    metadata,
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

watched = sa.Table(
    "watched",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True, comment="what is followed, as residuals@24h"),
    sa.Column(
        "bundle", sa.String(64), nullable=False, comment="digest of what it is held against; another: begun anew"
    ),
    sa.Column("through", Moment, nullable=False, comment="end of the last cycle that was taken in"),
    sa.Column("state", sa.LargeBinary, nullable=False, comment="safetensors"),
    comment="how far monitors have followed the feedback, and what they believe",
)

alerts = sa.Table(
    "alerts",
    metadata,
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
    sa.Column("outcome", sa.String(20), nullable=True, comment="what an accepted one did: run, open, cooldown, noted"),
    sa.Column("run_id", sa.String(64), nullable=True, comment="that it started or found open"),
    sa.Index("alerts_by_time", "side", "at"),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.String(64), primary_key=True, comment="digest of the alert: its launcher starts it once"),
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
    sa.Index(
        "runs_one_open",
        "campaign_id",
        unique=True,
        sqlite_where=sa.text("closed IS NULL"),
        postgresql_where=sa.text("closed IS NULL"),
    ),
    sa.Index("runs_by_campaign", "campaign_id", "claimed"),
    comment="re-adaptations that alerts asked for; one open per campaign",
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("alert_id", sa.String(200), primary_key=True),
    sa.Column("target", sa.String(200), primary_key=True, comment="name in alerts.targets"),
    sa.Column("created", Moment, nullable=False, comment="wall time"),
    sa.Column("due", Moment, nullable=False, comment="wall time of the next try"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("delivered", Moment, nullable=True, comment="wall time of the acknowledgement"),
    sa.Column("parked", Moment, nullable=True, comment="wall time since when nothing is tried: it will never work"),
    sa.Column("status", sa.Integer, nullable=True, comment="HTTP, of the last try; null: no answer"),
    sa.Column("trouble", sa.String(1_000), nullable=True, comment="of the last try"),
    sa.Index("outbox_by_due", "target", "due"),
    comment="alerts on their way; a row waits until its target acknowledges it",
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
