"""The native CoAP stack behaves as aiocoap does: the same datagrams to both, and the same comes of them.

Compared are, per datagram, the type, code, token, options and payload of what is answered, and what the
uplink is called with; not timing, the Message IDs of messages of the server's own, or diagnostic text.
What is different on purpose is in ``DIFFERENCES``, which is also the table of the manual.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer, dotted
from lwm2m_server.coap import wire
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.gateway import Gateway
from lwm2m_server.coap.options import BLOCK1, OBSERVE, UINT_LENGTHS, URI_PATH
from lwm2m_server.coap.recent import PER_PEER
from lwm2m_server.coap.stock import StockGateway
from lwm2m_server.coap.wire import ACK, CON, NON, RST, Message

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "coap-stacks.md"

# --- what comes of it ------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What one stack made of one datagram."""

    replies: tuple[tuple[Any, ...], ...]
    calls: tuple[CoapRequest, ...]

    @property
    def word(self) -> str:
        """As the table says it."""
        if not self.replies:
            return "nothing"
        type, code, *_ = self.replies[0]
        return "Reset" if type == RST else dotted(code)


class Uplink:
    """Answers each request with what can be told from the request alone."""

    def __init__(self) -> None:
        self.calls: list[CoapRequest] = []

    def receive(self, request: CoapRequest, peer: Peer, answer: Callable[[CoapReply], None]) -> None:
        self.calls.append(request)
        if request.path == ("rd",):
            answer(CoapReply(Code.CREATED, location=("rd", "x")))
        elif request.path == ("dp",):
            answer(CoapReply(Code.CHANGED))
        else:
            answer(CoapReply(Code.CONTENT, repr(request).encode(), 0))

    def is_device(self, peer: Peer) -> bool:
        return False

    def knows(self, token: bytes) -> bool:
        return False


class Device(asyncio.DatagramProtocol):
    """One socket for one conversation with one stack."""

    FENCE = 0xF000

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[Message] = asyncio.Queue()
        self.fences = itertools.cycle(range(self.FENCE, 0xFFFF))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.arrived.put_nowait(wire.decode(data))

    async def hear(self) -> list[Message]:
        """Everything the server has to say, which is over when it has answered a ping, and another."""
        heard = []
        for _ in range(2):
            fence = next(self.fences)
            self.transport.sendto(wire.encode(Message(CON, 0, fence)))
            while True:
                async with asyncio.timeout(3):
                    message = await self.arrived.get()
                if message.mid == fence:
                    break
                heard.append(message)
        return heard


@attrs.define
class Stack:
    """A gateway and its uplink."""

    gateway: Any
    uplink: Uplink

    async def device(self) -> Device:
        loop = asyncio.get_running_loop()
        _, device = await loop.create_datagram_endpoint(Device, remote_addr=self.gateway.address)
        return device

    async def outcome(self, device: Device, datagram: bytes) -> Outcome:
        self.uplink.calls.clear()
        device.transport.sendto(datagram)
        heard = await device.hear()
        return Outcome(tuple(map(comparable, heard)), tuple(self.uplink.calls))


def comparable(message: Message) -> tuple[Any, ...]:
    mid = message.mid if message.type in (ACK, RST) else None
    payload = b"" if message.code >= 0x80 else message.payload
    return message.type, message.code, mid, message.token, message.options, payload


# --- what is sent ----------------------------------------------------------------------------------


@attrs.frozen
class Sent:
    """A datagram but for its Message ID, and the story it belongs to: a request, its blocks, repetitions."""

    data: bytes
    story: int = 0
    repeats: int = 0
    """Which one of the last datagrams this has the Message ID of, counted from the end; 0: none."""

    def datagram(self, mid: bytes) -> bytes:
        return self.data[:2] + mid + self.data[4:]


