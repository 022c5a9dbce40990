"""The credentials store on a real ledger: durable, sealed, unique, and asked from memory."""

import datetime
import json
import sqlite3

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.errors import RequestError, SettingsError
from lwm2m_server.security.admission import Admission
from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.credentials import X509, BadCredentials, NoSec, Oscore, Psk, Removed, Rpk
from lwm2m_server.security.opening import open_credentials
from lwm2m_server.security.store import Credentials
from lwm2m_server.security.vault import Vault
from lwm2m_server.settings import CredentialSettings, Settings
from lwm2m_server.store import schema
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource

VAULT = Vault(bytes(32), "test")
SECRET = "c2VjcmV0IG9mIGEgZGV2aWNl"
CONTEXT = Oscore(b"\xfe\xdc", b"\x01", b"1234567890", b"0987654321")


def certificate(name):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), 1, now, now + datetime.timedelta(days=1)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def public_key():
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def node(id, name=None, node_id=None, tenant="main"):
    name = name or f"dev{id}"
    return Resource(
        id, tenant, 1 if tenant == "main" else 2, name, 14, "m2m:nod", {"ni": node_id or f"urn:dev:{id}"}, id
    )


class Site:
    def __init__(self, path):
        self.path = path
        self.open()

    def open(self, vault=VAULT):
        self.ledger = SqliteLedger(self.path)
        self.credentials = Credentials(self.ledger, vault, CertificateNames())
        self.closed = []
        for side in ("management", "bootstrap"):
            self.credentials.on_change(side, lambda endpoint, side=side: self.closed.append((side, endpoint)))
        self.known = self.credentials.identities("management")
        self.admission = Admission(self.known)

    def restart(self, vault=VAULT):
        self.ledger.close()
        self.open(vault)

    def device(self, id):
        return self.ledger.reader.device(id)

    async def put(self, id, credential, side="management", endpoint=None):
        device = self.device(id)

        async def commit():
            return await self.ledger.commit(
                lambda tx: self.credentials.write(tx, device, side, credential, endpoint)
            )

        await self.credentials.kept(id, commit())


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "ledger.db")
    site.ledger.run(lambda tx: [tx.put(node(id)) for id in (10, 20, 30)])
    yield site
    site.ledger.close()


ALL = [
    Psk("identity", SECRET),
    Psk(None, SECRET),
    Psk("identity", None),
    Rpk(public_key()),
    X509(),
    X509(certificate("any")),
    CONTEXT,
    Removed(),
]


@pytest.mark.parametrize("credential", ALL, ids=lambda one: one.mode)
@pytest.mark.parametrize("side", ["management", "bootstrap"])
async def test_credentials_survive_a_restart(site, credential, side):
    await site.put(10, credential, side)
    assert site.credentials.find(10, side) == credential
    site.restart()
    assert site.credentials.find(10, side) == credential
    assert site.credentials.find(20, "management") == NoSec()
    assert site.credentials.find(20, "bootstrap") == Removed()


async def test_handshakes_find_the_endpoint(site):
    key, pinned = public_key(), certificate("whoever")
    await site.put(10, Psk("identity", SECRET))
    await site.put(20, Rpk(key), endpoint="urn:own:20")
    await site.put(30, CONTEXT)
    for _ in range(2):
        known = site.known
        assert known.psk(b"identity").endpoint == "dev10"
        assert known.psk(b"identity").key == b"secret of a device"
        assert known.raw_public_key(key) == "urn:own:20"
        assert known.oscore(b"\xfe\xdc") == "dev30"
        assert known.oscore_of("dev30") == (30, CONTEXT)
        for nothing in (known.psk(b"x"), known.psk(b"\xff"), known.raw_public_key(b"x"), known.oscore(b"")):
            assert nothing is None
        site.restart()
    await site.put(20, X509(pinned))
    assert site.known.raw_public_key(key) is None
    assert site.known.certificate(pinned) == site.known.pinned(pinned) == "dev20"
    assert site.credentials.identities("bootstrap").psk(b"identity") is None


async def test_a_trusted_authority_names_only_devices_that_may_have_any_certificate(site):
    await site.put(10, X509())
    await site.put(20, X509(certificate("own")))
    await site.put(30, Psk("dev30", SECRET))
    assert site.known.certificate(certificate("dev10")) == "dev10"
    assert site.known.pinned(certificate("dev10")) is None
    for stranger in ("dev20", "dev30", "dev40"):
        assert site.known.certificate(certificate(stranger)) is None


async def test_without_a_key_nobody_is_anybody(site):
    await site.put(10, Psk("identity", None))
    assert site.known.psk(b"identity") is None


