"""What pages say of messages: what was asked, what came of it, and why something failed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lwm2m_server.console import codes
from lwm2m_server.console.device.messages import Line, line_of
from lwm2m_server.console.device.traces import exchange_of


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("GET /3", Line("GET", "/3")),
        ("PUT /3/0/14 +02:00\n", Line("PUT", "/3/0/14", "+02:00")),
        ("PUT /3/0\n\n{}", Line("PUT", "/3/0", "{}")),
        ('{"method": "PUT", "path": "/3/0/14", "value": "+02"}', Line("PUT", "/3/0/14", "+02")),
        (
            '{"method": "IPATCH", "path": "/", "value": {"/3/0/14": "x"}}',
            Line("IPATCH", "/", '{"/3/0/14": "x"}'),
        ),
        ("", Line("", "")),
        ("[1]", Line("[1]", "")),
    ],
)
def test_what_a_message_asks(content: str, line: Line) -> None:
    assert line_of(content) == line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"responseCode": "4.04"}, "no such Object"),
        ({"responseCode": "4.01"}, "Access Control Object"),
        ({"responseCode": "2.05"}, ""),
        ({"responseCode": "9.99"}, ""),
        ({"reason": "timeout"}, "did not answer"),
        ({"reason": "expired"}, "time to live"),
        ({"reason": "refused", "detail": "the device answered 4.05"}, "only readable"),
        ({"reason": "refused", "detail": "something else"}, "refused it"),
        ({"reason": "decode", "responseCode": "2.05"}, "could not be read"),
        ({"reason": ["odd"]}, ""),
        ({}, ""),
    ],
)
def test_why_it_failed(content: Any, words: str) -> None:
    found = codes.why(content)
    assert (words in found) if words else found == ""


def test_codes_have_their_names() -> None:
    assert codes.title("4.04") == "4.04 Not found"
    assert codes.title("2.31") == "2.31 Continue"
    assert (codes.title("7.77"), codes.title(None)) == ("7.77", "")


def traced(**more: Any) -> dict[str, Any]:
    return {"number": 1, "time": 5, "direction": "up", "message": "2.05", "path": "/3/0/9", **more}


def test_an_exchange_has_two_sides() -> None:
    payload = {"payload": "wQlI", "payloadSize": 3, "contentFormat": 11542, "values": {"3/0/13": 1000}}
    facts = {"names": {"3/0/13": "Current Time"}, "types": {"3/0/13": "Time"}}
    one = exchange_of(traced(**payload, **facts, query="a=b", observe=0))
    assert dict(one.options) == {
        "Uri-Path": "/3/0/9",
        "Uri-Query": "a=b",
        "Content-Format": "11542 (tlv)",
        "Observe": "0",
    }
    assert one.hex == "c10948"
    (value,) = one.values
    assert (value.name, value.path, value.value.moment) == ("Current Time", "/3/0/13", 1000)
    assert (one.title, one.kind, one.is_up) == ("2.05 Content", "good", True)


@pytest.mark.parametrize(
    ("direction", "message", "kind", "words"),
    [
        ("down", "GET", "plain", ""),
        ("up", "4.04", "bad", "no such Object"),
        ("down", "4.04", "bad", "register anew"),
        ("up", "timeout", "bad", "did not answer"),
        ("up", "acknowledged", "busy", ""),
    ],
)
def test_what_an_exchange_means(direction: str, message: str, kind: str, words: str) -> None:
    one = exchange_of(traced(direction=direction, message=message))
    assert one.kind == kind
    assert (words in one.meaning) if words else one.meaning == ""


def test_whatever_a_client_put_there_is_a_line() -> None:
    assert line_of(json.dumps({"method": 7, "path": None, "value": None})) == Line("7", "")
