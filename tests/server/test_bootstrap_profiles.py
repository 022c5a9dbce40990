"""Bootstrap settings of device profiles: each field to the Resource that a client is written."""

from __future__ import annotations

import pytest

from lwm2m_engine import Catalog, Path, decode
from lwm2m_engine.bootstrap import Bootstrap
from lwm2m_engine.bootstrap.checks import check
from lwm2m_engine.bootstrap.events import Finished
from lwm2m_engine.bootstrap.preview import preview
from lwm2m_engine.bootstrap.template import config_of
from lwm2m_engine.coap import CoapReply, CoapRequest, Code, Peer
from lwm2m_engine.effects import Perform
from lwm2m_server.bootstrap.profiles import document_of_profile

CATALOG = Catalog.bundled()

BOOTSTRAP_SERVER = {
    "securityMode": "NO_SEC",
    "host": "bs.example.com",
    "port": 5687,
    "clientHoldOffTime": 5,
    "bootstrapServerAccountTimeout": 60,
}
LWM2M_SERVER = {
    "securityMode": "NO_SEC",
    "host": "dm.example.com",
    "port": 61616,
    "clientHoldOffTime": 7,
    "bootstrapServerAccountTimeout": 70,
}
SERVER = {"lifetime": 600, "defaultMinPeriod": 10, "binding": "UQ", "notifIfDisabled": False}

TODAY = {
    "bootstrapServerUpdateEnable": True,
    "bootstrap": [
        BOOTSTRAP_SERVER | {"shortServerId": 111, "bootstrapServerIs": True},
        LWM2M_SERVER | SERVER | {"shortServerId": 123, "bootstrapServerIs": False},
    ],
}
OLDER = {
    "bootstrap": {
        "servers": SERVER | {"shortId": 123},
        "lwm2mServer": LWM2M_SERVER | {"serverId": 123, "bootstrapServerIs": False},
        "bootstrapServer": BOOTSTRAP_SERVER | {"serverId": 111, "bootstrapServerIs": True},
    }
}

FIELDS = [
    # What the pictures of the seed show: five settings of the server, ...
    ("server: short identifier", "/1/0/0", 123),
    ("server: minimum period", "/1/0/2", 10),
    ("server: lifetime", "/1/0/1", 600),
    ("server: binding", "/1/0/7", "UQ"),
    ("server: notification storing", "/1/0/6", False),
    # ... six of the connection to the bootstrap server, ...
    ("bootstrap server: security mode", "/0/0/2", 3),
    ("bootstrap server: host", "/0/0/0", "coap://bs.example.com:5687"),
    ("bootstrap server: port", "/0/0/0", "coap://bs.example.com:5687"),
    ("bootstrap server: short identifier", "/0/0/10", None),
    ("bootstrap server: hold-off time", "/0/0/11", 5),
    ("bootstrap server: account timeout", "/0/0/12", 60),
    # ... and six of that to the LwM2M server.
    ("LwM2M server: security mode", "/0/1/2", 3),
    ("LwM2M server: host", "/0/1/0", "coap://dm.example.com:61616"),
    ("LwM2M server: port", "/0/1/0", "coap://dm.example.com:61616"),
    ("LwM2M server: short identifier", "/0/1/10", 123),
    ("LwM2M server: hold-off time", "/0/1/11", 7),
    ("LwM2M server: account timeout", "/0/1/12", 70),
]


def converted(profile, credentials=None):
    return config_of(document_of_profile(profile, credentials), "dev1", lambda name: name.encode(), CATALOG)


class Only:
    """One configuration for all."""

    def __init__(self, config):
        self._config = config

    def config(self, request, peer):
        return self._config


def written(config):
    """What a device has been sent when its session is over, out of the payloads."""
    peer = Peer("192.0.2.1", 1, "coaps-bs", "dev1")
    bootstrap, values = Bootstrap(Only(config), CATALOG), {}
    step = bootstrap.receive(CoapRequest(Code.POST, ("bs",), ("ep=dev1",)), peer, 0.0)
    while asked := [effect for effect in step.effects if isinstance(effect, Perform)]:
        request = asked[0].request
        if request.code == Code.PUT:
            at = Path("/".join(request.path))
            entries = decode(request.payload, request.content_format, at=at, types=CATALOG.types)
            values.update({entry.path: entry.value for entry in entries})
        code = Code.NOT_FOUND if request.code == Code.GET else Code.CHANGED
        step = bootstrap.answered(asked[0].exchange, CoapReply(code), 0.0)
    assert any(isinstance(event, Finished) for event in step.events)
    return values


@pytest.mark.parametrize("profile", [TODAY, OLDER], ids=["today", "older"])
@pytest.mark.parametrize(("field", "path", "value"), FIELDS, ids=[field for field, _, _ in FIELDS])
def test_each_of_the_17_fields_is_written_where_it_belongs(profile, field, path, value):
    assert written(converted(profile)).get(Path(path)) == value