async def test_an_identity_belongs_to_one_device_of_a_side(site):
    """SST-1 to SST-4."""
    for first, clash, other in [
        (Psk("one", SECRET), Psk("one", "AAAA"), Psk("two", SECRET)),
        (CONTEXT, Oscore(b"\xfe\xdc", b"\x02", b"other"), Oscore(b"\xaa", b"\x01", b"other")),
    ]:
        await site.put(10, first)
        with pytest.raises(Conflict, match="security identity"):
            await site.put(20, clash)
        assert site.credentials.find(20, "management") == NoSec()
        await site.put(20, clash, "bootstrap")
        # What it had is free as soon as it has another.
        await site.put(10, other)
        await site.put(20, clash)
        await site.put(20, NoSec())
        await site.put(20, Removed(), "bootstrap")
        assert site.known.of_node(20) is None


async def test_the_endpoint_name_belongs_to_one_device(site):
    site.ledger.run(lambda tx: [tx.put(node(40, "dev10", tenant="other")), tx.bind_endpoint(30, "bound")])
    await site.put(10, Psk("10", SECRET))
    assert site.known.psk(b"10").endpoint == "dev10"
    await site.put(40, Psk("40", SECRET))
    assert site.known.psk(b"40").endpoint == "urn:dev:40", "the name is the older device's"
    await site.put(30, Psk("30", SECRET))
    assert site.known.psk(b"30").endpoint == "bound"
    for taken in ("dev10", "bound"):
        with pytest.raises(Conflict, match="endpoint name"):
            await site.put(20, Psk("20", SECRET), endpoint=taken)


async def test_sessions_are_closed_when_credentials_change_or_go(site):
    # Somebody may have proved the name by what a rule for newcomers lets it prove.
    await site.put(10, Psk("one", SECRET))
    await site.put(10, Psk("one", SECRET), "bootstrap")
    assert site.closed == [("management", "dev10"), ("bootstrap", "dev10")]
    site.closed.clear()
    await site.put(10, Psk("one", "AAAA"))
    await site.put(10, Removed())
    await site.put(10, Removed(), "bootstrap")
    assert site.closed == [("management", "dev10")] * 2 + [("bootstrap", "dev10")]
    await site.put(20, Psk("two", SECRET))

    async def remove():
        await site.ledger.commit(lambda tx: tx.remove(20))

    await site.credentials.kept(20, remove())
    assert site.closed[-1] == ("management", "dev20")
    assert site.known.psk(b"two") is None


async def test_what_could_not_be_stored_changes_nothing(site):
    await site.put(10, Psk("one", SECRET))
    site.closed.clear()
    with pytest.raises(BadCredentials):
        await site.put(10, Psk("x" * 200, SECRET))
    assert site.known.psk(b"one") is not None
    assert (site.closed, site.known.changing) == ([], set())


async def test_whoever_sends_a_register_must_be_the_device(site):
    await site.put(10, Psk("one", SECRET))
    await site.put(20, Removed())

    def code(endpoint, node, identity=None):
        try:
            site.admission.check(endpoint, node, Peer("h", 1, "coaps" if identity else "coap", identity))
        except RequestError as refusal:
            return refusal.code
        return None

    assert code("dev10", 10, "dev10") is None
    assert code("urn:dev:10", 10, "dev10") is None, "another name of the same device"
    assert code("dev10", 10) == Code.FORBIDDEN
    assert code("dev20", 20) == Code.FORBIDDEN
    assert code("dev30", 30) is None
    assert code("new", None) is None
    assert code("dev30", 30, "dev10") == Code.FORBIDDEN
    assert code("new", None, "dev10") == Code.FORBIDDEN
    assert code("dev10", 10, "gone") == Code.FORBIDDEN
    site.known.changing.add(10)
    assert code("dev10", 10, "dev10") == Code.SERVICE_UNAVAILABLE


def registers(site, endpoint, identity):
    """Whether the device on node 10 is let in. Without a name it has that of its credentials: see
    ``test_cases_identity``."""
    try:
        site.admission.check(endpoint, 10, Peer("h", 1, "coaps", identity))
    except RequestError:
        return False
    return True


async def test_rpk_1_to_5_a_device_is_whose_key_it_has(site):
    """The handshakes: ``tests/interop/test_dtls_raw_keys.py``."""
    key = public_key()
    await site.put(10, Rpk(key))
    another = public_key()
    await site.put(20, Rpk(another))
    assert site.known.raw_public_key(key) == "dev10"
    assert registers(site, "dev10", "dev10")
    assert site.known.raw_public_key(public_key()) is None
    assert not registers(site, "dev10", site.known.raw_public_key(another))
    await site.put(10, Removed())
    assert site.known.raw_public_key(key) is None
    assert not registers(site, "dev10", "dev10")


async def test_rx_1_and_2_each_device_has_one_way_to_prove_itself(site):
    """The same port takes both, but nobody passes for a device with a key by a certificate in its name."""
    key = public_key()
    await site.put(10, Rpk(key))
    await site.put(20, X509())
    assert site.known.certificate(certificate("dev10")) is None
    assert site.known.certificate(certificate("dev20")) == "dev20"
    assert site.known.raw_public_key(key) == "dev10"


