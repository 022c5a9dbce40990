"""This server as entries of ``bootstrap``: what an editor can copy is what a profile can be."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lwm2m_engine.errors import SettingsError
from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.profiles.checks import versions_of
from lwm2m_server.profiles.defaults import defaults_of
from lwm2m_server.profiles.document import read
from lwm2m_server.settings import DtlsSettings

VERSIONS = versions_of(Catalog.bundled())
BOUND = {
    "coap": ("127.0.0.1:5683",),
    "coaps": ("0.0.0.0:5684",),
    "bootstrap_coap": ("[::1]:5687",),
    "bootstrap_coaps": ("[::]:5688",),
}


@pytest.fixture
def raw_key(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "raw.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return file, base64.b64encode(spki).decode()


def shown(entries):
    return [
        (one["bootstrapServerIs"], one["securityMode"], one["host"], one["port"], one["shortServerId"])
        for one in entries
    ]


def test_each_way_to_the_server_is_an_entry(raw_key, authority):
    certificate, key = authority.issue("server")
    settings = DtlsSettings(certificate=certificate, certificate_key_file=key, raw_public_key_file=raw_key[0])
    entries = defaults_of(settings, BOUND)("lwm2m.example.com")
    here, asked = "127.0.0.1", "lwm2m.example.com"
    assert shown(entries) == [
        (False, "NO_SEC", here, 5683, 123),
        (False, "PSK", asked, 5684, 123),
        (False, "RPK", asked, 5684, 123),
        (False, "X509", asked, 5684, 123),
        (True, "NO_SEC", "::1", 5687, None),
        (True, "PSK", asked, 5688, None),
        (True, "RPK", asked, 5688, None),
        (True, "X509", asked, 5688, None),
    ]
    assert entries[2]["serverPublicKey"] == raw_key[1]
    for entry in entries:
        draft = read({"bootstrapServerUpdateEnable": True, "bootstrap": [entry]}, VERSIONS)
        assert draft.data["transportConfiguration"]["bootstrap"] == [entry]
        assert draft.notes == ()


def test_keys_are_not_read_where_nobody_needs_them(tmp_path):
    settings = DtlsSettings(raw_public_key_file=tmp_path / "none.pem")
    assert len(defaults_of(settings, {"coap": ("127.0.0.1:5683",)})("")) == 1
    with pytest.raises(SettingsError, match=r"none\.pem"):
        defaults_of(settings, BOUND)
