"""Whatever strangers put into an OSCORE option, nothing but a refusal comes of it."""

from itertools import count

from aiocoap.message import Direction, Message
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from lwm2m_engine.coap import Code, Peer
from lwm2m_server.coap import wire
from lwm2m_server.coap.oscore import ProtectedDatagrams
from lwm2m_server.coap.oscore_contexts import Context
from lwm2m_server.coap.oscore_nonces import Nonces
from lwm2m_server.coap.oscore_option import with_kid_context, wrapped
from lwm2m_server.coap.sockets import Source

KEYS = (b"", b"key")
PEER = Source(("10.0.0.9", 1), peer=Peer("10.0.0.9", 1))


class Contexts:
    """Of ``dev1``, with an ID Context that was derived."""

    is_empty = False

    def __init__(self):
        self.nonces, self.adopted = Nonces(), []
        self.context = self.derived("dev1", b"agreed")

    def endpoint_of(self, kid):
        return "dev1" if kid == b"D" else None

    def of_endpoint(self, endpoint):
        return self.context

    def derived(self, endpoint, id_context):
        return Context("dev1", (b"S", b"D", id_context), KEYS, count().__next__, b"e", unused=True)

    def adopt(self, context, *, instead_of):
        self.adopted.append(context)

    def kept(self, token):
        return None


class Below:
    def __init__(self):
        self.sent = []

    def send(self, data, to):
        self.sent.append(wire.decode(data))


OPTIONS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda flags, piv, context, kid: (
            bytes((flags | len(piv),)) + piv + bytes((len(context),)) + context + kid
        ),
        st.sampled_from([0x10, 0x18, 0x19, 0x38, 0x90]),
        st.binary(min_size=1, max_size=5),
        st.binary(max_size=255) | st.binary(max_size=253).map(wrapped),
        st.sampled_from([b"D", b"", b"other"]),
    ),
)


@settings(max_examples=150, deadline=None)
@given(OPTIONS, st.binary(max_size=60))
@example(b"\x19\x01\x02\x58\x00D", b"")
@example(b"\x18", b"x")
@example(b"\x29\x01D", bytes(20))
@example(b"\x10\x00", bytes(9))
def test_requests(option, payload):
    heard, below, contexts = [], Below(), Contexts()
    layer = ProtectedDatagrams(contexts, lambda *one: heard.append(one)).above(below)
    layer.received(wire.encode(wire.Message(wire.CON, Code.POST, 1, b"t", ((9, option),), payload)), PEER)
    (refusal,) = below.sent
    assert refusal.code in (Code.UNAUTHORIZED, Code.BAD_OPTION, Code.BAD_REQUEST)
    assert (heard, contexts.adopted) == ([], [])


@settings(max_examples=150, deadline=None)
@given(OPTIONS, st.binary(max_size=60), st.booleans())
@example(b"\x10\x01\x40", bytes(9), True)
def test_answers(option, payload, real):
    """``real`` is one the device has protected, under another name."""
    heard, below, contexts = [], Below(), Contexts()
    layer = ProtectedDatagrams(contexts, lambda *one: heard.append(one)).above(below)
    asked = wire.Message(wire.CON, Code.GET, 7, b"ask", ((11, b"3"),))
    layer.send(wire.encode(asked), PEER._replace(peer=PEER.peer._replace(identity="dev1")))
    sealed = below.sent.pop()
    if real:
        device = Context("", (b"D", b"S", b"agreed"), KEYS, count().__next__, b"e", unused=True)
        request = Message(code=sealed.code, payload=sealed.payload)
        request.direction, request.opt.oscore = Direction.INCOMING, dict(sealed.options)[9]
        _, request_id = device.unprotect(request)
        answer = Message(code=int(Code.CONTENT), payload=b"v")
        answer.direction = Direction.OUTGOING
        outer, _ = device.protect(answer, request_id)
        option, payload = with_kid_context(outer.opt.oscore, wrapped(option)), outer.payload
    arrived = wire.Message(wire.ACK, Code.CHANGED, 7, b"ask", ((9, option),), payload)
    with capture_logs() as logs:
        layer.received(wire.encode(arrived), PEER)
    assert {one["event"] for one in logs} == {"protected answer cannot be opened"}
    assert (heard, below.sent, contexts.adopted) == ([], [], [])


class Careless(Context):
    """Protects whatever bytes there are."""

    inside = b""

    def _split_message(self, message, request_id):
        outer, _ = super()._split_message(message, request_id)
        return outer, self.inside


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=40))
@example(b"\x02\xff")
@example(b"\x02\xb5rd")
@example(b"\x02\xf0")
@example(b"\x02\xb1\xff")
@example(b"\xff\xff")
def test_what_is_inside(inside):
    """Of who has the keys: handed up, or refused."""
    heard, below, contexts = [], Below(), Contexts()
    layer = ProtectedDatagrams(contexts, lambda *one: heard.append(one)).above(below)
    device = Careless("", (b"D", b"S", b"agreed"), KEYS, count().__next__, b"e", unused=True)
    device.inside = inside
    message = Message(code=int(Code.POST))
    message.direction = Direction.OUTGOING
    outer, _ = device.protect(message)
    layer.received(wire.assemble(wire.CON, 2, 1, b"t", outer.opt.encode(), outer.payload), PEER)
    assert len(heard) + len(below.sent) == 1
