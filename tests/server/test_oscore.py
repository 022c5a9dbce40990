"""The OSCORE layer by itself: datagrams in, datagrams out, with a device that has the mirrored context."""

from itertools import count

import pytest
from aiocoap.message import Direction, Message
from aiocoap.oscore import COSE_KID_CONTEXT, ReplayErrorWithEcho, verify_start

from lwm2m_engine.coap import Code, Peer
from lwm2m_server.coap import wire
from lwm2m_server.coap.oscore import ProtectedDatagrams
from lwm2m_server.coap.oscore_contexts import Binding, Context
from lwm2m_server.coap.oscore_nonces import Nonces
from lwm2m_server.coap.oscore_option import unwrapped, without_kid_context
from lwm2m_server.coap.oscore_rederivation import LostContext
from lwm2m_server.coap.sockets import Source

DEVICE, SERVER = b"\xfe\xdc", b"\x01"
KEYS = (b"salt", b"secret")
PLAIN = Source(("10.0.0.9", 5683), peer=Peer("10.0.0.9", 5683))
PROVEN = PLAIN._replace(peer=Peer("10.0.0.9", 5683, "coap", "dev1"))


class OneContext:
    """Of ``dev1``; what is kept outlives the layer."""

    def __init__(self):
        self.bindings, self.numbers, self.id_context = {}, count(100), None
        self.forget()

    def forget(self):
        self.nonces = Nonces()
        self.context = self._made(self.id_context)

    def _made(self, id_context, **more):
        ids = (SERVER, DEVICE, id_context)
        return Context("dev1", ids, KEYS, self.numbers.__next__, b"echo-srv", **more)

    is_empty = False

    def endpoint_of(self, kid):
        return "dev1" if kid == DEVICE else None

    def of_endpoint(self, endpoint):
        return self.context if endpoint == "dev1" else None

    def derived(self, endpoint, id_context):
        assert endpoint == "dev1"
        return self._made(id_context, unused=True)

    def derived_by_device(self, id_context):
        return Context("", (DEVICE, SERVER, id_context), KEYS, count().__next__, b"echo-dev", unused=True)

    def adopt(self, context, *, instead_of):
        assert instead_of is self.context
        self.context, self.id_context = context, context.id_context
        self.nonces.forget("dev1")

    def keep(self, token, binding):
        self.bindings[token] = binding

    def kept(self, token):
        return self.bindings.get(token)


class World:
    """The layer between what the message layer got and what left, and the device's end."""

    address = ("127.0.0.1", 5683)

    def __init__(self, contexts=None):
        self.contexts = contexts or OneContext()
        self.got, self.sent = [], []
        self.layer = ProtectedDatagrams(self.contexts, lambda data, source: self.got.append((data, source)))
        self.layer.above(self)
        self.device = Context("", (DEVICE, SERVER, None), KEYS, count(5).__next__, b"echo-dev")
        self.device.recipient_replay_window.initialize_empty()

    def send(self, data, to):
        self.sent.append((data, to))

    def source(self, peer):
        return PLAIN._replace(peer=peer)

    def protect(self, code, *, mid=1, token=b"t", kind=wire.CON, request_id=None, **options):
        """What the device sends."""
        message = Message(code=code, payload=options.pop("payload", b""), **options)
        message.direction = Direction.OUTGOING
        outer, self.request_id = self.device.protect(message, request_id)
        # There is one outside as well, for proxies (4.1.3.5).
        outer.opt.observe = message.opt.observe
        return wire.assemble(kind, int(outer.code), mid, token, outer.opt.encode(), outer.payload)

    def unprotect(self, data, request_id=None):
        """What the device understands."""
        outer = Message.decode(data)
        return self.device.unprotect(outer, request_id)

    def heard(self, data, source=PLAIN):
        self.layer.received(data, source)

    def trusted(self):
        """The window is there: the device has answered the challenge."""
        self.heard(self.protect(Code.POST, mid=900, token=b"c", uri_path=["rd"]))
        challenge, _ = self.unprotect(self.sent.pop()[0], self.request_id)
        self.heard(self.protect(Code.POST, mid=901, token=b"d", uri_path=["rd"], echo=challenge.opt.echo))
        assert len(self.got) == 1
        self.got.clear()
        return self

    def ask(self, code=Code.GET, *, mid=50, token=b"ask", options=()):
        """The message layer asks; what the device understands of it."""
        self.layer.send(wire.encode(wire.Message(wire.CON, code, mid, token, options)), PROVEN)
        inner, request_id = self.unprotect(self.sent.pop()[0])
        return inner, request_id

    def refusal(self):
        (data, to), self.sent = self.sent[0], self.sent[1:]
        message = wire.decode(data)
        assert (to, self.got, self.sent) == (PLAIN, [], [])
        assert not any(number == 9 for number, _ in message.options)
        return message.code


