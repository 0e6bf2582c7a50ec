"""Signatures: the other implementation of Standard Webhooks takes ours, and ours takes that one's."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
import standardwebhooks.webhooks as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring import signed
from monitoring.signed import KeyFormError, MalformedError, SignatureError
from tests.support.webhooks import OTHER, SECRET

NOW = 1_800_000_000
BODY = '{"observed": 0.5, "campaign": "fr\u00fchling"}'.encode()
KEY, OTHER_KEY = signed.key_of(SECRET), signed.key_of(OTHER)


class _Then(datetime):
    """The other side asks the machine for the time; here it is `NOW`."""

    @classmethod
    def now(cls, tz: object = None) -> datetime:
        return datetime.fromtimestamp(NOW, UTC)


@pytest.fixture(autouse=True)
def then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theirs, "datetime", _Then)


def test_the_specifications_own_example() -> None:
    """https://github.com/standard-webhooks/standard-webhooks, libraries' tests: a key, a message, its signature."""
    key = signed.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed.sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_other_side_takes_ours() -> None:
    headers = signed.sign([KEY], "message-1", NOW, BODY)
    assert theirs.Webhook(SECRET).verify(BODY, headers)["observed"] == 0.5
    with pytest.raises(theirs.WebhookVerificationError):
        theirs.Webhook(OTHER).verify(BODY, headers)
    with pytest.raises(theirs.WebhookVerificationError):
        theirs.Webhook(SECRET).verify(BODY + b" ", headers)


def test_ours_takes_the_other_sides() -> None:
    moment = datetime.fromtimestamp(NOW, UTC)
    signature = theirs.Webhook(SECRET).sign("message-1", moment, BODY.decode())
    headers = {"Webhook-Id": "message-1", "Webhook-Timestamp": str(NOW), "Webhook-Signature": signature}
    assert signed.verify([KEY], headers, BODY, NOW) == "message-1"
    with pytest.raises(SignatureError):
        signed.verify([OTHER_KEY], headers, BODY, NOW)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(message=st.text("abc-_.0123456789", min_size=1), body=st.text(), key=st.binary(min_size=24, max_size=64))
def test_both_sides_agree_on_any_message(message: str, body: str, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    ours = signed.sign([signed.key_of(secret)], message, NOW, body.encode())
    assert ours["webhook-signature"] == theirs.Webhook(secret).sign(message, datetime.fromtimestamp(NOW, UTC), body)
    assert signed.verify([key], ours, body.encode(), NOW) == message


def test_while_keys_rotate_either_side_may_be_first() -> None:
    both = signed.sign([OTHER_KEY, KEY], "message-1", NOW, BODY)
    assert len(both["webhook-signature"].split(" ")) == 2
    for secret in (SECRET, OTHER):
        theirs.Webhook(secret).verify(BODY, both)
        assert signed.verify([signed.key_of(secret)], both, BODY, NOW) == "message-1"
    old = signed.sign([KEY], "message-1", NOW, BODY)
    assert signed.verify([OTHER_KEY, KEY], old, BODY, NOW) == "message-1"


@pytest.mark.parametrize("off", [-300, 0, 300])
def test_within_the_window(off: int) -> None:
    assert signed.verify([KEY], signed.sign([KEY], "m", NOW + off, BODY), BODY, NOW) == "m"


@pytest.mark.parametrize(("off", "said"), [(-301, "301 s ago"), (301, "301 s ahead"), (-86_400, "86400 s ago")])
def test_outside_of_the_window(off: int, said: str) -> None:
    with pytest.raises(SignatureError, match=said):
        signed.verify([KEY], signed.sign([KEY], "m", NOW + off, BODY), BODY, NOW)


def test_a_time_or_id_that_was_changed_is_a_wrong_signature() -> None:
    headers = signed.sign([KEY], "message-1", NOW - 4_000, BODY)
    with pytest.raises(SignatureError, match="no signature of a key"):
        signed.verify([KEY], headers | {"webhook-timestamp": str(NOW)}, BODY, NOW)
    with pytest.raises(SignatureError, match="no signature of a key"):
        signed.verify([KEY], signed.sign([KEY], "m", NOW, BODY) | {"webhook-id": "n"}, BODY, NOW)


def test_signatures_of_unknown_versions_are_left_out() -> None:
    headers = signed.sign([KEY], "m", NOW, BODY)
    headers["webhook-signature"] = "v1a,AAAA v2,*** " + headers["webhook-signature"]
    assert signed.verify([KEY], headers, BODY, NOW) == "m"


def test_sixteen_signatures_are_read_and_no_more() -> None:
    headers = signed.sign([KEY], "m", NOW, BODY)
    others = ["v1,AAAA"] * 15
    headers["webhook-signature"] = " ".join([*others, headers["webhook-signature"]])
    assert signed.verify([KEY], headers, BODY, NOW) == "m"
    headers["webhook-signature"] = "v1,AAAA " + headers["webhook-signature"]
    with pytest.raises(MalformedError, match="more than 16 signatures"):
        signed.verify([KEY], headers, BODY, NOW)


def test_a_header_that_is_there_twice_and_a_signature_that_is_no_base64_are_malformed() -> None:
    headers = signed.sign([KEY], "m", NOW, BODY)
    for name, value in headers.items():
        with pytest.raises(MalformedError, match=f"{name}: it is there 2 times"):
            signed.verify([KEY], [*headers.items(), (name.upper(), value)], BODY, NOW)
    with pytest.raises(MalformedError, match="not base64"):
        signed.verify([KEY], headers | {"webhook-signature": "v1,***"}, BODY, NOW)


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(SignatureError):
        signed.verify([], signed.sign([KEY], "m", NOW, BODY), BODY, NOW)


def test_an_id_that_no_header_has_is_not_signed() -> None:
    for message in ("", "a b", "a\nb", "\u00fc", "a" * 201):
        with pytest.raises(MalformedError):
            signed.sign([KEY], message, NOW, BODY)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("QUFB", "begins with whsec_"),
        ("whsec_***", "not base64"),
        ("whsec_QUFB", "a key of 3 bytes; it needs 24 to 64"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "a key of 65 bytes"),
    ],
)
def test_what_is_no_key(secret: str, said: str) -> None:
    with pytest.raises(KeyFormError, match=said) as refused:
        signed.key_of(secret)
    assert secret.removeprefix("whsec_") not in str(refused.value).replace("base64", "")


def test_new_keys_are_keys_and_never_the_same() -> None:
    one, two = signed.new_secret(), signed.new_secret()
    assert one != two
    assert len(signed.key_of(one)) == 32
    assert signed.key_of(one.rstrip("=")) == signed.key_of(one)
