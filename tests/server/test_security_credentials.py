"""What can be credentials, and what of them is ever shown."""

import base64
import datetime

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from lwm2m_engine.errors import SettingsError
from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.credentials import (
    X509,
    BadCredentials,
    NoSec,
    Oscore,
    Psk,
    Removed,
    Rpk,
    assemble,
    check,
    identity_of,
    public_part,
    secret_part,
)
from lwm2m_server.security.forms import from_json, to_json
from lwm2m_server.store.records import SealedCredential

KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate(*alternatives, name="dev1"):
    """``name`` is the Common Name, or all parts of the subject."""
    now = datetime.datetime.now(datetime.UTC)
    if isinstance(name, str):
        name = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    subject = x509.Name(name)
    builder = x509.CertificateBuilder(
        subject, subject, KEY.public_key(), 1, now, now + datetime.timedelta(days=1)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(KEY, hashes.SHA256())


CERTIFICATE = certificate().public_bytes(Encoding.DER)
SECRET = b"a secret nobody may see"
TEXT = base64.b64encode(SECRET).decode()
ALL = [
    NoSec(),
    Removed(),
    Psk("id", TEXT),
    Psk(None, TEXT),
    Psk("id", None),
    Psk("id", "test123"),
    Rpk(SPKI),
    X509(),
    X509(CERTIFICATE),
    Oscore(b"\x01", b"", SECRET),
    Oscore(b"\x01", b"\x02", SECRET, b"salt", b"context"),
]


@pytest.mark.parametrize("credential", ALL, ids=lambda one: one.mode)
def test_public_and_secret_part_are_the_whole(credential):
    check(credential)
    assert assemble(credential.mode, public_part(credential), secret_part(credential)) == credential
    shown = f"{credential!r} {public_part(credential)} {identity_of(credential)!r}"
    for secret in (SECRET.decode(), TEXT, SECRET.hex(), "test123"):
        assert secret not in shown


def test_a_key_is_base64_or_the_text_itself():
    assert Psk("id", "dGVzdDEyMw==").key == Psk("id", "test123").key == b"test123"
    assert Psk("id", None).key is None


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        (Psk("", "AAAA"), "1 to 128 bytes"),
        (Psk("ü" * 65, "AAAA"), "1 to 128 bytes"),
        (Psk("id", ""), "1 to 64 bytes"),
        (Psk("id", "x" * 65), "1 to 64 bytes"),
        (Rpk(b"no key"), "SubjectPublicKeyInfo"),
        (
            Rpk(
                rsa.generate_private_key(65537, 1024)
                .public_key()
                .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            ),
            "elliptic curve",
        ),
        (X509(b"no certificate"), "no X.509 certificate"),
        (Oscore(b"", b"\x01", SECRET), "recipientId is empty"),
        (Oscore(b"12345678", b"\x01", SECRET), "at most 7"),
        (Oscore(b"\x01", b"\x01", SECRET), "are the same"),
        (Oscore(b"\x01", b"\x02", b""), "masterSecret is empty"),
        (Oscore(b"\x01", b"\x02", SECRET, aead=24), "only AES-CCM-16-64-128"),
    ],
)
def test_what_could_not_be_used_is_refused(credential, words):
    with pytest.raises(BadCredentials, match=words) as refusal:
        check(credential)
    assert "secret" not in str(refusal.value).replace("masterSecret", "")


OSCORE = {"mode": "oscore", "recipientId": "01", "senderId": "02", "masterSecret": SECRET.hex()}


@pytest.mark.parametrize(
    ("document", "credential"),
    [
        ({"mode": "nosec"}, NoSec()),
        ({"mode": "psk", "identity": "id", "key": TEXT}, Psk("id", TEXT)),
        ({"mode": "rpk", "publicKey": base64.b64encode(SPKI).decode()}, Rpk(SPKI)),
        (
            {
                "mode": "rpk",
                "publicKey": KEY.public_key()
                .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                .decode(),
            },
            Rpk(SPKI),
        ),
        ({"mode": "x509"}, X509()),
        ({"mode": "x509", "certificate": certificate().public_bytes(Encoding.PEM).decode()}, None),
        ({"mode": "x509", "certificate": base64.encodebytes(CERTIFICATE).decode()}, X509(CERTIFICATE)),
        (OSCORE, Oscore(b"\x01", b"\x02", SECRET)),
        ({**OSCORE, "masterSalt": "0a", "idContext": "0b"}, Oscore(b"\x01", b"\x02", SECRET, b"\n", b"\x0b")),
    ],
)
def test_what_json_says(document, credential):
    read, endpoint = from_json({**document, "endpoint": "urn:dev:1"})
    assert endpoint == "urn:dev:1"
    assert from_json(document)[1] is None
    if credential is not None:
        assert read == credential


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "mode: one of nosec, psk"),
        ([], "mode"),
        ({}, "mode"),
        ({"mode": "none"}, "mode"),
        ({"mode": ["psk"]}, "mode"),
        ({"mode": "psk", "key": TEXT}, "identity: a text"),
        ({"mode": "psk", "identity": "a\0b", "key": TEXT}, "identity: a text"),
        ({"mode": "psk", "identity": "id"}, "key: base64"),
        ({"mode": "psk", "identity": "id", "key": SECRET.decode()}, "key: base64"),
        ({"mode": "psk", "identity": "id", "key": 5}, "key: base64"),
        ({"mode": "psk", "identity": "id", "key": ""}, "1 to 64 bytes"),
        ({"mode": "psk", "identity": "id", "key": TEXT, "keyHex": "00"}, "'keyHex' is none of"),
        ({"mode": "nosec", "endpoint": ""}, "endpoint: a text"),
        ({"mode": "rpk", "publicKey": "-----BEGIN PUBLIC KEY-----"}, "publicKey: PEM or base64"),
        ({"mode": "x509", "certificate": "-----BEGIN CERTIFICATE-----"}, "certificate: PEM or base64"),
        ({**OSCORE, "masterSecret": SECRET.decode()}, "masterSecret: hexadecimal"),
    ],
)
def test_what_json_cannot_say(document, words):
    with pytest.raises(BadCredentials) as refusal:
        from_json(document)
    assert words in str(refusal.value)
    assert SECRET.decode() not in str(refusal.value)
    assert TEXT not in str(refusal.value)


