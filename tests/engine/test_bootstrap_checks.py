"""What a client would refuse, or be lost with, is said before a configuration is kept."""

from __future__ import annotations

from base64 import b64encode

import pytest

from lwm2m_engine.bootstrap import der
from lwm2m_engine.bootstrap.checks import check
from lwm2m_engine.bootstrap.template import config_of

NOSEC = {"0": "coap://dm.example.com:5683", "1": False, "2": 3, "10": 123}
PSK = {
    "0": "coaps://dm.example.com",
    "1": False,
    "2": 0,
    "3": {"text": "dev"},
    "5": {"hex": "00" * 16},
    "10": 123,
}
SERVER = {"0": 123, "1": 300, "6": True, "7": "U"}
BOOTSTRAP = {"0": "coap://bs.example.com:5687", "1": True, "2": 3}

CERTIFICATE = bytes.fromhex("3009300030000303000000")
PRIVATE_KEY = bytes.fromhex("300702010030000400")
PUBLIC_KEY = bytes.fromhex("300730000303000000")


def base64(data):
    return b64encode(data).decode()


@pytest.fixture
def faults(catalog):
    def faults(write, **more):
        config = config_of({"write": write, **more}, "dev1", lambda name: b"k" * 16, catalog)
        try:
            check(config, catalog)
        except ExceptionGroup as group:
            return [(str(fault.path), fault.reason) for fault in group.exceptions]
        return []

    return faults


def test_sound_configurations(faults):
    assert faults({"/0/0": BOOTSTRAP, "/0/1": NOSEC, "/1/0": SERVER}) == []
    assert faults({"/0/1": PSK, "/1/0": SERVER}) == []


def test_several_servers_of_anybody_on_any_port(faults):
    third = NOSEC | {"0": "coap://[2001:db8::1]:61616", "10": 7}
    assert faults({"/0/1": NOSEC, "/0/2": third, "/1/0": SERVER, "/1/1": SERVER | {"0": 7}}) == []


def test_server_objects_alone(faults):
    assert faults({"/1/0": SERVER}) == []


def test_security_resources_of_every_version(faults):
    more = {
        "6": 3,
        "9": "+491234",
        "11": 5,
        "12": 60,
        "14": "dm",
        "16": {"0": 49320},
        "18": {"0": 23},
        "22": 1,
    }
    more |= {"25": {"0": "coap://second.example.com"}, "28": 1, "30": "app"}
    assert faults({"/0/1": NOSEC | more, "/1/0": SERVER | {"26": 1, "27": 0, "25": {"0": "1.2"}}}) == []


def test_apn_and_oscore_that_are_written_too(faults):
    oscore = {"0": {"hex": "01" * 16}, "1": {"text": "s"}, "2": {"text": "r"}}
    write = {"/0/1": NOSEC | {"17": "21:0"}, "/21/0": oscore, "/1/0": SERVER | {"10": "11:0"}}
    write |= {"/11/0": {"0": "main", "1": "internet"}}
    assert [place for place, _ in faults(write) if not place.startswith("/11")] == []