@pytest.fixture
def world():
    return World()


def test_the_first_request_is_believed_when_its_echo_comes_back(world):
    world.heard(world.protect(Code.POST, uri_path=["rd"], payload=b"</3/0>"))
    assert world.got == []
    ((data, to),) = world.sent
    challenge, _ = world.unprotect(data, world.request_id)
    assert (challenge.code, challenge.opt.echo, to) == (Code.UNAUTHORIZED, b"echo-srv", PLAIN)
    assert wire.decode(data).type == wire.ACK
    world.heard(world.protect(Code.POST, mid=2, uri_path=["rd"], payload=b"</3/0>", echo=b"echo-srv"))
    ((inner, source),) = world.got
    message = wire.decode(inner)
    assert (message.code, message.mid, message.token, message.payload) == (Code.POST, 2, b"t", b"</3/0>")
    assert source == PROVEN


def test_an_answer_is_protected_and_repeated_as_it_was(world):
    world.trusted()
    data = world.protect(Code.POST, uri_path=["rd", "x"])
    world.heard(data)
    answer = wire.encode(wire.Message(wire.ACK, Code.CHANGED, 1, b"t", (), b"fine"))
    world.layer.send(answer, PROVEN)
    first = world.sent[-1][0]
    assert b"fine" not in first
    inner, _ = world.unprotect(first, world.request_id)
    assert (inner.code, inner.payload) == (Code.CHANGED, b"fine")
    # The request again: the message layer does not hear of it, its answer is there.
    world.heard(data)
    assert len(world.got) == 1
    assert [one[0] for one in world.sent] == [first, first]
    world.layer.send(answer, PROVEN)
    assert world.sent[-1][0] == first


def test_answers_that_look_alike_are_to_different_requests(world):
    """A device that has started anew counts tokens and Message IDs from the same number again."""
    world.trusted()
    answer = wire.encode(wire.Message(wire.ACK, Code.CHANGED, 1, b"t"))
    for _ in range(2):
        world.heard(world.protect(Code.POST, uri_path=["rd", "x"]))
        world.layer.send(answer, PROVEN)
        inner, _ = world.unprotect(world.sent.pop()[0], world.request_id)
        assert inner.code == Code.CHANGED
    assert len(world.got) == 2


def test_a_copy_of_what_is_worked_on_has_to_wait(world):
    world.trusted()
    data = world.protect(Code.POST, uri_path=["rd", "x"])
    world.heard(data)
    world.heard(data)
    assert (len(world.got), world.sent) == (1, [])
    world.layer.send(wire.acknowledgement(1), PROVEN)
    world.heard(data)
    assert [one[0] for one in world.sent] == [wire.acknowledgement(1)] * 2


def test_a_replay_is_refused(world):
    world.trusted()
    data = world.protect(Code.DELETE, uri_path=["rd", "x"])
    world.heard(data)
    world.got.clear()
    replayed = wire.decode(data)._replace(mid=77, token=b"other")
    world.heard(wire.encode(replayed))
    assert world.refusal() == Code.UNAUTHORIZED
    # From another address too, and however late.
    world.heard(data, PLAIN._replace(address=("10.6.6.6", 1), peer=Peer("10.6.6.6", 1)))
    assert wire.decode(world.sent[0][0]).code == Code.UNAUTHORIZED
    world.layer._clock = lambda: 1e9
    world.heard(data)
    assert world.got == []


def test_what_cannot_be_opened_is_refused_in_clear(world):
    world.trusted()
    good = wire.decode(world.protect(Code.POST, uri_path=["rd"]))
    option = dict(good.options)[9]
    for broken, code in [
        (good._replace(payload=good.payload[:-1] + b"x"), Code.BAD_REQUEST),
        (good._replace(payload=b"short"), Code.BAD_REQUEST),
        (good._replace(options=((9, b"\xe0" + option[1:]),)), Code.BAD_OPTION),
        (good._replace(options=((9, b"\x05\x00"),)), Code.BAD_OPTION),
        (good._replace(options=((9, option[:-1] + b"\x99"),)), Code.UNAUTHORIZED),
        (good._replace(options=((9, b""),)), Code.UNAUTHORIZED),
    ]:
        world.heard(wire.encode(broken))
        assert world.refusal() == code, broken
    world.heard(wire.encode(good))
    assert len(world.got) == 1, "none of that has used the number up"


