"""RFC 8613, Appendix B.2, message by message; keys on the vectors of C.3 and C.6."""

from itertools import count

import cbor2
import pytest
from aiocoap import oscore
from aiocoap.message import Direction, Message

from lwm2m_engine.coap import Code
from lwm2m_server.coap.oscore_contexts import Context
from lwm2m_server.coap.oscore_nonces import NONCE, Nonces
from lwm2m_server.coap.oscore_rederivation import LostContext, UnknownContext, open_request, successor

DEVICE, SERVER = b"\xfe\xdc", b"\x01"
KEYS = (b"salt", b"secret")
R1, R3 = b"device-1", b"device-3"


class Contexts:
    """Of ``dev1``; what ``agreed`` says outlives the rest."""

    def __init__(self, agreed=None):
        self.agreed, self.nonces, self._numbers = agreed, Nonces(), count(100)
        self.context = self._made(agreed)

    def _made(self, id_context, **more):
        ids = (SERVER, DEVICE, id_context)
        return Context("dev1", ids, KEYS, self._numbers.__next__, b"echo-srv", **more)

    def endpoint_of(self, kid):
        return "dev1" if kid == DEVICE else None

    def of_endpoint(self, endpoint):
        return self.context

    def derived(self, endpoint, id_context):
        return self._made(id_context, unused=True)

    def adopt(self, context, *, instead_of):
        assert instead_of is self.context
        self.context, self.agreed = context, context.id_context
        self.nonces.forget("dev1")


def device(id_context):
    """The other end of a context; nobody has used it."""
    return Context("", (DEVICE, SERVER, id_context), KEYS, count().__next__, b"echo-dev", unused=True)


def sent(context, named=True, **options):
    """A request as it arrives: the outer message, and what its answer is bound to."""
    message = Message(code=Code.POST, uri_path=["rd"], **options)
    message.direction = Direction.OUTGOING
    outer, request_id = context.protect(message, kid_context=named)
    return arrived(outer), request_id


def arrived(outer):
    copy = Message(code=outer.code, payload=outer.payload)
    copy.direction = Direction.INCOMING
    copy.opt.oscore = outer.opt.oscore
    return copy


def challenge(contexts, outer):
    """Response #1, and R2 that it names."""
    with pytest.raises(LostContext) as lost:
        open_request(contexts, outer)
    answer = arrived(lost.value.to_message())
    said = oscore.verify_start(answer)
    nonce = cbor2.loads(said.pop(oscore.COSE_KID_CONTEXT))
    assert said == {}
    answer.opt.oscore = b""
    return answer, nonce


def begun(contexts, id_context=R1):
    """A run up to response #1, which the device can open."""
    outer, request_id = sent(device(id_context), cbor2.dumps(id_context))
    answer, nonce = challenge(contexts, outer)
    opened, _ = device(nonce + id_context).unprotect(answer, request_id)
    assert (opened.code, len(nonce)) == (Code.UNAUTHORIZED, 2 * NONCE)
    return nonce


def completed(contexts, nonce, number=R3):
    outer, _ = sent(device(nonce + number), cbor2.dumps(nonce + number))
    return open_request(contexts, outer)


@pytest.mark.parametrize("agreed", [None, b"agreed-on-before"])
def test_a_device_begins(agreed):
    contexts = Contexts(agreed)
    before, nonce = contexts.context, begun(contexts)
    assert contexts.context is before, "a first request may be a replay"
    opened = completed(contexts, nonce)
    assert opened.message.opt.uri_path == ("rd",)
    assert contexts.context is opened.context
    assert contexts.agreed == nonce + R3


def test_from_then_on_the_new_context_holds_however_it_is_named():
    contexts = Contexts()
    nonce = begun(contexts)
    completed(contexts, nonce)
    later = device(nonce + R3)
    later.new_sequence_number()
    for named in (True, False, cbor2.dumps(nonce + R3)):
        outer, _ = sent(later, named)
        assert open_request(contexts, outer).context is contexts.context
    # The one before opens nothing any more.
    outer, _ = sent(device(None))
    with pytest.raises(oscore.ProtectionInvalid, match="Tag invalid"):
        open_request(contexts, outer)


def test_replays_change_nothing():
    contexts = Contexts()
    first, _ = sent(device(R1), cbor2.dumps(R1))
    nonces = {challenge(contexts, arrived(first))[1] for _ in range(3)}
    assert len(nonces) == 3, "a number is never used again"
    nonce = nonces.pop()
    second, _ = sent(device(nonce + R3), cbor2.dumps(nonce + R3))
    opened = open_request(contexts, arrived(second))
    with pytest.raises(oscore.ReplayError):
        open_request(contexts, arrived(second))
    challenge(contexts, arrived(first))
    # Numbers of runs that came to nothing are no good any more, and neither is that of the last run once
    # there was another.
    for stale in nonces:
        challenge(contexts, sent(device(stale + R3), cbor2.dumps(stale + R3))[0])
    assert contexts.context is opened.context
    completed(contexts, begun(contexts))
    challenge(contexts, arrived(second))


