"""Component prometheus: the rules are those of docs/operations.md, scrapes bring tokens, alerts reach the webhook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from crossmix.config import Webhook
from monitoring.alertmanager import notices_of
from serving.http.access import Token, scopes_of
from tests.support.flows import selects
from tests.support.manifests import ROOT, Document, named, of_kind
from tests.support.pods import pods

NAME = "app.kubernetes.io/name"


def documented() -> Any:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    return yaml.safe_load(text.split("```yaml")[1].split("```")[0])["groups"]


def rules(builds: dict[str, list[Document]]) -> Any:
    return named(builds["all"], "PrometheusRule", "crossmix")["spec"]["groups"]


def test_the_rules_are_the_documented_ones(builds: dict[str, list[Document]]) -> None:
    ours = [group | {"rules": [{**rule} for rule in group["rules"]]} for group in rules(builds)]
    labels = [rule.pop("labels") for group in ours for rule in group["rules"]]
    assert ours == documented()
    assert labels == [{"namespace": "crossmix", "severity": "info"}] * len(labels)


def test_an_alert_of_a_rule_is_noted_and_starts_nothing(builds: dict[str, list[Document]]) -> None:
    """As Alertmanager sends it, with the rule's labels: the webhook takes its severity from them."""
    rule = rules(builds)[0]["rules"][0]
    alert = {"status": "firing", "startsAt": "2026-01-05T09:00:00Z", "fingerprint": "1f"}
    labels = {"alertname": rule["alert"], "campaign": "spring", **rule["labels"]}
    (notice,), resolved = notices_of({"version": "4", "alerts": [alert | {"labels": labels}]})
    assert (notice.cause, notice.campaign_id, resolved) == ("NoFeedback", "spring", 0)
    assert notice.severity == "info"
    assert notice.severity not in Webhook().starts


def test_alertmanager_tells_the_webhook_with_its_token(builds: dict[str, list[Document]]) -> None:
    spec = named(builds["all"], "AlertmanagerConfig", "crossmix")["spec"]
    (receiver,) = spec["receivers"]
    assert spec["route"]["receiver"] == receiver["name"]
    (target,) = receiver["webhookConfigs"]
    service = named(builds["all"], "Service", "webhook")
    (port,) = service["spec"]["ports"]
    assert target["url"] == f"http://webhook.{service['metadata']['namespace']}.svc:{port['port']}/alertmanager"
    container = named(builds["all"], "Deployment", "webhook")["spec"]["template"]["spec"]["containers"][0]
    (bearer,) = (one for one in container["env"] if one["name"] == Webhook().bearer_env)
    assert target["httpConfig"]["authorization"]["credentials"] == bearer["valueFrom"]["secretKeyRef"]


def test_every_server_of_ours_is_scraped_once_with_a_token(builds: dict[str, list[Document]]) -> None:
    """KServe makes the predictors' Services, with the labels of the InferenceService and the container's port names."""
    monitors = of_kind(builds["all"], "ServiceMonitor")
    services = {one["metadata"]["name"]: one["metadata"]["labels"] for one in of_kind(builds["all"], "Service")}
    for one in of_kind(builds["all"], "InferenceService"):
        services[f"{one['metadata']['name']}-predictor"] = one["metadata"]["labels"]
    scraped = {
        name: [monitor for monitor in monitors if selects(monitor["spec"]["selector"], labels)]
        for name, labels in services.items()
    }
    assert {name for name, found in scraped.items() if not found} == {"mlflow", "postgresql", "redis", "s3"}
    ports = {pod.labels[NAME]: {port["name"] for port in pod.spec["containers"][0].get("ports", ())}
        for pod in pods(builds["all"])
    }  # fmt: skip
    for name, found in scraped.items():
        for monitor in found:
            (endpoint,) = monitor["spec"]["endpoints"]
            assert len(found) == 1
            assert endpoint["port"] in ports[services[name][NAME]], name
            assert endpoint["path"] == "/metrics"
            secret = "crossmix-webhook" if name == "webhook" else "crossmix-tokens"
            assert endpoint["authorization"]["credentials"]["name"] == secret
            assert endpoint["authorization"]["type"] == "Bearer"


def test_a_token_of_scope_read_may_scrape_and_ask_for_nothing_else() -> None:
    """The guide makes one (`crossmix token create metrics --scope read`)."""
    token = Token("metrics", "", ("read",))
    assert token.allows(*scopes_of("GET", "/metrics"))
    assert not token.allows(*scopes_of("POST", "/v1/models/router:predict"))
    guide = (Path(ROOT) / "docs" / "guides" / "cluster.md").read_text(encoding="utf-8")
    assert "crossmix token create metrics --scope read" in guide


def test_scaling_asks_for_a_metric_that_there_is(builds: dict[str, list[Document]]) -> None:
    operations = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert "`crossmix_request_seconds`" in operations
    for scaled in of_kind(builds["all"], "ScaledObject"):
        name = scaled["metadata"]["name"]
        assert scaled["spec"]["scaleTargetRef"]["name"] == f"{name}-predictor"
        (trigger,) = scaled["spec"]["triggers"]
        assert (
            f'crossmix_request_seconds_count{{namespace="crossmix", service="{name}-predictor"'
            in (trigger["metadata"]["query"])
        )
        service = named(builds["all"], "InferenceService", name)
        assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"
