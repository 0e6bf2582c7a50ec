"""Where alerts go (`alerts.targets`), and what is sent there: a signed CloudEvent, or a body by a template.

People see an alert where they work: kind slack is a message in the form that Slack's incoming webhooks take, kind json
a flat object; either may have a Jinja template of its own, whose variables are the alert's fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from crossmix.config import Config, ConfigError, Target, strictly
from monitoring import keys, signed
from monitoring.alerts import MEDIA, Alert, body_of

FOLDER = Path(__file__).parent
_BUILT_IN = {"slack": FOLDER / "slack.json.j2", "json": FOLDER / "plain.json.j2"}
_JSON = {"content-type": "application/json"}


class TemplateError(ValueError):
    """A template that makes no JSON of an alert; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Destination:
    """A target.

    Args:
        name: its key in `alerts.targets`.

    Raises:
        ConfigError: the target cannot be used: no address or secret, or a template that makes no JSON.
    """

    def __init__(self, name: str, target: Target) -> None:
        self.name, self.target = name, target
        where = f"alerts.targets.{name}"
        self._keys: keys.Secrets[bytes] | None = None
        self._bearer: keys.Secrets[str] | None = None
        self._template = None
        try:
            if target.kind == "signed":
                if target.template is not None:
                    raise ConfigError(
                        f"{where}.template: signed sends the CloudEvent itself; drop it, or use kind json"
                    )
                self._keys = keys.signing(f"{where}.secret", target.secret_file, target.secret_env)
            else:
                self._template = _template(Path(target.template or _BUILT_IN[target.kind]))
                self._bearer = _told(where, target)
                self._rendered(_sample())
        except keys.SecretError as error:
            raise ConfigError(str(error)) from None
        except TemplateError as error:
            raise ConfigError(f"{where}.template: {error}") from None
        if target.url is None and (target.kind == "signed" or self._bearer is None):
            raise ConfigError(f"{where}.url: missing; give the address, or, of slack and json, keep it as the secret")
        if target.url is None:
            self._address()

    @property
    def trouble(self) -> str | None:
        """Why a changed file of secrets is not in force."""
        secrets = self._keys or self._bearer
        return None if secrets is None else secrets.trouble

    def message(self, event: Mapping[str, Any], now: datetime) -> Message:
        """What is posted of a CloudEvent; `now`: wall time, UTC. Raises `TemplateError`."""
        if self._keys is not None:
            body = body_of(event)
            headers = signed.sign(self._keys(), event["id"], int(now.timestamp()), body)
            return Message(str(self.target.url), {"content-type": MEDIA, **headers}, body)
        body = self._rendered(event)
        if self.target.url is None:
            return Message(self._address(), _JSON, body)
        tokens = () if self._bearer is None else self._bearer()
        more = {"authorization": f"Bearer {tokens[0]}"} if tokens else {}
        return Message(self.target.url, {**_JSON, **more}, body)

    def _address(self) -> str:
        assert self._bearer is not None
        url = self._bearer()[0]
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"alerts.targets.{self.name}: without url its secret is the address; write http(s)://...")
        return url

    def _rendered(self, event: Mapping[str, Any]) -> bytes:
        assert self._template is not None
        from jinja2 import TemplateError as JinjaError

        try:
            text = self._template.render(variables(event))
            return json.dumps(json.loads(text), ensure_ascii=False, allow_nan=False).encode()
        except (JinjaError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise TemplateError(f"{self.target.template}: makes no JSON of an alert ({error}); use tojson") from None


def destinations(config: Config) -> list[Destination]:
    """Every target of the config; raises `ConfigError`."""
    return [
        Destination(name, strictly(Target, settings, f"alerts.targets.{name}"))
        for name, settings in config.alerts.targets.items()
    ]


def variables(event: Mapping[str, Any]) -> dict[str, Any]:
    """A CloudEvent's fields as templates have them: `campaign` is the subject, `data` is flat."""
    named = {name: event[name] for name in ("id", "source", "time", "severity", "cause", "cycle", "dedupkey")}
    return {**event["data"], **named, "campaign": event["subject"]}


def _told(where: str, target: Target) -> keys.Secrets[str] | None:
    if target.secret_file is None and target.secret_env is None:
        return None
    return keys.bearer(f"{where}.secret", target.secret_file, target.secret_env, required=True)


def _template(file: Path) -> Any:
    try:
        return _environment().from_string(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{file}: cannot be read ({error}); name a Jinja file in UTF-8") from None
    except Exception as error:
        from jinja2 import TemplateError as JinjaError

        if isinstance(error, JinjaError):
            raise TemplateError(f"{file}: not a Jinja template ({error}); mend it") from None
        raise


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=StrictUndefined)
    environment.filters["slack"] = _slack
    environment.filters["figure"] = _figure
    return environment


def _slack(text: Any) -> str:
    """Text that Slack takes for text: no mention and no link in it."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _sample() -> dict[str, Any]:
    alert = Alert(campaign_id="sample", cause="cvr", cycle=0, at=datetime(2026, 1, 5, tzinfo=UTC))
    return alert.event("/crossmix")