def test_a_wrong_number_is_answered_with_a_right_one():
    contexts = Contexts()
    before, nonce = contexts.context, begun(contexts)
    wrong = bytes((nonce[0] ^ 1,)) + nonce[1:]
    for mistaken in (wrong + R3, nonce, nonce[:NONCE] + R3, R3):
        challenge(contexts, sent(device(mistaken), cbor2.dumps(mistaken))[0])
    assert contexts.context is before
    completed(contexts, nonce)


def test_the_server_restarts_in_the_middle():
    nonce = begun(Contexts())
    contexts = Contexts()
    # It has forgotten its number: what the device agrees to is a new first request.
    outer, request_id = sent(device(nonce + R3), cbor2.dumps(nonce + R3))
    answer, newer = challenge(contexts, outer)
    opened, _ = device(newer + nonce + R3).unprotect(answer, request_id)
    assert opened.code == Code.UNAUTHORIZED
    assert completed(contexts, newer).context.id_context == newer + R3


def test_after_a_restart_the_derived_context_goes_on_with_an_echo():
    contexts = Contexts()
    nonce = begun(contexts)
    completed(contexts, nonce)
    contexts = Contexts(contexts.agreed)
    later = device(nonce + R3)
    later.new_sequence_number()
    with pytest.raises(oscore.ReplayErrorWithEcho):
        open_request(contexts, sent(later)[0])
    assert open_request(contexts, sent(later, echo=b"echo-srv")[0]).context is contexts.context


def test_the_server_has_lost_what_was_agreed_on():
    contexts = Contexts()
    lost = device(b"agreed-on-before-the-loss")
    outer, request_id = sent(lost)
    answer, nonce = challenge(contexts, outer)
    opened, _ = device(nonce + lost.id_context).unprotect(answer, request_id)
    assert opened.code == Code.UNAUTHORIZED
    completed(contexts, nonce)


def test_who_does_not_have_the_keys_gets_no_number():
    contexts = Contexts()
    stranger = Context("", (DEVICE, SERVER, R1), (b"salt", b"guess"), count().__next__, b"", unused=True)
    with pytest.raises(UnknownContext):
        open_request(contexts, sent(stranger, cbor2.dumps(R1))[0])
    nobody = Context("", (b"\x07", SERVER, R1), KEYS, count().__next__, b"", unused=True)
    with pytest.raises(UnknownContext):
        open_request(contexts, sent(nobody, cbor2.dumps(R1))[0])


@pytest.mark.parametrize("known", [None, b"of-old"])
def test_a_device_that_lost_its_context_is_asked_again(known):
    contexts = Contexts(known)
    message = Message(code=Code.GET, uri_path=["3", "0"])
    message.direction = Direction.OUTGOING
    outer, request_id = contexts.context.protect(message)
    _, seen = device(known).unprotect(arrived(outer))
    nonce = bytes(16)
    wanted = LostContext(device(nonce + (known or b"")), nonce, seen)
    follows = successor(contexts, contexts.context, arrived(wanted.to_message()), request_id)
    assert follows is not None
    assert follows.id_context.startswith(nonce)
    assert len(follows.id_context) == len(nonce) + NONCE
    assert contexts.agreed == known, "the device has yet to answer with it"


def test_an_answer_that_names_its_own_context_is_an_answer():
    contexts = Contexts(b"of-old")
    outer = Message(code=Code.CHANGED, payload=b"whatever")
    for named in (b"\x10\x06of-old", b"\x10\x03abc", b""):
        outer.opt.oscore = named
        assert successor(contexts, contexts.context, arrived(outer), None) is None


@pytest.mark.parametrize("code", [Code.UNAUTHORIZED, Code.CONTENT])
def test_a_number_nobody_vouches_for_is_not_used(code):
    contexts = Contexts()
    message = Message(code=Code.GET, uri_path=["3", "0"])
    message.direction = Direction.OUTGOING
    outer, request_id = contexts.context.protect(message)
    _, seen = device(None).unprotect(arrived(outer))
    nonce = bytes(16)
    # Either of another context than it says, or no refusal.
    answer = Message(code=code)
    answer.direction = Direction.OUTGOING
    by = device(b"other" if code == Code.UNAUTHORIZED else nonce)
    forged, _ = by.protect(answer, seen)
    forged.opt.oscore = b"\x10\x11" + cbor2.dumps(nonce)
    with pytest.raises(oscore.ProtectionInvalid, match=r"another ID Context|Tag invalid"):
        successor(contexts, contexts.context, arrived(forged), request_id)


def test_keys_of_the_rfc():
    """C.3.1 and C.6: derived with an ID Context, and the request protected with it."""
    id_context = bytes.fromhex("37cbf3210017a2d3")
    keys = bytes.fromhex("9e7ca92223786340"), bytes(range(1, 17))
    context = Context("", (b"", b"\x01", id_context), keys, count(0x14).__next__, b"")
    assert context.sender_key.hex() == "af2a1300a5e95788b356336eeecd2b92"
    assert context.recipient_key.hex() == "e39a0c7c77b43f03b4b39ab9a268699f"
    assert context.common_iv.hex() == "2ca58fb85ff1b81c0b7181b85e"
    request = Message(code=Code.GET, uri_path=["tv1"])
    request.direction = Direction.OUTGOING
    outer, _ = context.protect(request)
    assert outer.opt.oscore.hex() == "19140837cbf3210017a2d3"
    assert outer.payload.hex() == "72cd7273fd331ac45cffbe55c3"
