"""JSON in UTF-8, and CloudEvents' attributes as their HTTP binding says."""

from __future__ import annotations

import base64
import json

import pytest

from serving.http.bodies import UnreadableError, binary_attributes, json_of, with_data


def test_json_is_utf8() -> None:
    assert json_of('{"a": "\u00fc\U0001f600"}'.encode()) == {"a": "\u00fc\U0001f600"}
    assert json_of(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    assert json_of(b"\xef\xbb\xbf[1]") == [1]
    assert json_of(rb'{"a": "\\ud800"}') == {"a": "\\ud800"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"a": "\xff"}', r"body: not JSON \(byte 7 is not UTF-8\)"),
        (b'{"a": "\\ud800"}', r"body: not JSON \(half of a surrogate pair is no UTF-8\)"),
        (b'{"\\uDFFF": 1}', "half of a surrogate pair"),
        (b'["\\udc00\\ud800"]', "half of a surrogate pair"),
        ('{"a": 1}'.encode("utf-16"), "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_json_is_one_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableError, match=sentence):
        json_of(body)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u20ac \U0001f600"),
        ('"quoted text"', "quoted text"),
        (r'"a \"b\" \\ c"', r'a "b" \ c'),
        ('"%22%25"', '"%'),
        ("%2525", "%25"),
        ("100%", "100%"),
        ("a%zz", "a%zz"),
        ('"', '"'),
        ('say "x"', 'say "x"'),
        ("caf\u00e9".encode().decode("latin-1"), "caf\u00e9"),
    ],
)
def test_attributes_are_unquoted_and_percent_decoded_once(sent: str, read: str) -> None:
    assert binary_attributes({"ce-id": sent, "content-type": "x"}) == {"id": read}


@pytest.mark.parametrize("sent", ["%FF", "caf\u00e9", '"%C3"', "%ED%A0%80"])
def test_attributes_that_are_no_utf8_are_refused(sent: str) -> None:
    with pytest.raises(UnreadableError, match="ce-source: not UTF-8"):
        binary_attributes({"ce-source": sent})


def test_data_may_come_in_base64() -> None:
    data = {"clicks": 3}
    encoded = base64.b64encode(json.dumps(data).encode()).decode()
    assert with_data({"id": "1", "data_base64": encoded}, "events[0]") == {"id": "1", "data": data}
    assert with_data({"id": "1", "data": data}, "events[0]") == {"id": "1", "data": data}
    for event, sentence in (
        ({"data_base64": encoded, "data": data}, "data and data_base64 are both there"),
        ({"data_base64": "*"}, r"events\[0\]\.data_base64: not base64"),
        ({"data_base64": 7}, "not base64"),
        ({"data_base64": "\u00fc"}, "not base64"),
        ({"data_base64": base64.b64encode(b"\xff").decode()}, r"data_base64: not JSON \(byte 0"),
    ):
        with pytest.raises(UnreadableError, match=sentence):
            with_data(event, "events[0]")
