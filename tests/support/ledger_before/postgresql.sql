-- The tables of the commit before migrations (6846aa8), as its metadata.create_all makes them on PostgreSQL.
CREATE TABLE campaigns (
	campaign_id VARCHAR(200) NOT NULL,
	currency VARCHAR(40) NOT NULL,
	cycle_budget FLOAT NOT NULL,
	share JSON NOT NULL,
	limits JSON NOT NULL,
	starts TIMESTAMP WITH TIME ZONE NOT NULL,
	cycles INTEGER NOT NULL,
	cycle_hours FLOAT NOT NULL,
	paused BOOLEAN NOT NULL,
	PRIMARY KEY (campaign_id)
);
COMMENT ON COLUMN campaigns.cycle_budget IS 'of both arms together, currency per cycle';
COMMENT ON COLUMN campaigns.share IS 'platform -> share of the static split, sums to 1';
COMMENT ON COLUMN campaigns.limits IS 'platform -> {min, max, step, freeze}';
COMMENT ON COLUMN campaigns.starts IS 'start of cycle 0';
COMMENT ON COLUMN campaigns.cycles IS 'planned cycles';
CREATE TABLE overrides (
	campaign_id VARCHAR(200) NOT NULL,
	kind VARCHAR(10) NOT NULL,
	share JSON,
	who VARCHAR(200) NOT NULL,
	why VARCHAR(1000) NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	PRIMARY KEY (campaign_id)
);
COMMENT ON COLUMN overrides.kind IS 'static (kill switch) or given';
COMMENT ON COLUMN overrides.share IS 'platform -> share of a given split';
CREATE TABLE audit (
	id SERIAL NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	who VARCHAR(200) NOT NULL,
	action VARCHAR(50) NOT NULL,
	subject VARCHAR(200) NOT NULL,
	before JSON,
	after JSON,
	why VARCHAR(1000) NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX ix_audit_at ON audit (at);
COMMENT ON COLUMN audit.action IS 'as campaign.edit, override.set, bundle.promote';
COMMENT ON COLUMN audit.subject IS 'campaign, version or experiment';
CREATE TABLE events (
	event_id VARCHAR(200) NOT NULL,
	received TIMESTAMP WITH TIME ZONE NOT NULL,
	campaign_id VARCHAR(200) NOT NULL,
	arm VARCHAR(20) NOT NULL,
	platform VARCHAR(200) NOT NULL,
	cycle INTEGER NOT NULL,
	known INTEGER NOT NULL,
	"user" VARCHAR(64),
	requests FLOAT,
	impressions FLOAT NOT NULL,
	clicks FLOAT NOT NULL,
	conversions FLOAT NOT NULL,
	revenue FLOAT NOT NULL,
	spend FLOAT NOT NULL,
	PRIMARY KEY (event_id)
);
CREATE INDEX events_by_known ON events (campaign_id, arm, known);
CREATE INDEX events_by_cycle ON events (campaign_id, arm, cycle);
COMMENT ON TABLE events IS 'increments of delivery outcomes, each counted once';
COMMENT ON COLUMN events.cycle IS 'of the impressions';
COMMENT ON COLUMN events.known IS 'cycle in which it was received: later for late ones';
COMMENT ON COLUMN events."user" IS 'keyed hash, never the id';
COMMENT ON COLUMN events.requests IS 'auction requests; null: not told';
COMMENT ON COLUMN events.revenue IS 'currency';
COMMENT ON COLUMN events.spend IS 'currency';
CREATE TABLE assignments (
	experiment VARCHAR(200) NOT NULL,
	"user" VARCHAR(64) NOT NULL,
	arm VARCHAR(20) NOT NULL,
	bucket INTEGER NOT NULL,
	first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
	PRIMARY KEY (experiment, "user")
);
COMMENT ON COLUMN assignments."user" IS 'keyed hash, never the id';
CREATE TABLE served (
	allocation_id VARCHAR(64) NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	campaign_id VARCHAR(200) NOT NULL,
	arm VARCHAR(20) NOT NULL,
	cycle INTEGER NOT NULL,
	bundle VARCHAR(64) NOT NULL,
	budget FLOAT NOT NULL,
	share JSON NOT NULL,
	state BYTEA,
	logits JSON,
	log_density FLOAT,
	override VARCHAR(10),
	PRIMARY KEY (allocation_id)
);
CREATE INDEX served_by_cycle ON served (campaign_id, arm, cycle);
COMMENT ON TABLE served IS 'each split that was served: what online learning and off-policy estimates read beside events';
COMMENT ON COLUMN served.allocation_id IS 'digest of the row''s content';
COMMENT ON COLUMN served.bundle IS 'digest';
COMMENT ON COLUMN served.budget IS 'of the arm''s cycle, currency';
COMMENT ON COLUMN served.share IS 'platform -> share, after exploration and limits';
COMMENT ON COLUMN served.state IS '640 float32, little-endian; null for a static split';
COMMENT ON COLUMN served.logits IS 'as sampled, slot order; null: not explored';
COMMENT ON COLUMN served.log_density IS 'ln p(logits | state) of the served Gaussian';
CREATE TABLE experiments (
	id VARCHAR(200) NOT NULL,
	salt VARCHAR(200) NOT NULL,
	weights JSON NOT NULL,
	started TIMESTAMP WITH TIME ZONE NOT NULL,
	days INTEGER NOT NULL,
	level FLOAT NOT NULL,
	ended TIMESTAMP WITH TIME ZONE,
	why VARCHAR(1000),
	PRIMARY KEY (id)
);
COMMENT ON COLUMN experiments.weights IS 'arm -> share of users and budget';
COMMENT ON COLUMN experiments.days IS 'planned cycles';
COMMENT ON COLUMN experiments.why IS 'why it ended; a guardrail''s sentence';
CREATE TABLE pushed (
	campaign_id VARCHAR(200) NOT NULL,
	arm VARCHAR(20) NOT NULL,
	cycle INTEGER NOT NULL,
	PRIMARY KEY (campaign_id, arm)
);
COMMENT ON COLUMN pushed.cycle IS 'newest cycle whose statistics went to the feature store';
CREATE TABLE revision (
	id SERIAL NOT NULL,
	number INTEGER NOT NULL,
	PRIMARY KEY (id)
);
