"""Bootstrap, case by case (BS-1 to BS-18); the security ones as far as the session is concerned."""

from __future__ import annotations

from base64 import b64encode
from collections import deque

import attrs
import pytest

from lwm2m_engine import Catalog, Entry, Path, decode, encode
from lwm2m_engine.bootstrap import Bootstrap, BootstrapConfig, BootstrapSettings
from lwm2m_engine.bootstrap import events as facts
from lwm2m_engine.bootstrap.checks import check
from lwm2m_engine.bootstrap.template import config_of
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.effects import Abort, Perform
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat

CHANGED = CoapReply(Code.CHANGED)
PEER = Peer("10.0.0.1", 40000, "coap-bs")
ACCOUNTS = {
    "/0/0": {"0": "coap://bs.example.com:5687", "1": True, "2": 3},
    "/0/1": {"0": "coap://dm.example.com:5683", "1": False, "2": 3, "10": 2222},
    "/1/0": {"0": 2222, "1": 300, "6": True, "7": "U"},
}
PLAIN = {"noSec": True, "delete": [], "discover": [], "automaticIds": False, "write": ACCOUNTS}


class World:
    """A bootstrap server with its clock; what left for the network is in ``wire``."""

    def __init__(self, catalog, **documents):
        self.catalog, self.now = catalog, 1_700_000_000.0
        self.documents = documents
        self.bootstrap = Bootstrap(self, catalog, settings=BootstrapSettings(session_timeout=600.0))
        self.wire, self.aborted, self.events = deque(), [], []

    def config(self, request, peer) -> BootstrapConfig:
        document = self.documents.get(request.endpoint)
        if document is None:
            raise RequestError(Code.BAD_REQUEST, "there is nothing for this client")
        return config_of(document, request.endpoint, lambda name: b"k" * 16, self.catalog)

    def take(self, step):
        self.events += step.events
        for effect in step.effects:
            if isinstance(effect, Abort):
                self.aborted.append(effect.exchange)
                self.wire = deque(one for one in self.wire if one.exchange != effect.exchange)
            else:
                self.wire.append(effect)
        return step.reply

    def ask(self, query="ep=dev1", *, peer=PEER, path="bs", code=Code.POST, **more):
        request = CoapRequest(code, (path,), tuple(query.split("&")) if query else (), **more)
        return self.take(self.bootstrap.receive(request, peer, self.now))

    def answer(self, reply=CHANGED) -> Perform:
        """Answer what is on the wire; what it was."""
        asked = self.wire.popleft()
        self.take(self.bootstrap.answered(asked.exchange, reply, self.now))
        return asked

    def fail(self, reason="timeout"):
        self.take(self.bootstrap.failed(self.wire.popleft().exchange, reason, self.now))

    def wait(self, seconds):
        self.now += seconds
        self.take(self.bootstrap.tick(self.now))

    def told(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def run(self, replies=None):
        """Answer until nothing is asked any more; what was asked, as ``METHOD /path``."""
        asked = []
        while self.wire:
            line = said(self.wire[0].request)
            asked.append(line)
            self.answer((replies or {}).get(line, ok(self.wire[0].request)))
        return asked


def said(request):
    return f"{Code(request.code).name} /{'/'.join(request.path)}"


def ok(request):
    done = {Code.DELETE: Code.DELETED, Code.GET: Code.CONTENT}
    return CoapReply(done.get(request.code, Code.CHANGED), content_format=request.accept)


def links(text):
    return CoapReply(Code.CONTENT, text.encode(), ContentFormat.LINK_FORMAT)


@pytest.fixture
def world(catalog) -> World:
    return World(catalog, dev1=PLAIN)


def automatic(**more):
    return PLAIN | {"discover": ["/"], "automaticIds": True} | more


def test_bs_1_both_accounts_are_written_in_the_order_of_the_configuration_then_finish(world):
    assert world.ask() == CHANGED
    assert world.run() == ["PUT /0/0", "PUT /0/1", "PUT /1/0", "POST /bs"]
    assert [type(event) for event in world.events][-1] is facts.Finished


def test_bs_1_one_request_at_a_time(world):
    world.ask()
    for _ in range(4):
        assert len(world.wire) == 1
        world.answer()
    assert not world.wire


def test_bs_2_nobody_to_bootstrap(world):
    assert world.ask("").code == Code.BAD_REQUEST
    assert not world.wire
    assert world.told(facts.Refused)[0].code == Code.BAD_REQUEST


def test_bs_3_without_a_preference_tlv(world):
    world.ask()
    asked = world.wire[0].request
    assert asked.content_format == ContentFormat.TLV
    entries = decode(asked.payload, ContentFormat.TLV, at=Path("/0/0"), types=world.catalog.types)
    assert entries[0] == Entry(Path("/0/0/0"), "coap://bs.example.com:5687")


@pytest.mark.parametrize("number", [11542, 110, 112, 11544])
def test_bs_4_the_format_the_client_prefers(world, number):
    world.ask(f"ep=dev1&pct={number}")
    asked = world.wire[0].request
    assert asked.content_format == number
    entries = decode(asked.payload, number, at=Path("/0/0"), types=world.catalog.types)
    assert {entry.path[2]: entry.value for entry in entries} == {
        0: "coap://bs.example.com:5687",
        1: True,
        2: 3,
        3: b"",
        4: b"",
        5: b"",
    }


def test_bs_5_the_format_of_the_configuration_goes_first(catalog):
    world = World(catalog, dev1=PLAIN | {"contentFormat": "senml-json"})
    world.ask("ep=dev1&pct=112")
    assert {one.content_format for one in [world.wire[0].request]} == {ContentFormat.SENML_JSON}


def test_bs_6_other_query_parameters_are_part_of_the_session(world):
    world.ask("ep=dev1&key1=value1&imei=2136872368")
    assert world.told(facts.Began)[0].request.attributes == {"key1": "value1", "imei": "2136872368"}


def test_bs_7_the_answer_to_discover_is_understood(catalog):
    world = World(catalog, dev1=automatic())
    world.ask()
    first = world.answer(links('</>;lwm2m=1.0,</0/0>;uri="coap://h:5687",</1>,</2>,</3442/0>,</3/0>'))
    assert (said(first.request), first.request.accept) == ("GET /", ContentFormat.LINK_FORMAT)
    inventory = world.told(facts.Replied)[0].inventory
    assert (inventory.version, inventory.bootstrap_account) == ("1.0", Path("/0/0"))
    assert world.run()[-1] == "POST /bs"


@pytest.mark.parametrize("code", [Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED, Code.NOT_ACCEPTABLE])
def test_a_client_that_does_not_know_discover_is_bootstrapped_all_the_same(catalog, code):
    world = World(catalog, dev1=automatic())
    world.ask()
    asked = world.run({"GET /": CoapReply(code)})
    assert asked == ["GET /", "PUT /0/0", "PUT /0/1", "PUT /1/0", "POST /bs"]
    assert world.told(facts.Finished)[0].refused == 0


def test_a_client_whose_discover_cannot_be_read_is_bootstrapped_all_the_same(catalog):
    world = World(catalog, dev1=automatic())
    world.ask()
    assert world.run({"GET /": links("</")})[-1] == "POST /bs"
    assert world.told(facts.Replied)[0].detail


def test_bs_8_the_session_after_a_trigger_finds_the_accounts_with_their_ssid(catalog):
    world = World(catalog, dev1=automatic())
    world.ask()
    world.answer(links('</>;lwm2m=1.1,</0/0>,</0/1>;ssid=2222;uri="coap://dm:5683",</1/0>;ssid=2222'))
    inventory = world.told(facts.Replied)[0].inventory
    assert inventory.account(2222) == Path("/0/1")
    assert inventory.instances[Path("/0/1")].uri == "coap://dm:5683"
    assert inventory.instances[Path("/1/0")].short_id == 2222


def test_bs_9_discover_of_one_object(catalog):
    world = World(catalog, dev1=PLAIN | {"discover": ["/3"]})
    world.ask()
    assert said(world.answer(links("</>;lwm2m=1.0,</3/0>")).request) == "GET /3"
    assert list(world.told(facts.Replied)[0].inventory.instances) == [Path("/3/0")]


def test_bs_10_a_client_that_refuses_the_whole_has_failed(world):
    world.ask()
    world.run({"POST /bs": CoapReply(Code.NOT_ACCEPTABLE, b"two bootstrap servers")})
    failed = world.told(facts.Failed)[0]
    assert (failed.cause, failed.detail) == ("finish-failed", "two bootstrap servers")


def test_bs_11_the_account_of_the_bootstrap_server_keeps_its_instance(catalog):
    world = World(catalog, dev1=automatic())
    world.ask()
    asked = world.run({"GET /": links('</>;lwm2m=1.1,</0/10>;uri="coap://h:5687",</1>')})
    assert asked == ["GET /", "PUT /0/10", "PUT /0/1", "PUT /1/0", "POST /bs"]


def test_an_id_that_is_taken_by_the_bootstrap_server_is_not_written_over(catalog):
    only = {"/0/0": ACCOUNTS["/0/1"], "/1/0": ACCOUNTS["/1/0"]}
    world = World(catalog, dev1=automatic(write=only))
    world.ask()
    asked = world.run({"GET /": links("</>;lwm2m=1.1,</0/0>,</1>")})
    assert asked == ["GET /", "PUT /0/1", "PUT /1/0", "POST /bs"]


def test_a_server_the_client_knows_takes_its_instance_again(catalog):
    world = World(catalog, dev1=automatic())
    world.ask()
    asked = world.run({"GET /": links("</>,</0/1>,</0/7>;ssid=2222,</0/2>;ssid=9")})
    assert asked == ["GET /", "PUT /0/1", "PUT /0/7", "PUT /1/0", "POST /bs"]


def test_payloads_follow_the_instance(catalog):
    world = World(catalog, dev1=automatic())
    world.ask("ep=dev1&pct=112")
    world.answer(links("</0/10>"))
    asked = world.wire[0].request
    entries = decode(asked.payload, 112, at=Path("/0/10"), types=catalog.types)
    assert {entry.path[:2] for entry in entries} == {(0, 10)}


@pytest.mark.parametrize("paths", [["/2", "/3442"], ["/"], ["/0/3"]])
def test_bs_12_bs_13_what_is_deleted(catalog, paths):
    world = World(catalog, dev1=PLAIN | {"delete": paths})
    world.ask()
    deleted = [f"DELETE {path}" for path in paths]
    assert world.run()[: len(paths)] == deleted


def test_bs_14_access_control(catalog):
    entry = {"/2/0": {"0": 3, "1": 0, "2": {"3333": 1}, "3": 2222}}
    world = World(catalog, dev1=PLAIN | {"write": ACCOUNTS | entry})
    world.ask()
    for _ in range(3):
        world.answer()
    asked = world.wire[0].request
    assert said(asked) == "PUT /2/0"
    values = {
        str(one.path): one.value for one in decode(asked.payload, 11542, at=Path("/2/0"), types=catalog.types)
    }
    assert values == {"/2/0/0": 3, "/2/0/1": 0, "/2/0/2/3333": 1, "/2/0/3": 2222}


def test_bs_15_without_a_name_the_identity_is_it(catalog):
    world = World(catalog, dev1=PLAIN | {"noSec": False})
    secure = Peer("10.0.0.1", 40000, "coaps-bs", "dev1")
    assert world.ask("", peer=secure) == CHANGED
    assert world.told(facts.Began)[0].endpoint == "dev1"


def test_bs_15_the_credentials_of_another(catalog):
    world = World(catalog, dev1=PLAIN | {"noSec": False})
    assert world.ask(peer=Peer("10.0.0.1", 40000, "coaps-bs", "dev2")).code == Code.BAD_REQUEST
    assert not world.wire


def test_bs_15_who_needs_security_does_not_come_without(catalog):
    world = World(catalog, dev1=PLAIN | {"noSec": False})
    assert world.ask().code == Code.BAD_REQUEST
    assert not world.wire


def test_bs_16_nothing_for_this_client_and_no_session(world):
    assert world.ask("ep=somebody").code == Code.BAD_REQUEST
    assert [type(event) for event in world.events] == [facts.Refused]
    assert world.bootstrap.under_way == 0


def test_bs_16_no_answer_to_finish(world):
    world.ask()
    for _ in range(3):
        world.answer()
    world.fail()
    assert world.told(facts.Failed)[0].cause == "timeout"
    assert world.bootstrap.under_way == 0


def test_bs_16_who_asks_again_begins_anew(world):
    world.ask()
    first = world.wire[0].exchange
    other = Peer("10.0.0.1", 50000, "coap-bs")
    assert world.ask(peer=other) == CHANGED
    assert world.aborted == [first]
    assert world.told(facts.Failed)[0].cause == "replaced"
    assert world.wire[0].peer == other
    world.take(world.bootstrap.answered(first, CHANGED, world.now))
    assert world.run() == ["PUT /0/0", "PUT /0/1", "PUT /1/0", "POST /bs"]


def test_bs_17_certificates_are_der(catalog):
    certificate = bytes.fromhex("300b30003000030500aabbccdd")
    key = bytes.fromhex("300702010030000400")
    pem = b"-----BEGIN CERTIFICATE-----\n" + b64encode(certificate)

    def account(server):
        entry = {"0": "coaps://dm:5684", "1": False, "2": 2, "10": 2222}
        entry |= {
            str(number): b64encode(one).decode()
            for number, one in {3: certificate, 4: server, 5: key}.items()
        }
        document = PLAIN | {"write": {"/0/1": entry, "/1/0": ACCOUNTS["/1/0"]}}
        return config_of(document, "dev1", lambda name: b"", catalog)

    check(account(certificate), catalog)
    with pytest.raises(ExceptionGroup) as refused:
        check(account(pem), catalog)
    assert "PEM" in str(refused.value.exceptions[0])


def test_bs_18_cipher_suites_are_two_bytes(catalog):
    def config(number):
        account = ACCOUNTS["/0/1"] | {"16": {"0": number}}
        return config_of(
            PLAIN | {"write": {"/0/1": account, "/1/0": ACCOUNTS["/1/0"]}}, "dev1", bytes, catalog
        )

    check(config(49320), catalog)
    suite = [one for one in config(49320).writes[0].entries if one.path[2] == 16]
    assert b"\xc0\xa8" in encode(suite, ContentFormat.TLV, at=Path("/0/1"), types=catalog.types)
    with pytest.raises(ExceptionGroup, match="bootstrap configuration") as refused:
        check(config(65536), catalog)
    assert [str(fault.path) for fault in refused.value.exceptions] == ["/0/1/16/0"]


@pytest.mark.parametrize("usage", [0, 1, 2, 3])
def test_x509_usage_and_sni_are_the_clients_to_follow_and_are_written(catalog, usage):
    """Which certificate of a server it takes (X509-usage 0 to 3), and by what name it asks (SNI-1 to 5)."""
    account = ACCOUNTS["/0/1"] | {"14": "virtual.example.com", "15": usage}
    world = World(catalog, dev1=PLAIN | {"write": {"/0/1": account, "/1/0": ACCOUNTS["/1/0"]}})
    world.ask()
    payload = world.wire[0].request.payload
    entries = decode(payload, ContentFormat.TLV, at=Path("/0/1"), types=catalog.types)
    assert Entry(Path("/0/1/14"), "virtual.example.com") in entries
    assert Entry(Path("/0/1/15"), usage) in entries


def test_there_is_no_other_usage_of_a_certificate(catalog):
    account = ACCOUNTS["/0/1"] | {"15": 4}
    document = PLAIN | {"write": {"/0/1": account, "/1/0": ACCOUNTS["/1/0"]}}
    with pytest.raises(ExceptionGroup) as refused:
        check(config_of(document, "dev1", bytes, catalog), catalog)
    assert [str(fault.path) for fault in refused.value.exceptions] == ["/0/1/15"]


# --- formats, failures, time -------------------------------------------------------------------------


def test_a_format_that_is_refused_is_not_tried_again(world):
    world.ask("ep=dev1&pct=112")
    refused = CoapReply(Code.UNSUPPORTED_CONTENT_FORMAT)
    formats = []
    while world.wire:
        request = world.wire[0].request
        formats.append(request.content_format)
        world.answer(refused if request.content_format in (112, 11542) else CHANGED)
    assert formats == [112, 11542, 110, 110, 110, None]
    assert world.told(facts.Finished)[0].refused == 0


def test_a_client_that_takes_no_format(world):
    world.ask()
    asked = world.run({f"PUT {path}": CoapReply(Code.UNSUPPORTED_CONTENT_FORMAT) for path in ACCOUNTS})
    assert asked == ["PUT /0/0"] * 4
    assert world.told(facts.Failed)[0].cause == "request-failed"


def test_a_format_nobody_can_be_written_in(world):
    assert world.ask("ep=dev1&pct=60").code == Code.UNSUPPORTED_CONTENT_FORMAT
    assert world.ask("ep=dev1&pct=abc").code == Code.BAD_REQUEST


def test_a_step_that_is_refused_goes_on_by_default(world):
    world.ask()
    assert world.run({"PUT /1/0": CoapReply(Code.BAD_REQUEST)})[-1] == "POST /bs"
    assert world.told(facts.Finished)[0].refused == 1


def test_a_step_that_is_refused_can_end_it(catalog):
    world = World(catalog, dev1=PLAIN | {"onFailure": "stop"})
    world.ask()
    assert world.run({"PUT /0/1": CoapReply(Code.BAD_REQUEST, b"no room")}) == ["PUT /0/0", "PUT /0/1"]
    failed = world.told(facts.Failed)[0]
    assert (failed.cause, failed.detail) == ("request-failed", "write /0/1: no room")


def test_a_step_is_repeated(catalog):
    world = World(catalog, dev1=PLAIN | {"retries": 2})
    world.ask()
    world.fail()
    assert not world.wire
    assert world.bootstrap.next_deadline() == world.now + 2
    world.wait(2)
    world.answer(CoapReply(Code.SERVICE_UNAVAILABLE))
    world.wait(2)
    assert world.run() == ["PUT /0/0", "PUT /0/1", "PUT /1/0", "POST /bs"]


def test_a_step_is_not_repeated_for_ever(catalog):
    world = World(catalog, dev1=PLAIN | {"retries": 1})
    world.ask()
    world.fail()
    world.wait(2)
    world.fail()
    assert world.told(facts.Failed)[0].cause == "timeout"
    assert world.bootstrap.next_deadline() is None


def test_a_session_ends_some_time(world):
    world.ask()
    world.wait(599)
    assert world.wire
    world.wait(1)
    assert not world.wire
    assert world.told(facts.Failed)[0].cause == "timeout"
    assert world.bootstrap.next_deadline() is None


def test_a_configuration_that_is_gone_ends_the_session(world):
    world.ask()
    world.take(world.bootstrap.withdraw("dev1", world.now))
    assert world.told(facts.Failed)[0].cause == "withdrawn"
    assert not world.wire


def test_too_many_clients_at_a_time(catalog):
    world = World(catalog, dev1=PLAIN, dev2=PLAIN)
    world.bootstrap = Bootstrap(world, catalog, settings=BootstrapSettings(max_sessions=1))
    world.ask()
    assert world.ask("ep=dev2").code == Code.SERVICE_UNAVAILABLE
    assert world.ask() == CHANGED


def test_what_is_read_before_the_end(catalog):
    world = World(catalog, dev1=PLAIN | {"read": ["/1"]})
    world.ask()
    for _ in range(3):
        world.answer()
    payload = encode([Entry(Path("/1/0/0"), 2222)], ContentFormat.TLV, at=Path("/1"), types=catalog.types)
    asked = world.answer(CoapReply(Code.CONTENT, payload, ContentFormat.TLV))
    assert said(asked.request) == "GET /1"
    assert world.told(facts.Replied)[-1].entries == (Entry(Path("/1/0/0"), 2222),)
    assert world.run() == ["POST /bs"]


def test_a_configuration_may_bring_its_own_models(catalog):
    world = World(catalog, dev1=PLAIN | {"read": ["/1"]})
    config = world.config
    world.config = lambda request, peer: attrs.evolve(config(request, peer), models=Catalog())
    world.ask()
    for _ in range(3):
        world.answer()
    payload = encode([Entry(Path("/1/0/0"), 2222)], ContentFormat.TLV, at=Path("/1"), types=catalog.types)
    world.answer(CoapReply(Code.CONTENT, payload, ContentFormat.TLV))
    assert world.told(facts.Replied)[-1].entries == (Entry(Path("/1/0/0"), b"\x08\xae"),)


def test_a_memory_of_ended_sessions_does_not_grow(world):
    for _ in range(1000):
        world.ask()
    assert len(world.bootstrap._sessions.deadlines._heap) < 200


# --- Bootstrap-Pack ----------------------------------------------------------------------------------

PACKED = {"noSec": True, "write": {path: ACCOUNTS[path] for path in ("/0/1", "/1/0")}}


@pytest.mark.parametrize("accept", [None, 112, 110, 11544])
def test_a_pack_holds_everything(catalog, accept):
    world = World(catalog, dev1=PACKED)
    reply = world.ask(path="bspack", code=Code.GET, accept=accept)
    assert (reply.code, reply.content_format) == (Code.CONTENT, accept or 112)
    entries = decode(reply.payload, reply.content_format, types=catalog.types)
    assert Entry(Path("/0/1/10"), 2222) in entries
    assert Entry(Path("/1/0/1"), 300) in entries
    assert not world.wire
    assert world.told(facts.Packed)[0].size == len(reply.payload)


@pytest.mark.parametrize(
    "more",
    [{"read": ["/1"]}, {"delete": ["/3442"]}, {"write": ACCOUNTS}],
)
def test_what_takes_a_conversation_is_no_pack(catalog, more):
    world = World(catalog, dev1=PACKED | more)
    assert world.ask(path="bspack", code=Code.GET).code == Code.NOT_IMPLEMENTED
    assert world.ask() == CHANGED


def test_a_pack_in_a_format_that_lists_no_paths(catalog):
    world = World(catalog, dev1=PACKED)
    assert world.ask(path="bspack", code=Code.GET, accept=11542).code == Code.NOT_ACCEPTABLE


def test_a_pack_is_for_who_may_have_it(catalog):
    world = World(catalog, dev1=PACKED | {"noSec": False})
    assert world.ask(path="bspack", code=Code.GET).code == Code.BAD_REQUEST
    secure = Peer("10.0.0.1", 40000, "coaps-bs", "dev1")
    assert world.ask("", path="bspack", code=Code.GET, peer=secure).code == Code.CONTENT


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("bs", Code.GET, Code.METHOD_NOT_ALLOWED),
        ("bspack", Code.POST, Code.METHOD_NOT_ALLOWED),
        ("rd", Code.POST, Code.NOT_FOUND),
    ],
)
def test_other_requests(world, path, code, expected):
    assert world.ask(path=path, code=code).code == expected


def test_swapped_models_are_those_of_the_next_write(catalog):
    world = World(catalog, dev1=PLAIN)
    world.ask("ep=dev1&pct=112")
    world.bootstrap.swap(Catalog())
    assert world.run()[-1] == "POST /bs"


def test_the_session_keeps_the_configuration_it_began_with(world):
    world.ask()
    world.documents.clear()
    assert world.run()[-1] == "POST /bs"


def test_perform_names_the_client(world):
    world.ask()
    assert world.wire[0].endpoint == "dev1"
