"""What the alerts' outbox and the webhook tell Prometheus; docs/operations.md lists it, as a test holds."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

ANSWERS = Counter("crossmix_webhook_requests_total", "Requests that the webhook answered.", ["path", "status"])
ACCEPTED = Counter(
    "crossmix_alerts_total", "Alerts that the webhook was sent, by what became of them.", ["sender", "outcome"]
)
OPEN = Gauge("crossmix_runs_open", "Re-adaptations that are claimed or started and not over.", ["state"])
STARTS = Counter("crossmix_run_starts_total", "Starts of re-adaptations that were tried.", ["outcome"])
LETTERS = Gauge("crossmix_outbox_alerts", "Alerts that wait for a target, or are parked.", ["target", "state"])
TRIES = Counter("crossmix_outbox_tries_total", "Tries to deliver an alert.", ["target", "outcome"])