@pytest.mark.parametrize("profile", [TODAY, OLDER], ids=["today", "older"])
def test_the_short_identifier_of_the_bootstrap_server_is_accepted_and_the_preview_says_it_is_not_written(
    profile,
):
    config = converted(profile)
    check(config, CATALOG)
    note = "the short identifier 111 of the bootstrap server is not written"
    assert any(note in one for one in preview(config).notes)


def test_both_forms_are_the_same():
    assert document_of_profile(TODAY) == document_of_profile(OLDER)


def test_several_servers():
    third = LWM2M_SERVER | SERVER | {"shortServerId": 7, "host": "2001:db8::1", "port": 1}
    config = converted({"bootstrap": [*TODAY["bootstrap"], third]})
    check(config, CATALOG)
    values = written(config)
    assert values[Path("/0/2/0")] == "coap://[2001:db8::1]:1"
    assert (values[Path("/0/2/10")], values[Path("/1/1/0")]) == (7, 7)


def test_without_updates_of_the_bootstrap_server_it_is_not_written():
    config = converted(TODAY | {"bootstrapServerUpdateEnable": False})
    assert [str(write.path) for write in config.writes] == ["/0/1", "/1/0"]
    assert "not written" in config.notes[0]


def test_what_is_not_said_has_its_default():
    values = written(converted({"bootstrap": [{"host": "dm", "port": 5685, "shortServerId": 1}]}))
    assert [values[Path(f"/1/0/{number}")] for number in (1, 2, 6, 7)] == [300, 1, True, "U"]


PSK = {"bootstrap": [TODAY["bootstrap"][1] | {"securityMode": "PSK"}]}


def test_a_client_with_a_key_gets_one_that_is_made_for_it():
    config = converted(PSK)
    check(config, CATALOG)
    values = written(config)
    assert (values[Path("/0/1/3")], values[Path("/0/1/5")]) == (b"dev1", b"management")
    assert values[Path("/0/1/0")] == "coaps://dm.example.com:61616"
    assert not config.nosec


def test_the_key_of_its_credentials():
    credentials = {
        "client": {"endpoint": "dev1", "securityConfigClientMode": "PSK"},
        "bootstrap": {
            "lwm2mServer": {"securityMode": "PSK", "clientPublicKeyOrId": "id{1}", "clientSecretKey": "00ff"}
        },
    }
    values = written(converted(PSK, credentials))
    assert (values[Path("/0/1/3")], values[Path("/0/1/5")]) == (b"id{1}", b"\x00\xff")


def test_keys_of_servers_and_clients():
    server = TODAY["bootstrap"][1] | {"securityMode": "X509", "serverCertificate": "AAAA"}
    keys = {"securityMode": "X509", "clientPublicKeyOrId": "BBBB", "clientSecretKey": "CCCC"}
    values = written(converted({"bootstrap": [server]}, {"bootstrap": {"lwm2mServer": keys}}))
    assert [values[Path(f"/0/1/{number}")] for number in (3, 4, 5)] == [
        b"\x04\x10\x41",
        b"\0\0\0",
        b"\x08\x20\x82",
    ]


@pytest.mark.parametrize(
    ("server", "credentials", "place", "reason"),
    [
        ({"host": "0.0.0.0"}, {}, "lwm2mServer.host", "connect to"),
        ({"port": 0}, {}, "lwm2mServer.port", "no port"),
        ({"securityMode": "EST"}, {}, "lwm2mServer.securityMode", "none of PSK"),
        ({"securityMode": "RPK"}, {}, "lwm2mServer", "credentials are due"),
        (
            {"securityMode": "PSK"},
            {"lwm2mServer": {"securityMode": "NO_SEC"}},
            "lwm2mServer",
            "the profile says PSK, and the credentials of the client NO_SEC",
        ),
    ],
)
def test_what_cannot_be_written_has_its_place(server, credentials, place, reason):
    profile = {"bootstrap": [TODAY["bootstrap"][1] | server]}
    with pytest.raises(ExceptionGroup) as refused:
        document_of_profile(profile, {"bootstrap": credentials})
    (fault,) = refused.value.exceptions
    assert (fault.path, reason in fault.reason) == (place, True)


@pytest.mark.parametrize(
    "bootstrap",
    [[], "x", [TODAY["bootstrap"][0]], ["x"], {"servers": []}, {"lwm2mServer": 5}, {"bootstrapServer": "x"}],
)
def test_a_profile_without_a_server(bootstrap):
    with pytest.raises(ExceptionGroup, match="bootstrap settings"):
        document_of_profile({"bootstrap": bootstrap})