def packet(
    code: int,
    path: str = "",
    *options: wire.Option,
    type: int = CON,
    token: bytes = b"t",
    payload: bytes = b"",
) -> bytes:
    segments = [(URI_PATH, segment.encode()) for segment in path.split("/") if segment]
    return wire.encode(Message(type, code, 0, token, (*segments, *options), payload))


SEGMENTS = st.sampled_from([b"rd", b"dp", b"x", b"bs", b".well-known", b"core", b"", "ü".encode(), b"\xff"])
KNOWN_OPTIONS = st.one_of(
    st.tuples(st.just(11), SEGMENTS),
    st.tuples(st.just(15), st.sampled_from([b"ep=x", b"lt=60", b"b=U", b"Q", b"", b"\xc3\x28"])),
    st.tuples(
        st.sampled_from([12, 17]),
        st.sampled_from([b"", b"\x28", b"\x2d\x16", b"\x00\x28", b"\x01\x00\x00", b"\x00\x00\x28"]),
    ),
    st.tuples(
        st.just(6),
        st.sampled_from([b"", b"\x01", b"\x00\x00\x05", b"\x01\x00\x00\x00", b"\x00\x00\x00\x01"]),
    ),
    st.tuples(st.just(3), st.sampled_from([b"example.org", b"\xff"])),
    st.tuples(st.just(7), st.just(b"\x16\x33")),
    st.tuples(
        st.sampled_from([27, 23]),
        st.sampled_from([b"", b"\x06", b"\x0e", b"\x0a", b"\x12", b"\x07", b"\x0f", b"\x00\x00\x00\x06"]),
    ),
    st.tuples(st.sampled_from([1, 4, 5, 14, 20, 60, 28, 252, 258, 292, 2053, 65000]), st.binary(max_size=3)),
    st.tuples(st.sampled_from([9, 13, 16, 19, 21, 31, 35, 39, 2049, 65001]), st.binary(max_size=3)),
)
CODES = st.one_of(
    st.sampled_from([1, 2, 3, 4, 5, 6, 7]),
    st.sampled_from([0, 8, 30, 31, 32, 63, 65, 69, 95, 132, 160, 191, 192, 224, 225, 255]),
)
TYPES = st.sampled_from([CON, CON, CON, NON, NON, ACK, RST])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Well-formed, sensible or not."""
    options = sorted(draw(st.lists(KNOWN_OPTIONS, max_size=5)), key=lambda option: option[0])
    path = draw(st.sampled_from(["rd", "rd/x", "dp", "bs", "", "unknown/path"]))
    token, payload = draw(st.binary(max_size=8)), draw(st.binary(max_size=20))
    return packet(draw(CODES), path, *options, type=draw(TYPES), token=token, payload=payload)


@st.composite
def malformed(draw: st.DrawFn) -> bytes:
    """Noise, and messages with something missing or one byte different."""
    data = draw(st.one_of(st.binary(max_size=12), messages()))
    cut = draw(st.integers(0, len(data)))
    if draw(st.booleans()) or not data:
        return data[:cut]
    at = draw(st.integers(0, len(data) - 1))
    return data[:at] + bytes((draw(st.integers(0, 255)),)) + data[at + 1 :]


PING = wire.encode(Message(CON, 0, 0))
SINGLE = st.one_of(messages(), messages(), messages(), malformed(), st.just(PING))


@st.composite
def transfers(draw: st.DrawFn) -> list[bytes]:
    """A request in blocks; sometimes one is missing, comes twice, or is of another size."""
    exponent = draw(st.integers(0, 1))
    size = 16 << exponent
    body = draw(st.binary(min_size=1, max_size=60))
    sent = []
    for start in range(0, len(body), size):
        block = (BLOCK1, Block(start // size, start + size < len(body), exponent).pack())
        token = draw(st.binary(min_size=1, max_size=2))
        sent.append(packet(2, "dp", block, token=token, payload=body[start : start + size]))
    at = draw(st.integers(0, len(sent) - 1))
    fault = draw(st.sampled_from(["none", "none", "missing", "twice", "swapped"]))
    if fault == "missing":
        del sent[at]
    elif fault == "twice":
        sent.insert(at, sent[at])
    elif fault == "swapped":
        sent.append(sent.pop(at))
    return sent


@st.composite
def conversations(draw: st.DrawFn) -> list[Sent]:
    """What one device sends, with repetitions as lost acknowledgements cause them."""
    sent: list[Sent] = []
    for story in range(1, draw(st.integers(1, 6)) + 1):
        many = draw(st.one_of(SINGLE.map(lambda one: [one]), transfers()))
        for data in many:
            sent.append(Sent(data, story))
            if draw(st.integers(0, 3)) == 0:
                again = draw(st.integers(1, min(3, len(sent))))
                if not sent[-again].repeats:
                    sent.append(attrs.evolve(sent[-again], repeats=again))
    return sent


# --- what is different on purpose ------------------------------------------------------------------

ANYTHING = frozenset[str]()


@attrs.frozen
class Difference:
    """A row of the table: what is sent, what comes of it (the first reply), and who says so."""

    sent: str
    native: str
    aiocoap: str
    clause: str
    applies: Callable[[bytes], bool]
    """Whether a datagram is of this kind."""
    examples: tuple[bytes, ...]
    native_words: frozenset[str] = ANYTHING
    aiocoap_words: frozenset[str] = ANYTHING

    def explains(self, datagram: bytes, native: Outcome, aiocoap: Outcome) -> bool:
        return (
            self.applies(datagram)
            and (not self.native_words or native.word in self.native_words)
            and (not self.aiocoap_words or aiocoap.word in self.aiocoap_words)
        )

    @property
    def row(self) -> str:
        return f"| {self.sent} | {self.native} | {self.aiocoap} | {self.clause} |"


def decoded(datagram: bytes) -> Message | None:
    try:
        return wire.decode(datagram)
    except wire.Malformed:
        return None


def is_malformed(datagram: bytes) -> bool:
    return decoded(datagram) is None


def has_no_such_token(datagram: bytes) -> bool:
    length = datagram[0] & 15 if datagram else 0
    return is_malformed(datagram) and (length > 8 or 4 + length > len(datagram))


def ends_with_marker(datagram: bytes) -> bool:
    return datagram[-1:] == b"\xff" and is_malformed(datagram) and not is_malformed(datagram[:-1])


def is_of_no_use(datagram: bytes) -> bool:
    message = decoded(datagram)
    return message is not None and message.type == CON and (message.code >> 5 in (1, 6, 7))


def has_other_text(datagram: bytes) -> bool:
    """In an option that is text by definition."""
    message = decoded(datagram)
    texts = [value for option, value in message.options if option in TEXTS] if message is not None else []
    return any(not _is_utf8(text) for text in texts)


TEXTS = {3, 8, 11, 15, 20, 35, 39}
"""Uri-Host, Location-Path, Uri-Path, Uri-Query, Location-Query, Proxy-Uri, Proxy-Scheme."""


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def has_leading_zeros(datagram: bytes) -> bool:
    """An integer in more bytes than its option may have, that would fit without its zeros."""
    message = decoded(datagram)
    options = message.options if message is not None else ()
    return any(
        len(value) > UINT_LENGTHS[option] >= len(value.lstrip(b"\0"))
        for option, value in options
        if option in UINT_LENGTHS
    )


def is_unwanted_notification(datagram: bytes) -> bool:
    message = decoded(datagram)
    return (
        message is not None
        and message.type == NON
        and message.is_response
        and any(option == OBSERVE for option, _ in message.options)
    )


RESET, NOTHING = frozenset({"Reset"}), frozenset({"nothing"})

DIFFERENCES = (
    Difference(
        "a Confirmable message that is malformed",
        "Reset",
        "nothing",
        "RFC 7252, 4.2: rejected with a Reset, or silently",
        lambda datagram: is_malformed(datagram) and datagram[0] >> 4 & 3 == CON,
        (bytes.fromhex("40020000f0"), bytes.fromhex("40020000b37264")),
        RESET,
        NOTHING,
    ),
    Difference(
        "a token length of 9 to 15, or a token beyond the end",
        "Reset, nothing unless Confirmable",
        "taken for a message",
        "RFC 7252, 3: a message format error",
        has_no_such_token,
        (bytes.fromhex("4902000001020304050607080900"), bytes.fromhex("480100000102"), b"\x54\x02\0\0\1"),
        RESET | NOTHING,
    ),
    Difference(
        "a payload marker without payload",
        "Reset, nothing unless Confirmable",
        "taken for a message",
        "RFC 7252, 3: a message format error",
        ends_with_marker,
        (packet(2, "rd") + b"\xff", packet(2, "rd", type=NON) + b"\xff"),
        RESET | NOTHING,
    ),
    Difference(
        "a Confirmable message with a code of class 1, 6 or 7",
        "Reset",
        "nothing",
        "RFC 7252, 4.2: rejected with a Reset, or silently",
        is_of_no_use,
        (packet(32), packet(0xC0), packet(0xE1)),
        RESET,
        NOTHING,
    ),
    Difference(
        "text that is not UTF-8 in an option",
        "4.02 in Uri-Path and Uri-Query; no matter elsewhere; Reset in a response",
        "nothing (a traceback in the log)",
        "RFC 7252, 5.4.1 and 5.4.3: as an option that is not understood",
        has_other_text,
        (packet(2, "rd", (15, b"\xff")), packet(1, "x", (3, b"\xff")), packet(69, "", (8, b"\xff"))),
        aiocoap_words=NOTHING,
    ),
    Difference(
        "an integer option longer than it may be, because of leading zeros",
        "4.02 if critical, else without the option",
        "the number",
        "RFC 7252, 5.4.3: as an option that is not understood",
        has_leading_zeros,
        (packet(1, "x", (17, b"\0\0\x28")), packet(1, "x", (12, b"\0\0\x28"))),
    ),
    Difference(
        "a Non-confirmable notification that nobody asked for",
        "Reset",
        "nothing",
        "RFC 7641, 3.6: a Reset ends the relation",
        is_unwanted_notification,
        (packet(69, "", (6, b"\x07"), type=NON), packet(132, "", (6, b""), type=NON)),
        RESET,
        NOTHING,
    ),
)
"""What one datagram alone shows. What takes several is at the end of this module."""


# --- the comparison --------------------------------------------------------------------------------


class Pair:
    """Both stacks, each with its own uplink, for as long as the tests of this module run."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.native, self.aiocoap = self.runner.run(self._start())
        self.mids = itertools.cycle(mid.to_bytes(2, "big") for mid in range(1, Device.FENCE))

    async def _start(self) -> list[Stack]:
        asyncio.get_running_loop().set_exception_handler(_text_is_no_surprise)
        stacks = []
        for kind in (Gateway, StockGateway):
            uplink = Uplink()
            stacks.append(Stack(await kind.start(uplink, "127.0.0.1", 0), uplink))
        return stacks

    def close(self) -> None:
        for stack in (self.native, self.aiocoap):
            self.runner.run(stack.gateway.close())
        self.runner.close()

    def play(self, conversation: list[Sent]) -> list[tuple[bytes, Outcome, Outcome]]:
        """What each stack makes of each datagram."""
        return self.runner.run(self._play(conversation))

    async def _play(self, conversation: list[Sent]) -> list[tuple[bytes, Outcome, Outcome]]:
        stacks = (self.native, self.aiocoap)
        devices = [await stack.device() for stack in stacks]
        played: list[tuple[bytes, Outcome, Outcome]] = []
        try:
            for sent in conversation:
                mid = played[-sent.repeats][0][2:4] if sent.repeats else next(self.mids)
                datagram = sent.datagram(mid)
                native, aiocoap = [
                    await stack.outcome(device, datagram)
                    for stack, device in zip(stacks, devices, strict=True)
                ]
                played.append((datagram, native, aiocoap))
        finally:
            for device in devices:
                device.transport.close()
        return played