async def test_x509_base_the_name_in_the_certificate_is_the_device(site):
    """What the libraries refuse: ``test_a_certificate_is_refused`` and its like over TLS."""
    await site.put(10, X509())
    assert site.known.certificate(certificate("dev10")) == "dev10"
    assert registers(site, "dev10", "dev10")
    assert not registers(site, "dev10", "dev20")
    assert site.known.certificate(certificate("dev1")) is None
    pinned = certificate("dev10")
    await site.put(10, X509(pinned))
    assert site.known.certificate(pinned) == "dev10"
    assert site.known.certificate(certificate("dev10")) is None, "of the same name is not the same"
    await site.put(10, Removed())
    assert site.known.certificate(pinned) is None
    assert not registers(site, "dev10", "dev10")


async def test_the_wrong_key_is_told_at_start(site):
    await site.put(10, Psk("one", SECRET))
    with pytest.raises(SettingsError, match=r"key_file: elsewhere is not the key .*restore that file"):
        site.restart(Vault(b"\1" * 32, "elsewhere"))
    site.ledger.close()
    site.open()
    assert site.known.psk(b"one") is not None


async def test_no_secret_is_in_any_file(site):
    await site.put(10, Psk("identity-of-10", SECRET))
    await site.put(20, CONTEXT)
    site.ledger.close()
    stored = b"".join(file.read_bytes() for file in site.path.parent.iterdir())
    assert b"identity-of-10" in stored
    for secret in (SECRET.encode(), b"secret of a device", b"1234567890", b"MTIzNDU2Nzg5MA"):
        assert secret not in stored
    site.open()


def test_a_key_is_made_once_and_never_in_place_of_a_lost_one(tmp_path, capsys):
    settings = Settings(data=tmp_path)
    ledger = SqliteLedger(tmp_path / "ledger.db")
    open_credentials(settings, ledger)
    file = tmp_path / "credentials.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "made a key" in (told := capsys.readouterr().out)
    assert file.read_text().strip() not in told
    open_credentials(settings, ledger)
    assert capsys.readouterr().out == ""
    file.unlink()
    open_credentials(settings, ledger)
    ledger.run(lambda tx: tx.put(node(10)))
    first = open_credentials(settings, ledger)
    ledger.run(lambda tx: first.write(tx, tx.device(10), "management", Psk("one", SECRET)))
    file.rename(tmp_path / "moved.key")
    with pytest.raises(SettingsError, match="is missing"):
        open_credentials(settings, ledger)
    assert not file.exists()
    elsewhere = CredentialSettings(key_file=tmp_path / "moved.key")
    open_credentials(Settings(data=tmp_path, credentials=elsewhere), ledger)
    with pytest.raises(SettingsError, match=r"key_file: .*nowhere: No such file"):
        open_credentials(
            Settings(data=tmp_path, credentials=CredentialSettings(key_file=tmp_path / "nowhere")), ledger
        )
    ledger.close()


def test_secrets_of_older_ledgers_are_sealed(tmp_path, capsys):
    path = tmp_path / "ledger.db"
    schema.prepare(path, steps=schema.STEPS[:5])
    with sqlite3.connect(path) as old:
        for id, name, endpoint, crid, crse in [
            (10, "dev10", None, "id-10", SECRET),
            (20, "dev20", "bound", None, "test123"),
            (30, "dev30", None, "id-30", None),
            (40, "dev10", None, "id-40", "x" * 80),
            (50, "dev50", None, None, None),
        ]:
            old.execute(
                "INSERT INTO device (node, tenant, name, ni, ni_key, endpoint, identity)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (id, f"t{id}", name, f"urn:{id}", f"urn:{id}", endpoint, crid),
            )
            crds = {"crid": crid, "crse": crse}
            attributes = {"dc": "cred", **{name: value for name, value in crds.items() if value}}
            old.execute(
                "INSERT INTO resource VALUES (?, ?, ?, 'credentials', 13, 'm2m:crds', ?, 1)",
                (id + 1, f"t{id}", id, json.dumps(attributes)),
            )
        old.execute("INSERT INTO device (node, tenant, name) VALUES (60, 't', 'dev60')")
    old.close()
    site = Site(path)
    found = {id: site.credentials.find(id, "management") for id in range(10, 70, 10)}
    assert found == {
        10: Psk("id-10", SECRET),
        20: Psk(None, "test123"),
        30: Psk("id-30", None),
        40: Psk("id-40", "x" * 80),
        50: NoSec(),
        60: Removed(),
    }
    assert site.known.psk(b"id-10").endpoint == "dev10"
    assert site.known.psk(b"id-40").endpoint == "urn:40"
    assert site.ledger.reader.resource(11).attributes == {"dc": "cred"}
    assert site.device(20).endpoint == "bound"
    assert "sealed now; delete its copy" in capsys.readouterr().out
    site.ledger.close()
    now = b"".join(file.read_bytes() for file in tmp_path.iterdir() if ".v5." not in file.name)
    assert SECRET.encode() not in now
    assert b"test123" not in now
    site.open()
    assert capsys.readouterr().out == ""
    assert site.credentials.find(10, "management") == Psk("id-10", SECRET)
    site.ledger.close()
