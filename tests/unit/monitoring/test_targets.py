"""What is posted to a target: a signed CloudEvent, a Slack message, a flat object, or a template of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks.webhooks as theirs

from crossmix.config import ConfigError, load
from monitoring import signed
from monitoring.alerts import MEDIA, body_of
from monitoring.targets import Destination, destinations
from tests.support.webhooks import OTHER, SECRET, WALL, event

URL = "http://127.0.0.1:9/hook"


def made(folder: Path, *secrets: str, **settings: Any) -> Destination:
    if secrets:
        (folder / "secret").write_text("\n".join(secrets))
        (folder / "secret").chmod(0o600)
        settings["secret_file"] = str(folder / "secret")
    (found,) = destinations(load("laptop", [f"alerts.targets.ops={json.dumps(settings)}"]))
    return found


def test_signed_is_the_event_itself_under_a_signature(tmp_path: Path) -> None:
    message = made(tmp_path, SECRET, url=URL).message(event(), WALL)
    assert (message.url, message.body) == (URL, body_of(event()))
    assert message.headers["content-type"] == MEDIA
    assert message.headers["webhook-id"] == event()["id"]
    assert signed.verify([signed.key_of(SECRET)], message.headers, message.body, WALL.timestamp()) == event()["id"]


def test_two_keys_are_two_signatures_and_the_file_is_followed(tmp_path: Path) -> None:
    destination = made(tmp_path, OTHER, SECRET, url=URL)
    signature = destination.message(event(), WALL).headers["webhook-signature"]
    expected = [
        theirs.Webhook(secret).sign(event()["id"], WALL, body_of(event()).decode()) for secret in (OTHER, SECRET)
    ]
    assert signature.split(" ") == expected
    (tmp_path / "secret").write_text(OTHER)
    assert destination.message(event(), WALL).headers["webhook-signature"] == expected[0]
    (tmp_path / "secret").write_text("nothing")
    assert destination.message(event(), WALL).headers["webhook-signature"] == expected[0]
    assert "the secrets before hold" in str(destination.trouble)


def test_a_message_for_slack(tmp_path: Path) -> None:
    destination = made(tmp_path, "http://127.0.0.1:9/services/T0/B0/x", kind="slack")
    told = event(detail="conversions <halved> & more", observed=0.01, expected=0.02, evidence="http://host/a.html")
    message = destination.message(told | {"severity": "critical"}, WALL)
    assert message.url == "http://127.0.0.1:9/services/T0/B0/x"
    assert json.loads(message.body) == {
        "text": "*critical* cvr of spring on search, since cycle 7\nconversions &lt;halved&gt; &amp; more\n"
        "observed 0.01, expected 0.02 \n<http://host/a.html|what shows it>"
    }


def test_slack_without_the_figures_is_one_line(tmp_path: Path) -> None:
    message = made(tmp_path, kind="slack", url=URL).message(event(platform=None), WALL)
    assert json.loads(message.body) == {"text": "*warning* cvr of spring, since cycle 7"}
    assert "authorization" not in message.headers


def test_plain_json_is_flat_and_may_have_a_token(tmp_path: Path) -> None:
    message = made(tmp_path, "a-token-of-the-desk", kind="json", url=URL).message(event(z=-6.0), WALL)
    assert message.headers == {"content-type": "application/json", "authorization": "Bearer a-token-of-the-desk"}
    assert json.loads(message.body) == {
        "id": event()["id"],
        "campaign": "spring",
        "cause": "cvr",
        "platform": "search",
        "cycle": 7,
        "severity": "warning",
        "time": "2026-01-05T00:00:00+00:00",
        "dedupkey": event()["dedupkey"],
        "observed": None,
        "expected": None,
        "z": -6.0,
        "threshold": None,
        "unit": "",
        "detail": "",
        "evidence": None,
    }


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "body.j2").write_text('{"summary": {{ (campaign ~ ": " ~ cause) | tojson }}, "figures": [{{ cycle }}]}')
    message = made(tmp_path, kind="json", url=URL, template=str(tmp_path / "body.j2")).message(
        event(campaign_id='a "quoted" name'), WALL
    )
    assert json.loads(message.body) == {"summary": 'a "quoted" name: cvr', "figures": [7]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": {{ campaign }}}', "makes no JSON of an alert"),
        ('{"a": "{{ region }}"}', "makes no JSON of an alert .*'region' is undefined"),
        ('{"a": {{ region | tojson }}}', "makes no JSON of an alert"),
        ('{"a": {{ cycle / 0 }}}', "makes no JSON of an alert"),
        ("{{ ''.__class__.__mro__ | tojson }}", "makes no JSON of an alert .*unsafe"),
        ("{% if %}", "not a Jinja template"),
    ],
)
def test_a_template_that_makes_no_json_is_refused_at_the_start(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "body.j2").write_text(text)
    with pytest.raises(ConfigError, match=f"alerts.targets.ops.template: .*{said}"):
        made(tmp_path, kind="json", url=URL, template=str(tmp_path / "body.j2"))


@pytest.mark.parametrize(
    ("secrets", "settings", "said"),
    [
        ((), {"url": URL}, "alerts.targets.ops.secret: there is no secret"),
        ((SECRET,), {}, "alerts.targets.ops.url: missing"),
        ((), {"kind": "json"}, "alerts.targets.ops.url: missing"),
        (("not-an-address-at-all",), {"kind": "slack"}, "its secret is the address"),
        ((SECRET,), {"url": "ftp://host/x"}, "alerts.targets.ops.url"),
        ((SECRET,), {"url": URL, "kind": "mail"}, "alerts.targets.ops.kind"),
        ((SECRET,), {"url": URL, "retries": 3}, "alerts.targets.ops.retries: unknown config key"),
        ((SECRET,), {"url": URL, "template": "x.j2"}, "signed sends the CloudEvent itself"),
        ((), {"kind": "json", "url": URL, "template": "/nowhere.j2"}, "cannot be read"),
        (("whsec_QUFB",), {"url": URL}, "a key of 3 bytes"),
    ],
)
def test_a_target_that_cannot_be_used(
    tmp_path: Path, secrets: tuple[str, ...], settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        made(tmp_path, *secrets, **settings)


def test_a_target_by_keys_of_the_command_line(tmp_path: Path) -> None:
    found = destinations(load("laptop", ["alerts.targets.chat.kind=slack", f"alerts.targets.chat.url={URL}"]))
    assert [(one.name, one.target.kind) for one in found] == [("chat", "slack")]