@pytest.mark.parametrize("credential", ALL, ids=lambda one: one.mode)
def test_what_is_shown_says_that_a_secret_is_set_and_not_which(credential):
    secret = secret_part(credential)
    row = SealedCredential(
        1, "management", credential.mode, "dev1", None, public_part(credential), secret and b"sealed"
    )
    shown = to_json(row, "management")
    assert shown["mode"] == credential.mode
    assert shown.get("keySet", shown.get("masterSecretSet", False)) is (secret is not None)
    assert to_json(None, "management") == {"mode": "nosec"}
    assert to_json(None, "bootstrap") == {"mode": "none"}
    assert "sealed" not in repr(shown)


def test_the_names_in_a_certificate():
    names_of = CertificateNames()
    both = certificate(
        x509.UniformResourceIdentifier("urn:dev:ops:32473-Refrigerator-5002"),
        x509.DNSName("dev1.example.org"),
        x509.RFC822Name("someone@example.org"),
    )
    assert list(names_of(both.public_bytes(Encoding.DER))) == [
        "dev1",
        "urn:dev:ops:32473-Refrigerator-5002",
        "dev1.example.org",
    ]
    assert list(names_of(CERTIFICATE)) == ["dev1"]
    nameless = certificate(x509.UniformResourceIdentifier("urn:dev:7"), name="")
    assert list(names_of(nameless.public_bytes(Encoding.DER))) == ["urn:dev:7"]


@pytest.mark.parametrize(
    "name",
    [
        "urn:dev:ops:32473-Refrigerator-5002",
        'a, b+c="d"',
        "James \\22Jim\\22 Smith, III",
        "Lu\u010di\u0107",
        "#04024869",
    ],
)
def test_cn_1_a_common_name_is_taken_as_it_is_wherever_in_the_subject(name):
    """Distinguished names are never written as texts and parsed again: nothing in one is special."""
    common, serial = (
        x509.NameAttribute(NameOID.COMMON_NAME, name),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "P123456"),
    )
    unit = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CN=other")])
    for parts in ([common], [serial, common], [unit, x509.RelativeDistinguishedName([common, serial])]):
        der = certificate(name=parts).public_bytes(Encoding.DER)
        assert list(CertificateNames()(der)) == [name]


def test_patterns_say_where_the_name_is():
    both = certificate(
        x509.UniformResourceIdentifier("urn:dev:ops:32473-7"),
        x509.UniformResourceIdentifier("urn:other:9"),
        x509.DNSName("m7.devices.example.org"),
        name="meter m7 of example",
    ).public_bytes(Encoding.DER)

    def names(*patterns):
        return list(CertificateNames(patterns)(both))

    assert names("URI=urn:dev:ops:{endpoint}") == ["32473-7"]
    assert names("DNS={endpoint}.devices.example.org", "CN=meter {endpoint} of example") == ["m7", "m7"]
    assert names("DNS={endpoint}.devices.example") == []
    assert names("CN=meter m7 of example{endpoint}") == []
    assert names("URI=urn:other:{endpoint}", "CN={endpoint}") == ["9", "meter m7 of example"]


@pytest.mark.parametrize(
    "pattern", ["", "CN", "O={endpoint}", "CN=x", "URI={endpoint}{endpoint}", "{endpoint}"]
)
def test_what_is_no_pattern_is_told(pattern):
    with pytest.raises(SettingsError, match=r"dtls\.names.*is no pattern"):
        CertificateNames([pattern])


def test_credentials_cannot_be_changed():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Psk("id", TEXT).text = "x"
