"""Sessions of a port and clients on pyOpenSSL, without sockets: what devices do, and what strangers do."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from structlog.testing import capture_logs

from lwm2m_engine.coap import Peer
from lwm2m_engine.errors import SettingsError
from lwm2m_server.coap.dtls.certificates import Certificates
from lwm2m_server.coap.dtls.engine import SessionOver
from lwm2m_server.coap.dtls.identities import Secret
from lwm2m_server.coap.dtls.limits import Limits
from lwm2m_server.coap.dtls.openssl import OpensslEngine
from lwm2m_server.coap.dtls.sessions import Sessions
from lwm2m_server.coap.sockets import Source
from lwm2m_server.coap.wheel import Timer
from lwm2m_server.simulator.dtls import Certificate, DtlsClient, DtlsContext, PreSharedKey

SUITES = (
    "TLS_PSK_WITH_AES_128_CCM_8",
    "TLS_PSK_WITH_AES_128_GCM_SHA256",
    "TLS_PSK_WITH_AES_128_CBC_SHA256",
)
WITH_CERTIFICATES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
)
MTU = 1232


class Keys:
    """What a credentials store knows."""

    def __init__(self, **keys: bytes) -> None:
        self.keys = keys
        self.names: set[str] = set()
        """Whom certificates of the authority may name."""
        self.pins: dict[bytes, str] = {}

    def psk(self, identity: bytes) -> Secret | None:
        name = identity.decode(errors="replace")
        return Secret(name, self.keys[name]) if name in self.keys else None

    def raw_public_key(self, spki: bytes) -> str | None:
        return None

    def certificate(self, der: bytes) -> str | None:
        named = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(named[0].value)
        return self.pinned(der) or (name if name in self.names else None)

    def pinned(self, der: bytes) -> str | None:
        return self.pins.get(der)


class Network:
    """Around a port: datagrams lie here until somebody delivers them, and time passes when told."""

    def __init__(
        self,
        keys: Keys,
        limits: Limits | None = None,
        certificates: Certificates | None = None,
        mtu: int = MTU,
    ) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, dict[Timer, None], Timer]] = []
        self.to_clients: list[tuple[bytes, Any]] = []
        self.heard_messages: list[tuple[bytes, Source]] = []
        self.lost_addresses: list[Any] = []
        suites = SUITES + WITH_CERTIFICATES
        self.engine = OpensslEngine(keys, suites=suites, mtu=mtu, certificates=certificates)
        self.sessions = Sessions(self.engine, limits or Limits(), self)

    # --- Surroundings ---

    def transmit(self, datagram: bytes, to: Source) -> None:
        self.to_clients.append((datagram, to.address))

    def heard(self, message: bytes, source: Source) -> None:
        self.heard_messages.append((message, source))

    def lost(self, problem: OSError, address: Any) -> None:
        self.lost_addresses.append(address)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], object]) -> Timer:
        slot: dict[Timer, None] = {}
        timer = Timer(slot, call)
        self.timers.append((self.now + delay, slot, timer))
        return timer

    # --- what tests do ---

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        self.sessions.receive(data, Source(address, peer=Peer(*address, "coaps")))

    def taken(self, address: tuple[str, int]) -> list[bytes]:
        """What has been sent to there, and is not any more."""
        found = [datagram for datagram, to in self.to_clients if to == address]
        self.to_clients = [one for one in self.to_clients if one[1] != address]
        return found

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [one for one in self.timers if one[0] <= self.now]
        self.timers = [one for one in self.timers if one[0] > self.now]
        for _, slot, timer in due:
            if timer in slot:
                del slot[timer]
                timer.fire()


class Client:
    """A device somewhere."""

    def __init__(self, network: Network, context: DtlsContext, port: int = 4000, **more: Any) -> None:
        self.network, self.address = network, ("192.0.2.1", port)
        self.dtls = DtlsClient(context, **more)
        self.heard: list[bytes] = []

    def begin(self) -> None:
        self.put(self.dtls.begin())

    def put(self, datagrams: tuple[bytes, ...]) -> None:
        for datagram in datagrams:
            self.network.send(datagram, self.address)

    def answer(self) -> bool:
        """Take what is there; true if that was something."""
        arrived = self.network.taken(self.address)
        for datagram in arrived:
            answer, messages = self.dtls.receive(datagram)
            self.heard += messages
            self.put(answer)
        return bool(arrived)

    def connect(self) -> Client:
        self.begin()
        while self.answer():
            pass
        assert self.dtls.established
        return self

    def say(self, message: bytes) -> None:
        self.network.send(self.dtls.seal(message), self.address)


def psk(name: str = "dev1", key: bytes = b"k" * 16, suites: str = "ALL") -> DtlsContext:
    return DtlsContext(PreSharedKey(name.encode(), key), suites=suites)


@pytest.fixture
def keys() -> Keys:
    return Keys(dev1=b"k" * 16, dev2=b"l" * 32)


@pytest.fixture
def network(keys: Keys) -> Network:
    return Network(keys)


# --- what clients do ---


@pytest.mark.parametrize("suite", SUITES)
def test_both_sides_speak_with_each_suite(network: Network, suite: str) -> None:
    client = Client(network, psk(suites=suite)).connect()
    client.say(b"question")
    (message, source) = network.heard_messages[0]
    assert (message, source.peer) == (b"question", Peer("192.0.2.1", 4000, "coaps", "dev1"))
    network.sessions.send(b"answer", source)
    client.answer()
    assert client.heard == [b"answer"]


def test_a_long_key_is_as_good(network: Network) -> None:
    Client(network, psk("dev2", b"l" * 32)).connect().say(b"x")
    assert network.heard_messages[0][1].peer.identity == "dev2"


def test_several_messages_in_one_datagram_are_all_heard(network: Network) -> None:
    client = Client(network, psk()).connect()
    network.send(client.dtls.seal(b"one") + client.dtls.seal(b"two"), client.address)
    assert [message for message, _ in network.heard_messages] == [b"one", b"two"]


def test_a_record_is_taken_once(network: Network) -> None:
    client = Client(network, psk()).connect()
    record = client.dtls.seal(b"pay 100")
    network.send(record, client.address)
    network.send(record, client.address)
    assert len(network.heard_messages) == 1


def test_records_may_overtake_each_other(network: Network) -> None:
    client = Client(network, psk()).connect()
    records = [client.dtls.seal(b"%d" % number) for number in range(5)]
    for record in reversed(records):
        network.send(record, client.address)
    assert [message for message, _ in network.heard_messages] == [b"4", b"3", b"2", b"1", b"0"]


def test_a_session_ends_with_its_client(network: Network) -> None:
    client = Client(network, psk()).connect()
    client.say(b"x")
    client.put(client.dtls.close())
    assert (len(network.sessions), network.sessions.counters.ended) == (0, 1)
    assert network.lost_addresses == [network.heard_messages[0][1].address]
    assert network.taken(client.address)[-1][0] == 21, "a close_notify is answered"


def test_a_session_is_resumed_by_ticket(network: Network) -> None:
    context = psk()
    first = Client(network, context).connect()
    first.put(first.dtls.close())
    again = Client(network, context, 4001, session=first.dtls.connection.get_session()).connect()
    again.say(b"x")
    assert network.heard_messages[0][1].peer.identity == "dev1"
    assert again.dtls.connection.get_session() is not None


def test_a_session_is_resumed_by_its_id(network: Network) -> None:
    context = psk()
    context.context.set_options(SSL.OP_NO_TICKET)
    first = Client(network, context).connect()
    first.put(first.dtls.close())
    again = Client(network, context, 4001, session=first.dtls.connection.get_session()).connect()
    assert again.dtls.connection.master_key() == first.dtls.connection.master_key()
    again.say(b"x")
    assert network.heard_messages[0][1].peer.identity == "dev1"


def test_nothing_is_resumed_with_a_key_that_was_changed(network: Network, keys: Keys) -> None:
    context = psk()
    first = Client(network, context).connect()
    keys.keys["dev1"] = b"another key"
    again = Client(network, context, 4001, session=first.dtls.connection.get_session())
    again.begin()
    while again.answer():
        pass
    assert network.sessions.counters.failed == 1
    assert len(network.sessions) == 1, "the first one is for who changes keys to close"


def test_who_is_not_known_is_told(network: Network) -> None:
    heard: list[tuple[Peer, str]] = []
    network.sessions.on_failed = lambda peer, reason: heard.append((peer, reason))
    with pytest.raises(SSL.Error, match="unknown psk identity"):
        Client(network, psk("dev9")).connect()
    assert network.sessions.counters.failed == 1
    assert [peer.identity for peer, _ in heard] == [None]


def test_who_has_another_key_gets_nowhere(network: Network) -> None:
    heard: list[str] = []
    network.sessions.on_failed = lambda peer, reason: heard.append(reason)
    client = Client(network, psk(key=b"no"))
    client.begin()
    while client.answer():
        pass
    network.pass_time(31)
    assert [reason.partition(";")[0] for reason in heard] == ["time is up"]
    assert (network.sessions.counters.timed_out, len(network.sessions)) == (1, 0)


# --- certificates ---


@pytest.fixture
def certificates(authority: Any) -> Certificates:
    return Certificates(*authority.issue("localhost"), authority.trust)


def certified(authority: Any, files: tuple[Any, Any], suites: str = "ALL") -> DtlsContext:
    return DtlsContext(Certificate(*files, authority.trust), suites=suites)


@pytest.mark.parametrize("suite", WITH_CERTIFICATES)
def test_a_device_is_who_its_certificate_names(
    keys: Keys, certificates: Certificates, authority: Any, suite: str
) -> None:
    network = Network(keys, certificates=certificates)
    keys.names.add("dev3")
    Client(network, certified(authority, authority.issue("dev3"), suite)).connect().say(b"x")
    assert network.heard_messages[0][1].peer.identity == "dev3"


def test_x509_usage_a_client_finds_the_way_from_the_server_to_its_authority(
    keys: Keys, authority: Any, tmp_path: Path
) -> None:
    """What clients need to check a server with each usage: the certificate itself, and those above it."""
    between = authority.below("between")
    certificate, key = between.issue("localhost")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(certificate.read_bytes() + between.trust.read_bytes())
    keys.names.add("dev3")
    device = certified(authority, authority.issue("dev3"))
    client = Client(Network(keys, certificates=Certificates(chain, key, authority.trust)), device).connect()
    sent = client.dtls.connection.get_peer_cert_chain(as_cryptography=True)
    assert sent is not None
    assert b"".join(one.public_bytes(Encoding.PEM) for one in sent) == chain.read_bytes()
    alone = Network(keys, certificates=Certificates(certificate, key, authority.trust))
    with pytest.raises(SSL.Error, match="certificate verify failed"):
        Client(alone, device).connect()


def test_sni_1_to_5_the_name_a_client_has_for_the_server_does_not_matter(
    keys: Keys, certificates: Certificates, authority: Any
) -> None:
    """With a Raw Public Key: ``tests/interop/test_dtls_raw_keys.py``."""
    network = Network(keys, certificates=certificates)
    keys.names.add("dev3")
    client = Client(network, certified(authority, authority.issue("dev3")))
    client.dtls.connection.set_tlsext_host_name(b"virtual.example.com")
    client.connect()
    assert len(network.sessions) == 1


def test_flights_with_certificates_are_cut_to_the_mtu(
    keys: Keys, certificates: Certificates, authority: Any
) -> None:
    network = Network(keys, certificates=certificates, mtu=548)
    keys.names.add("dev3")
    context = certified(authority, authority.issue("dev3"), WITH_CERTIFICATES[0])
    context.mtu = 300
    client = Client(network, context)
    client.begin()
    client.answer()
    flight = [datagram for datagram, _ in network.to_clients]
    assert len(flight) > 1
    assert max(map(len, flight)) <= 548
    while client.answer():
        pass
    client.say(b"x" * 1000)
    assert network.heard_messages[0][0] == b"x" * 1000


@pytest.mark.parametrize("suite", [SUITES[0], WITH_CERTIFICATES[0]])
def test_keys_and_certificates_are_taken_on_the_same_port(
    keys: Keys, certificates: Certificates, authority: Any, suite: str
) -> None:
    network = Network(keys, certificates=certificates)
    keys.names.add("dev3")
    context = psk() if suite in SUITES else certified(authority, authority.issue("dev3"))
    Client(network, context).connect()
    assert len(network.sessions) == 1


def test_a_session_with_a_certificate_is_resumed(
    keys: Keys, certificates: Certificates, authority: Any
) -> None:
    network = Network(keys, certificates=certificates)
    keys.names.add("dev3")
    context = certified(authority, authority.issue("dev3"))
    first = Client(network, context).connect()
    session = first.dtls.connection.get_session()
    first.put(first.dtls.close())
    again = Client(network, context, 4001, session=session).connect()
    again.say(b"x")
    assert network.heard_messages[0][1].peer.identity == "dev3"
    keys.names.clear()
    refused = Client(network, context, 4002, session=session)
    refused.begin()
    while refused.answer():
        pass
    assert network.sessions.counters.failed == 1


def test_a_pinned_certificate_needs_no_authority(
    keys: Keys, certificates: Certificates, authority: Any
) -> None:
    network = Network(keys, certificates=certificates)
    files = authority.self_signed("whoever")
    der = x509.load_pem_x509_certificate(files[0].read_bytes()).public_bytes(Encoding.DER)
    keys.pins[der] = "dev4"
    Client(network, certified(authority, files)).connect().say(b"x")
    assert network.heard_messages[0][1].peer.identity == "dev4"


REFUSED = {
    "of somebody nobody knows": lambda authority, other: authority.issue("stranger"),
    "that is out of date": lambda authority, other: authority.issue("dev3", days=-1, file="old"),
    "of another authority": lambda authority, other: other.issue("dev3"),
    "signed by itself": lambda authority, other: authority.self_signed("dev3"),
    "that was revoked": lambda authority, other: authority.issue("dev3", file="withdrawn"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_certificate_is_refused(keys: Keys, authority: Any, name: str) -> None:
    keys.names.add("dev3")
    other = type(authority)(authority.folder / "other", "Another CA")
    files = REFUSED[name](authority, other)
    revoked = authority.revoke(*[files[0]] if "revoked" in name else [])
    server = Certificates(*authority.issue("localhost"), authority.trust, revoked)
    network = Network(keys, certificates=server)
    with pytest.raises(SSL.Error, match="alert"):
        Client(network, certified(authority, files)).connect()
    assert (network.sessions.counters.failed, len(network.sessions)) == (1, 0)


def test_a_client_without_a_certificate_is_refused(
    keys: Keys, certificates: Certificates, authority: Any
) -> None:
    network = Network(keys, certificates=certificates)
    with pytest.raises(SSL.Error, match="alert"):
        Client(network, psk(suites=WITH_CERTIFICATES[0])).connect()


def test_files_are_read_anew_and_sessions_live_on(keys: Keys, authority: Any, capsys: Any) -> None:
    server = Certificates(*authority.issue("localhost"), authority.trust)
    network = Network(keys, certificates=server)
    keys.names.add("dev3")
    client = Client(network, certified(authority, authority.issue("dev3"))).connect()
    other = type(authority)(authority.folder / "other", "Another CA")
    authority.trust.write_bytes(other.trust.read_bytes())
    client.say(b"still here")
    assert len(network.heard_messages) == 1
    new = DtlsContext(Certificate(*other.issue("dev3"), authority.folder / "localhost.pem"))
    new.context.set_verify(SSL.VERIFY_NONE)
    Client(network, new, 4001).connect()
    authority.trust.write_text("nothing")
    Client(network, new, 4002).connect()
    assert "ca.pem cannot be used as certificate" in capsys.readouterr().out


@pytest.mark.parametrize("field", ["certificate", "key", "trust", "revoked"])
@pytest.mark.parametrize("content", [None, "nonsense"])
def test_a_file_that_cannot_be_used_is_named(
    keys: Keys, authority: Any, field: str, content: str | None
) -> None:
    certificate, key = authority.issue("localhost")
    bad = authority.folder / "bad.pem"
    if content is not None:
        bad.write_text(content)
    files = {"certificate": certificate, "key": key, "trust": authority.trust, field: bad}
    with pytest.raises(SettingsError, match=r"bad\.pem cannot be used as"):
        Network(keys, certificates=Certificates(**files))


def test_a_key_of_another_certificate_is_refused(keys: Keys, authority: Any) -> None:
    certificate, _ = authority.issue("localhost")
    _, key = authority.issue("other")
    with pytest.raises(SettingsError, match=r"other\.key cannot be used as private key"):
        Network(keys, certificates=Certificates(certificate, key))


# --- one client after another ---


def test_a_new_session_takes_the_place_of_the_old_one_when_it_is_complete(network: Network) -> None:
    old = Client(network, psk()).connect()
    old.say(b"old")
    new = Client(network, psk())
    new.begin()
    new.answer()
    old.say(b"still old")
    assert [message for message, _ in network.heard_messages] == [b"old", b"still old"]
    while new.answer():
        pass
    new.say(b"new")
    sources = [source for _, source in network.heard_messages]
    assert [message for message, _ in network.heard_messages] == [b"old", b"still old", b"new"]
    assert sources[0].address == sources[1].address != sources[2].address
    assert network.sessions.counters.replaced == 1
    assert network.lost_addresses == [sources[0].address]
    old.say(b"too late")
    assert len(network.heard_messages) == 3


def test_messages_go_to_the_newest_session_of_an_endpoint_unless_the_peer_is_still_there(
    network: Network,
) -> None:
    first, second = Client(network, psk(), 4000).connect(), Client(network, psk(), 4001).connect()
    first.say(b"x")
    network.sessions.send(b"to first", network.sessions.source(Peer("192.0.2.1", 4000, "coaps", "dev1")))
    network.sessions.send(b"to newest", network.sessions.source(Peer("192.0.2.1", 9, "coaps", "dev1")))
    first.answer()
    second.answer()
    assert (first.heard, second.heard) == ([b"to first"], [b"to newest"])
    with pytest.raises(OSError, match="no DTLS session"):
        network.sessions.source(Peer("192.0.2.1", 4000, "coaps", "dev2"))


def test_all_sessions_of_an_endpoint_can_be_closed(network: Network) -> None:
    clients = [Client(network, psk(), port).connect() for port in (4000, 4001)]
    other = Client(network, psk("dev2", b"l" * 32), 4002).connect()
    network.sessions.close("dev1")
    for client in clients:
        client.answer()
        assert client.dtls.connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN
    other.say(b"still here")
    assert (len(network.sessions), len(network.heard_messages)) == (1, 1)


def test_after_the_end_nothing_is_sent(network: Network) -> None:
    client = Client(network, psk()).connect()
    client.say(b"x")
    source = network.heard_messages[0][1]
    network.sessions.close_all()
    client.answer()
    network.sessions.send(b"too late", source)
    assert network.to_clients == []


def test_nothing_can_be_sealed_before_the_handshake_is_complete(network: Network) -> None:
    with pytest.raises(SessionOver):
        network.engine.accept().seal(b"x")


def test_keys_of_an_established_session_can_leave_the_library(network: Network) -> None:
    client = Client(network, psk(suites=SUITES[0])).connect()
    client.say(b"x")
    (association,) = network.sessions._table.all()
    network.sessions.send(b"y", network.heard_messages[0][1])
    traffic = association.session.traffic()
    assert traffic is not None
    assert traffic.suite == 0xC0A8
    assert (traffic.position, traffic.newest) == ((1 << 48) + 2, (1 << 48) + 1)


def test_keys_of_a_cbc_session_stay_in_the_library(network: Network) -> None:
    Client(network, psk(suites=SUITES[2])).connect()
    (association,) = network.sessions._table.all()
    assert association.session.traffic() is None


# --- networks ---


def test_handshakes_survive_loss_repetition_and_disorder(network: Network) -> None:
    """Many at once, for OpenSSL's clock is the real one: a lost flight takes a second, and twice as long each
    time it is lost again, so that the network is calm after some seconds."""
    dice = random.Random(1)
    calm = time.monotonic() + 5
    clients = [Client(network, psk(), 4000 + number) for number in range(12)]
    outgoing = {client: list(client.dtls.begin()) for client in clients}

    def through(datagrams: list[bytes]) -> list[bytes]:
        if time.monotonic() > calm:
            return datagrams
        arriving = [one for one in datagrams for _ in range(dice.choice((0, 1, 1, 1, 1, 1, 1, 2)))]
        dice.shuffle(arriving)
        return arriving

    start = time.monotonic()
    while len({source.address for _, source in network.heard_messages}) < len(clients):
        assert time.monotonic() < start + 30, "no handshake"
        network.pass_time(time.monotonic() - start - network.now)
        for client, datagrams in outgoing.items():
            for datagram in through(datagrams):
                network.send(datagram, client.address)
            answers = [
                client.dtls.receive(datagram)[0] for datagram in through(network.taken(client.address))
            ]
            outgoing[client] = [*(one for answer in answers for one in answer), *client.dtls.elapse()]
            if client.dtls.established and not outgoing[client]:
                outgoing[client] = [client.dtls.seal(b"made it")]
        time.sleep(0.01)
    assert {message for message, _ in network.heard_messages} == {b"made it"}
    assert network.sessions.counters.established == len(clients)


# --- strangers ---


def test_nothing_bigger_than_what_came_is_said_before_the_cookie(network: Network) -> None:
    client = Client(network, psk())
    (hello,) = client.dtls.begin()
    for number in range(100):
        network.send(hello, ("192.0.2.9", 1000 + number))
    assert all(len(datagram) < len(hello) for datagram, _ in network.to_clients)
    assert (network.sessions.counters.cookies, network.sessions.counters.begun) == (100, 0)


def test_somebody_elses_cookie_is_of_no_use(network: Network) -> None:
    client = Client(network, psk())
    client.begin()
    (request,) = network.taken(client.address)
    (hello,), _ = client.dtls.receive(request)
    network.send(hello, ("192.0.2.66", 4000))
    assert (network.sessions.counters.cookies, network.sessions.counters.begun) == (2, 0)


def test_no_more_handshakes_are_begun_than_may_be_under_way(keys: Keys) -> None:
    network = Network(keys, Limits(handshakes=3))
    for port in range(5):
        client = Client(network, psk(), 4000 + port)
        client.begin()
        (request,) = network.taken(client.address)
        client.put(client.dtls.receive(request)[0])
    assert (network.sessions.counters.begun, network.sessions.counters.refused) == (3, 2)
    network.pass_time(30)
    assert network.sessions.counters.timed_out == 3
    Client(network, psk(), 5000).connect()


def test_one_address_does_not_take_all_handshakes(keys: Keys) -> None:
    network = Network(keys, Limits(handshakes_per_address=2))
    for port in range(4):
        client = Client(network, psk(), 4000 + port)
        client.begin()
        client.answer()
    assert network.sessions.counters.refused == 2
    elsewhere = Client(network, psk())
    elsewhere.address = ("192.0.2.2", 4000)
    elsewhere.connect()


def test_a_slow_handshake_ends_in_time_however_busy_it_looks(network: Network) -> None:
    client = Client(network, psk())
    client.begin()
    client.answer()
    for _ in range(31):
        network.pass_time(1)
        network.send(b"\x16\xfe\xfd" + bytes(8) + b"\0\x0c" + bytes(12), client.address)
    assert network.sessions.counters.timed_out == 1


def test_whoever_was_silent_for_longest_makes_room(keys: Keys) -> None:
    network = Network(keys, Limits(sessions=2))
    first, second = Client(network, psk(), 1).connect(), Client(network, psk(), 2).connect()
    first.say(b"x")
    with capture_logs() as lines:
        Client(network, psk(), 3).connect()
    assert [line["log_level"] for line in lines if "the most silent one" in line["event"]] == ["error"]
    assert (len(network.sessions), network.sessions.counters.displaced) == (2, 1)
    second.answer()
    assert second.dtls.connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN
    first.say(b"y")
    assert len(network.heard_messages) == 2


def test_silence_ends_a_session(keys: Keys) -> None:
    network = Network(keys, Limits(idle=100.0))
    quiet, busy = Client(network, psk(), 1).connect(), Client(network, psk(), 2).connect()
    for _ in range(5):
        network.pass_time(25)
        busy.say(b"x")
    assert (len(network.sessions), network.sessions.counters.idle) == (1, 1)
    quiet.answer()
    assert quiet.dtls.connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN


STRANGE = {
    "of another epoch": b"\x17\xfe\xfd\0\2" + bytes(6) + b"\0\x20" + bytes(32),
    "in clear": b"\x17\xfe\xfd\0\0" + bytes(6) + b"\0\x20" + bytes(32),
    "with a Connection ID": b"\x19\xfe\xfd\0\1" + bytes(6) + b"\0\x20" + bytes(32),
    "of an unknown type": b"\x1a\xfe\xfd\0\1" + bytes(6) + b"\0\x20" + bytes(32),
}


@pytest.mark.parametrize("name", STRANGE)
def test_records_that_belong_nowhere_are_counted_and_dropped(network: Network, name: str) -> None:
    client = Client(network, psk()).connect()
    for _ in range(1000):
        network.send(STRANGE[name], client.address)
    assert network.sessions.counters.strange == 1000
    client.say(b"unimpressed")
    assert network.heard_messages[0][0] == b"unimpressed"


MALFORMED = {
    "nothing": b"",
    "too short": b"\x17\xfe\xfd" + bytes(9),
    "longer than the datagram": b"\x17\xfe\xfd\0\1" + bytes(6) + b"\0\x21" + bytes(32),
    "oversized": b"\x17\xfe\xfd\0\1" + bytes(6) + b"\x48\x01" + bytes(0x4801),
    "TLS": b"\x17\x03\x03\0\1" + bytes(6) + b"\0\x20" + bytes(32),
    "CoAP": b"\x40\x02\x12\x34\xb2rd" + bytes(20),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_record_is_counted_and_dropped(network: Network, name: str) -> None:
    client = Client(network, psk()).connect()
    network.send(MALFORMED[name], client.address)
    assert network.sessions.counters.malformed == 1
    client.say(b"unimpressed")
    assert network.heard_messages[0][0] == b"unimpressed"


FORGED = {
    "data": b"\x17\xfe\xfd\0\1" + bytes(5) + b"\7\0\x20" + bytes(32),
    "a fatal alert in clear": b"\x15\xfe\xfd" + bytes(8) + b"\0\2\2\x28",
    "an alert without the key": b"\x15\xfe\xfd\0\1" + bytes(5) + b"\7\0\x20" + bytes(32),
    "a handshake message in clear": b"\x16\xfe\xfd" + bytes(8) + b"\0\x0c\x10" + bytes(11),
    "a handshake message without the key": b"\x16\xfe\xfd\0\1" + bytes(5) + b"\7\0\x20" + bytes(32),
    "a change of keys": b"\x14\xfe\xfd" + bytes(8) + b"\0\1\1",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_stranger_at_the_address_of_a_client_cannot_end_its_session(network: Network, name: str) -> None:
    client = Client(network, psk()).connect()
    for _ in range(100):
        network.send(FORGED[name], client.address)
    client.say(b"unimpressed")
    assert [message for message, _ in network.heard_messages] == [b"unimpressed"]
    network.sessions.send(b"you, too", network.heard_messages[0][1])
    client.answer()
    assert client.heard == [b"you, too"]


@pytest.mark.parametrize("seed", range(20))
def test_noise_in_a_handshake_or_after_breaks_nothing(keys: Keys, seed: int) -> None:
    network, dice = Network(keys), random.Random(seed)
    client = Client(network, psk())
    flights = [client.dtls.begin()]
    while flights[-1]:
        for datagram in flights[-1]:
            noise = bytearray(datagram)
            for _ in range(dice.randint(1, 4)):
                noise[dice.randrange(len(noise))] = dice.randrange(256)
            network.send(bytes(noise[: dice.randint(1, len(noise))]), client.address)
            network.send(datagram, client.address)
        arrived = network.taken(client.address)
        flights.append(tuple(one for datagram in arrived for one in _taken(client, datagram)))


def _taken(client: Client, datagram: bytes) -> tuple[bytes, ...]:
    try:
        return client.dtls.receive(datagram)[0]
    except SSL.Error:
        # What noise has begun is of no use to the client.
        return ()