def test_who_protects_nothing_is_nobody(world):
    data = wire.encode(wire.Message(wire.CON, Code.POST, 1, b"t", ((11, b"rd"),)))
    world.heard(data)
    assert world.got == [(data, PLAIN)]
    world.heard(b"\xff")
    world.heard(b"\x60\x00\x00\x01")
    assert [source for _, source in world.got] == [PLAIN] * 3


def test_requests_to_the_device(world):
    inner, request_id = world.ask(options=((11, b"3"), (11, b"0")))
    assert (inner.code, inner.opt.uri_path) == (Code.GET, ("3", "0"))
    reply = world.protect(
        Code.CONTENT, mid=50, token=b"ask", kind=wire.ACK, request_id=request_id, payload=b"v"
    )
    world.heard(reply)
    ((data, source),) = world.got
    message = wire.decode(data)
    assert (message.type, message.code, message.payload, source) == (wire.ACK, Code.CONTENT, b"v", PROVEN)


def test_values_are_not_taken_from_who_cannot_protect_them(world):
    world.ask()
    spoofed = wire.Message(wire.ACK, Code.CONTENT, 50, b"ask", (), b"forged")
    world.heard(wire.encode(spoofed))
    assert world.got == []
    # The device may have lost its keys: it says so in clear.
    refused = wire.encode(spoofed._replace(code=Code.UNAUTHORIZED, payload=b""))
    world.heard(refused)
    assert world.got == [(refused, PLAIN)]


def test_a_repeated_request_has_the_same_number(world):
    data = wire.encode(wire.Message(wire.CON, Code.GET, 50, b"ask", ((11, b"3"),)))
    world.layer.send(data, PROVEN)
    world.layer.send(data, PROVEN)
    world.layer.send(wire.encode(wire.Message(wire.CON, Code.GET, 51, b"ask", ((11, b"3"),))), PROVEN)
    first, again, other = (wire.decode(data) for data, _ in world.sent)
    assert first == again
    assert first.options != other.options


def test_a_device_that_wants_an_echo_gets_it(world):
    world.device.recipient_replay_window._index = None
    world.layer.send(wire.encode(wire.Message(wire.CON, Code.GET, 50, b"ask", ((11, b"3"),))), PROVEN)
    outer = Message.decode(world.sent.pop()[0])
    with pytest.raises(ReplayErrorWithEcho) as challenge:
        world.device.unprotect(outer)
    answer = challenge.value.to_message()
    world.heard(wire.assemble(wire.ACK, int(answer.code), 50, b"ask", answer.opt.encode(), answer.payload))
    # The message layer hears that the request is there, and nothing of the rest.
    assert [data for data, _ in world.got] == [wire.acknowledgement(50)]
    again = Message.decode(world.sent.pop()[0])
    assert (again.mid, again.token) == (50 + 0x8000, b"ask")
    inner, request_id = world.device.unprotect(again)
    assert inner.opt.uri_path == ("3",)
    reply = world.protect(
        Code.CONTENT, mid=again.mid, token=b"ask", kind=wire.ACK, request_id=request_id, payload=b"v"
    )
    world.heard(reply)
    message = wire.decode(world.got[-1][0])
    assert (message.type, message.code, message.payload) == (wire.NON, Code.CONTENT, b"v")


def test_a_device_gets_another_context_once_for_each_request(world):
    """It asks with the new one then; who wants one for that as well is not followed for ever."""
    _, request_id = world.ask(options=((11, b"3"),))
    nonce = bytes(16)
    lost = LostContext(world.contexts.derived_by_device(nonce), nonce, request_id).to_message()
    world.heard(wire.assemble(wire.ACK, int(lost.code), 50, b"ask", lost.opt.encode(), lost.payload))
    assert [data for data, _ in world.got] == [wire.acknowledgement(50)]
    again = Message.decode(world.sent.pop()[0])
    said = verify_start(again)
    agreed = unwrapped(said[COSE_KID_CONTEXT])
    assert agreed.startswith(nonce)
    again.opt.oscore = without_kid_context(again.opt.oscore)
    side = world.contexts.derived_by_device(agreed)
    inner, request_id = side.unprotect(again)
    assert inner.opt.uri_path == ("3",)
    more = LostContext(world.contexts.derived_by_device(nonce + agreed), nonce, request_id).to_message()
    world.heard(wire.assemble(wire.ACK, int(more.code), again.mid, b"ask", more.opt.encode(), more.payload))
    assert (world.sent, len(world.got), world.contexts.id_context) == ([], 1, None)
    world.device = side
    reply = world.protect(
        Code.CONTENT, mid=again.mid, token=b"ask", kind=wire.ACK, request_id=request_id, payload=b"v"
    )
    world.heard(reply)
    assert wire.decode(world.got[-1][0]).payload == b"v"
    assert world.contexts.id_context == agreed


