"""docs/monitoring.md: its alert is one, its statuses are the webhook's, its settings are all that there are."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import yaml

from crossmix.config import Alerts, Target, Webhook
from monitoring import webhook
from monitoring.alerts import Alert, notice_of
from monitoring.outbox import LATER, UNKNOWN_HERE

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")


def test_the_alert_is_one_as_a_monitor_makes_it() -> None:
    event = json.loads(TEXT.split("```json")[1].split("```")[0])
    notice = notice_of(event)
    data = event["data"]
    at = datetime.fromisoformat(event["time"])
    made = Alert(
        campaign_id="spring", cause=event["cause"], cycle=event["cycle"], severity=event["severity"], at=at, **data
    )
    assert made.event(event["source"]) == event
    assert (notice.alert_id, notice.dedupkey) == (event["id"], event["dedupkey"])


def test_statuses_are_those_of_the_webhook() -> None:
    table = TEXT.split("all in one transaction:")[1].split("A run is claimed")[0]
    told = {int(one) for one in re.findall(r"^\| (\d{3}) \|", table, re.MULTILINE)}
    listed = {int(one) for one in re.findall(r"\b[2-5]\d\d\b", (webhook.__doc__ or "").split("| answer")[1])}
    assert told == listed | {403}
    assert {f"`{word}`" for word in webhook.REASONS} <= set(re.findall(r"`\w+`", table))


def test_what_is_tried_again_is_told() -> None:
    row = next(line for line in TEXT.splitlines() if line.startswith("| nothing, 5xx"))
    assert {int(one) for one in re.findall(r"\b4\d\d\b", row)} == LATER
    row = next(line for line in TEXT.splitlines() if line.startswith("| 401, 403"))
    assert {int(one) for one in re.findall(r"\b4\d\d\b", row)} == UNKNOWN_HERE


def test_every_setting_is_told() -> None:
    for name in (item.name for item in fields(Target)):
        assert f"`{name}`" in TEXT, name
    for item in fields(Webhook):
        if item.name not in ("secret_env", "bearer_env"):  # by the variables that they name
            assert f"alerts.webhook.{item.name}" in TEXT, item.name
    assert f"`{Webhook().secret_env}`" in TEXT
    assert f"`{Webhook().bearer_env}`" in TEXT
    for item in fields(Alerts):
        assert item.name in ("webhook", "source", "every") or f"alerts.{item.name}" in TEXT, item.name


def test_alertmanagers_part_is_yaml_that_names_the_path() -> None:
    (receiver,) = yaml.safe_load(TEXT.split("```yaml")[1].split("```")[0])["receivers"]
    (hook,) = receiver["webhook_configs"]
    assert hook["url"].endswith("/alertmanager")
    assert hook["http_config"]["authorization"]["type"] == "Bearer"
