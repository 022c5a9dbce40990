"""``lwm2m decode --coap``: payloads of a packet capture."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from lwm2m_engine.coap import Code
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.cli import reading
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.coap.options import BLOCK2, CONTENT_FORMAT, OBSERVE, URI_PATH, uint
from lwm2m_server.coap.wire import ACK, CON, Message, encode

TOKEN, OTHER = b"\x0a\x0b", b"\x0c"
READ = Message(CON, Code.GET, 1, TOKEN, tuple((URI_PATH, name) for name in (b"3", b"0", b"9")))
TLV = (CONTENT_FORMAT, uint(ContentFormat.TLV))


@pytest.fixture(scope="module")
def bundled() -> Catalog:
    return Catalog.bundled()


@pytest.fixture(autouse=True)
def _load_once(bundled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "load_models", lambda folders: bundled)


def run(*messages: Message, more: tuple[str, ...] = ()) -> Result:
    lines = "".join(f"{encode(message).hex(':')}\n" for message in messages)
    return CliRunner().invoke(lwm2m, ["decode", "--coap", "--hex", "-", "--json", *more], input=lines)


def values(result: Result) -> list[tuple[str, object]]:
    return [
        (record["path"], record["value"])
        for line in result.stdout.splitlines()
        for record in json.loads(line)
    ]


def answer(payload: bytes, token: bytes = TOKEN, *options: tuple[int, bytes]) -> Message:
    return Message(ACK, Code.CONTENT, 1, token, (*options, TLV), payload)


def test_an_answer_is_about_the_path_of_its_request() -> None:
    result = run(READ, answer(b"\xc1\x09\x48"), answer(b"\xc1\x09\x49", TOKEN, (OBSERVE, b"\x01")))
    assert values(result) == [("/3/0/9", 72), ("/3/0/9", 73)]
    assert result.exit_code == 0
    assert result.stderr == "line 1: no payload\n"


def test_a_request_says_it_all() -> None:
    write = READ._replace(code=Code.PUT, options=(*READ.options, (CONTENT_FORMAT, b"")), payload=b"72")
    assert values(run(write)) == [("/3/0/9", 72)]


def test_a_send_names_its_paths() -> None:
    send = Message(
        CON,
        Code.POST,
        1,
        TOKEN,
        ((URI_PATH, b"dp"), (CONTENT_FORMAT, uint(ContentFormat.SENML_JSON))),
        b'[{"n":"/3/0/9","v":72}]',
    )
    assert values(run(send)) == [("/3/0/9", 72)]


def test_the_path_given_is_for_answers_whose_request_was_not_seen() -> None:
    missing = run(answer(b"\xc1\x09\x48", OTHER))
    assert missing.exit_code == 1
    assert "give the path of the request" in missing.stderr
    assert values(run(answer(b"\xc1\x09\x48", OTHER), more=("--path", "/3/0"))) == [("/3/0/9", 72)]


def test_a_message_without_a_format_is_guessed() -> None:
    result = run(READ, Message(ACK, Code.CONTENT, 1, TOKEN, (), b"72"))
    assert values(result) == [("/3/0/9", 72)]
    assert "line 2: format guessed: text (0)" in result.stderr


def test_what_has_no_values_is_said_and_is_no_error() -> None:
    register = Message(
        CON, Code.POST, 1, OTHER, ((URI_PATH, b"rd"), (CONTENT_FORMAT, b"\x28")), b"</3/0>;ver=1.1"
    )
    refusal = Message(ACK, Code.NOT_FOUND, 1, TOKEN, (), b"gone")
    result = run(register, READ, refusal)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "line 1: links, no values: </3/0>;ver=1.1",
        "line 2: no payload",
        "line 3: refused with 4.04: 'gone'",
    ]


def test_what_is_wrong_is_said_and_the_rest_goes_on() -> None:
    block = answer(b"\xc1\x09\x48", TOKEN, (BLOCK2, b"\x0e"))
    digits = ["ffff", *(encode(message).hex() for message in (READ, block, answer(b"\xc1\x09\x48")))]
    lines = "\n".join(digits)
    result = CliRunner().invoke(lwm2m, ["decode", "--coap", "--hex", "-", "--json"], input=lines)
    assert result.exit_code == 1
    assert values(result) == [("/3/0/9", 72)]
    assert "Error: line 1: not a CoAP message" in result.stderr
    assert "Error: line 3: one block of a longer payload" in result.stderr


def test_one_message() -> None:
    write = READ._replace(code=Code.PUT, options=(*READ.options, (CONTENT_FORMAT, b"")), payload=b"72")
    result = CliRunner().invoke(lwm2m, ["decode", "--coap", "--hex", encode(write).hex()])
    assert "Battery Level" in result.stdout