def _text_is_no_surprise(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """aiocoap lets the exception out that a text of other bytes leads to."""
    if not isinstance(context.get("exception"), UnicodeDecodeError):
        loop.default_exception_handler(context)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def differing(conversation: list[Sent], played: list[tuple[bytes, Outcome, Outcome]]) -> list[str]:
    """What no row of the table explains. What follows from a difference is none of its own."""
    found, tainted, blocks_tainted = [], set(), False
    for sent, (datagram, native, aiocoap) in zip(conversation, played, strict=True):
        if native == aiocoap:
            continue
        if sent.story in tainted or (blocks_tainted and _has_block1(datagram)):
            continue
        if any(row.explains(datagram, native, aiocoap) for row in DIFFERENCES):
            tainted.add(sent.story)
            blocks_tainted = True
        else:
            found.append(f"{datagram.hex()}\n  native:  {native}\n  aiocoap: {aiocoap}")
    return found


def _has_block1(datagram: bytes) -> bool:
    message = decoded(datagram)
    return message is not None and any(option == BLOCK1 for option, _ in message.options)


def test_both_stacks_make_the_same_of_the_same_datagrams(pair: Pair, pytestconfig: pytest.Config) -> None:
    """250 conversations; ``--coap-conversations`` makes it more."""

    many = pytestconfig.getoption("--coap-conversations")

    # How fast examples are made says something about the machine only.
    @settings(max_examples=many, suppress_health_check=[HealthCheck.too_slow])
    @given(conversations())
    def compare(conversation: list[Sent]) -> None:
        found = differing(conversation, pair.play(conversation))
        assert not found, "\n".join(found)

    compare()


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.sent)
def test_each_row_of_the_table_shows(pair: Pair, row: Difference) -> None:
    played = pair.play([Sent(data, story) for story, data in enumerate(row.examples)])
    for datagram, native, aiocoap in played:
        assert native != aiocoap, datagram.hex()
        assert row.explains(datagram, native, aiocoap), (native, aiocoap)