def test_a_relation_that_began_with_an_echo_is_bound_to_the_second_request(world):
    """Else nobody could open its notifications after a restart."""
    world.device.recipient_replay_window._index = None
    data = wire.encode(wire.Message(wire.CON, Code.GET, 50, b"ask", ((6, b""), (11, b"3"))))
    world.layer.send(data, PROVEN)
    first = world.contexts.bindings[b"ask"]
    with pytest.raises(ReplayErrorWithEcho) as challenge:
        world.device.unprotect(Message.decode(world.sent.pop()[0]))
    answer = challenge.value.to_message()
    world.heard(wire.assemble(wire.ACK, int(answer.code), 50, b"ask", answer.opt.encode(), answer.payload))
    _, request_id = world.device.unprotect(Message.decode(world.sent.pop()[0]))
    second = world.contexts.bindings[b"ask"]
    assert (first.number, second.number) == (bytes((100,)), request_id.partial_iv)
    assert second.number != first.number


def observe(world):
    inner, request_id = world.ask(options=((6, b""), (11, b"3")))
    assert inner.opt.observe == 0
    return request_id


def notify(world, request_id, mid, value):
    data = world.protect(
        Code.CONTENT, mid=mid, token=b"ask", kind=wire.CON, request_id=request_id, payload=value, observe=1
    )
    world.heard(data)
    return data


def seen(world):
    messages = [wire.decode(data) for data, _ in world.got]
    return [(int.from_bytes(dict(message.options)[6], "big"), message.payload) for message in messages]


def test_notifications_are_in_the_order_of_their_numbers(world):
    request_id = observe(world)
    notify(world, request_id, 1, b"first")
    late = world.protect(
        Code.CONTENT, mid=2, token=b"ask", kind=wire.CON, request_id=request_id, payload=b"late", observe=1
    )
    notify(world, request_id, 3, b"three")
    notify(world, request_id, 4, b"four")
    world.heard(late)
    assert seen(world) == [(0, b"first"), (1, b"three"), (2, b"four")]
    assert world.sent == [(wire.acknowledgement(2), PLAIN)], "it need not be repeated"
    assert all(source == PROVEN for _, source in world.got)


def test_a_notification_counts_again_only_while_it_may_be_repeated(world):
    request_id = observe(world)
    first = notify(world, request_id, 1, b"first")
    newest = notify(world, request_id, 2, b"two")
    world.heard(newest)
    assert seen(world)[1:] == [(1, b"two")] * 2, "the message layer knows whether it could be kept"
    later = world.layer._clock() + 101
    world.layer._clock = lambda: later
    for data in (first, newest):
        world.heard(data)
        world.heard(data, PLAIN._replace(address=("10.6.6.6", 1), peer=Peer("10.6.6.6", 1)))
    assert len(world.got) == 3


def test_relations_outlive_the_layer(world):
    world.trusted()
    request_id = observe(world)
    assert world.contexts.bindings == {b"ask": Binding("dev1", request_id.partial_iv, Code.FETCH)}
    first = notify(world, request_id, 7, b"first")
    old = notify(world, request_id, 8, b"old")
    world.contexts.forget()
    after = World(world.contexts)
    after.device = world.device
    # Nobody knows what of it was there before: neither taken nor acknowledged.
    early = notify(after, request_id, 9, b"early")
    assert (after.got, after.sent) == ([], [])
    assert not world.contexts.context.recipient_replay_window.is_initialized()
    after.trusted()
    for recorded in (first, old, early):
        after.heard(recorded)
    assert after.got == []
    notify(after, request_id, 10, b"still")
    assert seen(after) == [(1, b"still")]


def test_without_a_context_nothing_leaves(world):
    gone = Peer("10.0.0.9", 5683, "coap", "gone")
    with pytest.raises(OSError, match="no OSCORE context for gone"):
        world.layer.source(gone)
    world.layer.send(wire.encode(wire.Message(wire.CON, Code.GET, 1, b"t")), PLAIN._replace(peer=gone))
    world.layer.send(wire.encode(wire.Message(wire.ACK, Code.CHANGED, 1, b"t")), PROVEN)
    assert world.sent == []
    world.layer.send(wire.acknowledgement(1), PROVEN)
    assert world.sent == [(wire.acknowledgement(1), PROVEN)]
    assert world.layer.source(PROVEN.peer) == PROVEN