@pytest.mark.parametrize(
    ("write", "place", "reason"),
    [
        ({}, "write", "nothing is written"),
        ({"/0/1": NOSEC | {"0": ""}, "/1/0": SERVER}, "/0/1/0", "empty"),
        ({"/0/1": NOSEC | {"0": "http://dm"}, "/1/0": SERVER}, "/0/1/0", "scheme"),
        ({"/0/1": NOSEC | {"0": "coap://:5683"}, "/1/0": SERVER}, "/0/1/0", "no host"),
        ({"/0/1": NOSEC | {"0": "coap://dm:99999"}, "/1/0": SERVER}, "/0/1/0", "port"),
        ({"/0/1": NOSEC | {"0": "coaps://dm"}, "/1/0": SERVER}, "/0/1/0", "begins with coap or"),
        ({"/0/1": PSK | {"0": "coap://dm"}, "/1/0": SERVER}, "/0/1/0", "begins with coaps or"),
        ({"/0/1": NOSEC | {"5": {"hex": "00"}}, "/1/0": SERVER}, "/0/1/5", "there is no key"),
        ({"/0/1": PSK | {"3": ""}, "/1/0": SERVER}, "/0/1/3", "there is an identity"),
        ({"/0/1": PSK | {"3": {"hex": "ff"}}, "/1/0": SERVER}, "/0/1/3", "UTF-8"),
        ({"/0/1": PSK | {"5": ""}, "/1/0": SERVER}, "/0/1/5", "not 0"),
        ({"/0/1": PSK | {"5": {"hex": "00" * 65}}, "/1/0": SERVER}, "/0/1/5", "not 65"),
        ({"/0/1": NOSEC | {"10": 0}, "/1/0": SERVER}, "/0/1/10", "Short Server ID"),
        ({"/0/1": NOSEC | {"10": 65535}, "/1/0": SERVER}, "/0/1/10", "Short Server ID"),
        ({"/0/1": NOSEC, "/0/2": NOSEC, "/1/0": SERVER}, "/0/2/10", "given twice"),
        ({"/0/1": NOSEC, "/1/0": SERVER, "/1/1": SERVER}, "/1/1/0", "given twice"),
        ({"/0/1": NOSEC, "/1/0": SERVER | {"0": 7}}, "/1/0/0", "no account"),
        ({"/0/1": NOSEC, "/0/2": NOSEC | {"10": 7}, "/1/0": SERVER}, "/0/2/10", "no Instance of object 1"),
        ({"/0/0": BOOTSTRAP, "/0/1": BOOTSTRAP, "/0/2": NOSEC, "/1/0": SERVER}, "/0/1", "one account"),
        ({"/0/1": {"0": "coap://dm", "1": False, "10": 123}, "/1/0": SERVER}, "/0/1/2", "mandatory"),
        ({"/1/0": {"0": 123, "6": True, "7": "U"}}, "/1/0", "Lifetime (resource 1) is mandatory"),
        ({"/0/1": NOSEC | {"17": "21:0"}, "/1/0": SERVER}, "/0/1/17", "deleted and not written"),
        ({"/1/0": SERVER | {"10": "11:0"}}, "/1/0/10", "deleted and not written"),
        ({"/1/0": SERVER, "/1/0/1": 300}, "/1/0/1", "already"),
        ({"/1/0": SERVER | {"26": 2}}, "/1/0/26", ""),
        ({"/3/1": {"14": "+01:00"}}, "/3/1", "has only instance 0"),
    ],
)
def test_what_does_not_hold_together(faults, write, place, reason):
    found = [why for where, why in faults(write) if where == place]
    assert any(reason in why for why in found)


def test_only_objects_1_and_2_are_read(faults):
    assert faults({"/1/0": SERVER}, read=["/1", "/2/0"]) == []
    assert faults({"/1/0": SERVER}, read=["/0"])[0][0] == "read"


def test_a_link_to_what_stays_on_the_client(faults):
    assert faults({"/1/0": SERVER | {"10": "11:0"}}, delete=["/1"]) == []


def account(mode, client, server, secret):
    keys = {"3": base64(client), "4": base64(server), "5": base64(secret)}
    return {"/0/1": PSK | {"2": mode} | keys, "/1/0": SERVER}


@pytest.mark.parametrize(
    ("write", "places"),
    [
        (account(1, PUBLIC_KEY, PUBLIC_KEY, PRIVATE_KEY), []),
        (account(1, CERTIFICATE, PUBLIC_KEY, PRIVATE_KEY), ["/0/1/3"]),
        (account(1, PUBLIC_KEY, PUBLIC_KEY, PUBLIC_KEY), ["/0/1/5"]),
        (account(2, CERTIFICATE, CERTIFICATE, PRIVATE_KEY), []),
        (account(2, PUBLIC_KEY, CERTIFICATE, PRIVATE_KEY), ["/0/1/3"]),
        (account(2, CERTIFICATE, b"", PRIVATE_KEY), ["/0/1/4"]),
    ],
)
def test_keys_and_certificates_are_der(faults, write, places):
    assert [place for place, _ in faults(write)] == places


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x85", b"\x30\x03\x02\x05\x00", b"0" * 9, b"\x30\x00\x00"]
)
def test_what_is_no_der_at_all(data):
    assert der.mismatch(data, der.CERTIFICATE)