# --- what takes several datagrams ------------------------------------------------------------------


def test_another_message_with_an_old_message_id(pair: Pair) -> None:
    first, second = packet(2, "dp", payload=b"1"), packet(2, "dp", payload=b"2")
    *_, (_, native, aiocoap) = pair.play([Sent(first), Sent(second, repeats=1)])
    assert [call.payload for call in native.calls] == [b"2"]
    assert not aiocoap.calls
    assert aiocoap.replies == native.replies, "aiocoap answers it as the first"


def test_a_repetition_after_many_other_messages(pair: Pair) -> None:
    many = [Sent(packet(2, "dp", payload=bytes((number,)))) for number in range(PER_PEER + 1)]
    *_, (_, native, aiocoap) = pair.play([*many, Sent(many[0].data, repeats=PER_PEER + 1)])
    assert len(native.calls) == 1
    assert not aiocoap.calls


SEVERAL = (
    "| another message with the Message ID of one before | run | answered as the one before "
    "| RFC 7252, 4.4: a device that counts anew after each boot is tolerated |",
    f"| a repetition after {PER_PEER} other messages of the device | run again | answered as before "
    "| RFC 7252, 4.5 and 4.7: a device has one exchange open, and memory is bounded |",
)


# --- the manual ------------------------------------------------------------------------------------


def test_the_table_of_the_manual_is_this_one() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "RFC" in line]
    assert rows == [*(row.row for row in DIFFERENCES), *SEVERAL]
