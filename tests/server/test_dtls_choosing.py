"""Who asks for Raw Public Keys gets an engine that has them."""

from __future__ import annotations

import pytest

from lwm2m_server.coap.dtls.choosing import ChoosingEngine, wants_raw_keys
from lwm2m_server.coap.dtls.engine import NOTHING, SessionOver, Turn


def client_hello(*extensions: tuple[int, bytes]) -> bytes:
    block = b"".join(
        kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value for kind, value in extensions
    )
    block = len(block).to_bytes(2, "big") + block if extensions else b""
    body = b"\xfe\xfd" + bytes(32) + b"\0" + b"\0" + b"\0\2\xc0\xa8" + b"\1\0" + block
    length = len(body).to_bytes(3, "big")
    message = b"\1" + length + b"\0\0" + b"\0\0\0" + length + body
    return b"\x16\xfe\xff" + bytes(8) + len(message).to_bytes(2, "big") + message


@pytest.mark.parametrize(
    ("extensions", "raw"),
    [
        ((), False),
        (((23, b""),), False),
        (((19, b"\1\0"), (20, b"\1\0")), False),
        (((19, b"\2\0\2"),), True),
        (((23, b""), (20, b"\1\2")), True),
        (((19, b"\2"),), False),
        (((54, b"\1\2"),), False),
    ],
)
def test_the_client_hello_says_it(extensions: tuple[tuple[int, bytes], ...], raw: bool) -> None:
    assert wants_raw_keys(client_hello(*extensions)) is raw


def test_what_is_cut_off_asks_for_nothing() -> None:
    whole = client_hello((19, b"\2\0\2"))
    assert not any(wants_raw_keys(whole[:end]) for end in range(len(whole)))


class Named:
    """An engine whose sessions answer with its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoint, self.over, self.deadline = name, None, None
        self.cid = b""

    def accept(self, cid: bytes = b"") -> Named:
        self.cid = cid
        return self

    def receive(self, datagram: bytes, now: float) -> Turn:
        return Turn((self.name.encode(),))


def test_the_engine_is_chosen_once() -> None:
    engine = ChoosingEngine(Named("usual"), Named("raw"))
    assert engine.name == "usual, and raw for Raw Public Keys"
    session = engine.accept(b"cid")
    assert (session.endpoint, session.cid, session.deadline, session.over) == (None, b"", None, None)
    assert session.elapse(0.0) == session.close() == NOTHING
    assert session.traffic() is None
    with pytest.raises(SessionOver):
        session.seal(b"")
    assert session.receive(client_hello((20, b"\1\2")), 0.0) == Turn((b"raw",))
    assert session.receive(client_hello(), 0.0) == Turn((b"raw",))
    assert (session.endpoint, session.cid) == ("raw", b"cid")
    assert engine.accept().receive(client_hello(), 0.0) == Turn((b"usual",))
