"""The document of a device's credentials: what is read from it, and what is refused by name."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from lwm2m_server.enrolment.document import read_credentials
from lwm2m_server.enrolment.newdevice import read_changes, read_device
from lwm2m_server.enrolment.reading import Faulty
from lwm2m_server.security.credentials import X509, NoSec, Oscore, Psk, Removed, Rpk

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "ff" * 32
PSK = {"endpoint": "dev1", "securityConfigClientMode": "PSK", "identity": "id-1", "key": KEY}


def psk(identity="id-1", key=KEY):
    return Psk(identity, base64.b64encode(bytes.fromhex(key)).decode())


def section(mode="NO_SEC", public="", secret=""):
    return {"securityMode": mode, "clientPublicKeyOrId": public, "clientSecretKey": secret}


def of(client, bootstrap=None, **more):
    value = {"client": client, **({"bootstrap": bootstrap} if bootstrap is not None else {})}
    return {"credentialsType": "LWM2M_CREDENTIALS", "credentialsValue": value, **more}


def read(client, bootstrap=None, **more):
    return read_credentials(of(client, bootstrap, **more), "device-name")


def pair():
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key, base64.b64encode(private).decode(), public


def certificate(key, name="dev1"):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def test_what_an_export_has_is_read_as_object_and_as_text():
    no_sec = {"bootstrapServer": section(), "lwm2mServer": section()}
    document = of(PSK, no_sec, credentialsId="id-1", id={"id": "x"}, createdTime=1, version=3)
    text = {**document, "credentialsValue": json.dumps(document["credentialsValue"])}
    for given in (document, text):
        found = read_credentials(given, "device-name")
        # Sections of mode NO_SEC beside a key say nothing.
        assert (found.endpoint, found.management, found.bootstrap) == ("dev1", psk(), psk())
        assert found.sections == {}
        assert KEY not in repr(found)


def test_the_config_key_fills_the_endpoint_and_of_a_pre_shared_key_the_identity():
    assert read({"endpoint": ""}, credentialsId="key").endpoint == "key"
    assert read({}).endpoint == "device-name"
    filled = read({**PSK, "identity": ""}, credentialsId="id-7")
    assert (filled.endpoint, filled.management.psk_identity) == ("dev1", "id-7")
    assert read({**PSK, "endpoint": None}, credentialsId="id-1").endpoint == "device-name"


def test_keys_for_bootstrap_and_for_management_differ():
    account, managing = section("PSK", "bs", OTHER), section("PSK", "dm", "aa" * 64)
    found = read(PSK, {"bootstrapServer": account, "lwm2mServer": managing})
    assert (found.management, found.bootstrap) == (psk(), psk("bs", OTHER))
    # What is given at bootstrap and is not yet true; that of the account is in its credentials.
    assert found.sections == {"lwm2mServer": managing}
    same = read(PSK, {"bootstrapServer": account, "lwm2mServer": section("PSK", "id-1", KEY)})
    assert same.sections == {}


def test_without_a_bootstrap_section_a_device_does_not_bootstrap():
    assert read(PSK).bootstrap == Removed()
    assert read({}, {}).bootstrap == NoSec()


def test_asymmetric_keys():
    key, private, public = pair()
    der = certificate(key)
    raw = read({"securityConfigClientMode": "RPK", "key": base64.b64encode(public).decode()})
    assert raw.management == Rpk(public)
    pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()
    assert read({"securityConfigClientMode": "X509", "cert": pem}).management == X509(der)
    assert read({"securityConfigClientMode": "X509", "cert": ""}).management == X509()
    text = base64.b64encode(der).decode()
    # The id that other platforms make of a certificate.
    computed = hashlib.sha3_256(text.encode()).hexdigest()
    client = {"securityConfigClientMode": "X509", "cert": text, "endpoint": "dev1"}
    assert read(client, credentialsId=computed).endpoint == "dev1"
    found = read({"endpoint": "a"}, {"lwm2mServer": section("X509", text, private)})
    assert (found.management, found.bootstrap) == (NoSec(), NoSec())
    assert found.sections["lwm2mServer"]["clientSecretKey"] == private


def test_oscore_is_an_extension():
    client = {"securityConfigClientMode": "OSCORE", "recipientId": "01", "senderId": "02"}
    assert isinstance(read({**client, "masterSecret": KEY}).management, Oscore)


def test_generated_keys_are_told_but_for_what_bootstrap_gives():
    client = {"securityConfigClientMode": "PSK", "identity": "a", "generate": True}
    parts = {
        name: {"securityMode": "PSK", "clientPublicKeyOrId": name, "generate": True}
        for name in ("bootstrapServer", "lwm2mServer")
    }
    found = read(client, parts)
    assert set(found.generated) == {"client", "bootstrap.bootstrapServer"}
    assert found.management.key.hex() == found.generated["client"]
    assert found.bootstrap.key.hex() == found.generated["bootstrap.bootstrapServer"]
    assert len(bytes.fromhex(found.sections["lwm2mServer"]["clientSecretKey"])) == 16


KEYS = pair()
_, STRANGE, _ = pair()


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (of({**PSK, "key": KEY[:-1]}), "client.key"),
        (of({**PSK, "key": "zz"}), "client.key"),
        (of({**PSK, "key": "aa" * 65}), "client"),
        (of({**PSK, "key": ""}), "client.key"),
        (of({**PSK, "key": None}), "client.key"),
        (of({**PSK, "identity": ""}), "client.identity"),
        (of({**PSK, "identity": "x" * 129}), "client"),
        (of({**PSK, "cert": "x"}), "client.cert"),
        (of({**PSK, "generate": True}), "client.generate"),
        (of({**PSK, "secret": KEY}), "client.secret"),
        (of({"endpoint": 7}), "client.endpoint"),
        (of({"securityConfigClientMode": "EST"}), "client.securityConfigClientMode"),
        (of({"key": KEY}), "client.key"),
        (of([]), "client"),
        (of(PSK, credentialsId="other"), "credentials.credentialsId"),
        (of({"endpoint": "a"}, credentialsId="b"), "credentials.credentialsId"),
        (of(PSK, {"lwm2mServer": section("NO_SEC", "x")}), "bootstrap.lwm2mServer.clientPublicKeyOrId"),
        (of(PSK, {"lwm2mServer": section("PSK", "x", "abc")}), "bootstrap.lwm2mServer.clientSecretKey"),
        (of(PSK, {"lwm2mServer": section("PSK", "", KEY)}), "bootstrap.lwm2mServer.clientPublicKeyOrId"),
        (of(PSK, {"lwm2mServer": section("EST")}), "bootstrap.lwm2mServer.securityMode"),
        (of(PSK, {"acl": {}}), "bootstrap.acl"),
        (
            of({}, {"bootstrapServer": section("RPK", base64.b64encode(KEYS[2]).decode(), STRANGE)}),
            "bootstrap.bootstrapServer.clientSecretKey",
        ),
        ({"credentialsType": "ACCESS_TOKEN"}, "credentials.credentialsType"),
        ({"credentialsValue": "{"}, "credentialsValue"),
        ({"credentialsValue": [KEY]}, "credentialsValue"),
        ({"key": KEY}, "credentials.key"),
        (KEY, "credentials"),
    ],
)
def test_what_is_wrong_is_told_by_its_place_and_without_a_secret(document, place):
    with pytest.raises(Faulty) as told:
        read_credentials(document, "device-name")
    assert place in told.value.told
    assert KEY not in str(told.value)
    assert STRANGE not in str(told.value)


def test_a_device_in_both_forms():
    body = {"name": "d1", "label": "red", "labels": ["a:b"], "transportType": "LWM2M", "profile": "p"}
    found = read_device({**body, "credentials": of(PSK), "groups": ["g"]})
    assert (found.name, found.node_id, found.profile) == ("d1", "dev1", "p")
    assert (found.labels, found.groups) == (("red", "a:b"), ("g",))
    apart = {"device": {"name": "d1", "type": "p", "deviceData": {}}, "credentials": of(PSK)}
    assert read_device(apart).profile == "p"
    assert read_device({"name": "d1"}).credentials.management == NoSec()
    with pytest.raises(Faulty) as told:
        read_device({"nam": "d1", "transportType": "MQTT", "labels": [7], "credentials": of({"key": KEY})})
    assert set(told.value.told) == {"nam", "name", "transportType", "labels", "client.key"}


def test_changes():
    changes = read_changes({"labels": ["x"]}, "d1", "ep", whole=False)
    assert (changes.labels, changes.profile, changes.credentials) == (("x",), None, None)
    whole = read_changes({"name": "d1"}, "d1", "ep", whole=True)
    assert (whole.labels, whole.profile) == ((), (None,))
    with pytest.raises(Faulty, match="cannot be renamed"):
        read_changes({"name": "d2"}, "d1", "ep", whole=False)
