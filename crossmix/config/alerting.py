"""Settings of alerts: where they go, and what the webhook that takes them does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from crossmix.config.values import STRICT, Name, NonNegative, Positive, PositiveInt


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where alerts are sent: one entry of `alerts.targets`."""

    __pydantic_config__ = STRICT
    kind: Literal["signed", "slack", "json"] = "signed"
    """signed: the CloudEvent, as Standard Webhooks, for another program; slack: a message in the form that Slack's
    incoming webhooks take, and Mattermost's and others' with them; json: a flat object."""
    url: Annotated[str, Field(pattern="^https?://")] | None = None
    """http or https; null: of slack and json, the secret is the address."""
    secret_file: str | None = None
    """File with the secret: of signed one or two keys `whsec_...`, of json a bearer token."""
    secret_env: str | None = None
    """Environment variable with the secret, where there is no file."""
    template: str | None = None
    """File with a Jinja template of the body, in place of the kind's own; not of signed."""
    timeout: Positive = 10.0
    """Seconds that the target may take to answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """What takes alerts and starts re-adaptations (`crossmix monitor webhook`)."""

    __pydantic_config__ = STRICT
    secret_file: str | None = None
    """File with one or two keys `whsec_...`: senders' signatures are checked with both."""
    secret_env: str = "CROSSMIX_WEBHOOK_SECRET"
    """Environment variable with them, where there is no file."""
    bearer_file: str | None = None
    """File with one or two bearer tokens, of Alertmanager and of who reads."""
    bearer_env: str = "CROSSMIX_WEBHOOK_TOKEN"
    """Environment variable with them, where there is no file."""
    starts: tuple[Literal["info", "warning", "critical"], ...] = ("warning", "critical")
    """Severities that ask for a re-adaptation; others are noted."""
    cooldown: NonNegative = 24.0
    """Hours of market time after an alert opened a run in which no other alert does, of whichever campaign."""
    again: tuple[PositiveInt, ...] = (3, 7, 14)
    """Days of market time after an alert's re-adaptation at which it is asked for again: evidence adds up; one that
    finds nothing to gain changes nothing. None: it is not."""
    largest_body: PositiveInt = 1_048_576
    """Largest request body, bytes."""
    per_minute: PositiveInt = 120
    """Signed alerts taken per minute of wall time; one more is 429. Alertmanager is never turned away."""
    waiting: PositiveInt = 64
    """Requests that may wait for the database; one more is 503."""
    lease: Positive = 60.0
    """Seconds of wall time that a process may be silent before another takes its runs over."""
    longest: Positive = 24.0
    """Hours of wall time after its start after which a run that is not over counts as failed."""
    every: Positive = 2.0
    """Seconds of wall time between looks at the runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alerts:
    """Alerts on their way (§2.5)."""

    __pydantic_config__ = STRICT
    source: Name = "/crossmix/monitor"
    """URI reference of who raises them: a CloudEvent's `source`."""
    targets: dict[Name, dict[Name, Any]] = field(default_factory=dict)
    """Name to where they go: kind, url, secret_file, secret_env, template, timeout (class `Target`)."""
    every: Positive = 2.0
    """Seconds of wall time between rounds of delivery."""
    first_retry: Positive = 2.0
    """Seconds before the second try; doubled with each further one, between half and all of it by chance."""
    longest_retry: Positive = 900.0
    """Longest pause between two tries, seconds."""
    keep: PositiveInt = 90
    """Days of wall time for which what was acknowledged stays in the outbox; what was not stays until it is."""
    webhook: Webhook = field(default_factory=Webhook)
    """The other end."""
