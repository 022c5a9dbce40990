"""Documents of device profiles: the forms that are accepted, the one they become, and what is refused."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.profiles.checks import versions_of
from lwm2m_server.profiles.comparison import differences
from lwm2m_server.profiles.document import document_of, read
from lwm2m_server.profiles.mapping import AfterConnect, ProfileMapping, Strategy
from lwm2m_server.profiles.places import Place
from lwm2m_server.profiles.schema import ProfileRejected, schema

VERSIONS = versions_of(Catalog.bundled())

EXPORTED = {
    "id": {"entityType": "DEVICE_PROFILE", "id": "8f4e1c80-0000-11ee-8000-000000000000"},
    "createdTime": 1700000000000,
    "tenantId": {"entityType": "TENANT", "id": "00000000-0000-11ee-8000-000000000000"},
    "name": "meters",
    "description": "",
    "type": "DEFAULT",
    "transportType": "LWM2M",
    "provisionType": "DISABLED",
    "defaultRuleChainId": None,
    "profileData": {
        "configuration": {"type": "DEFAULT"},
        "transportConfiguration": {
            "type": "LWM2M",
            "observeAttr": {
                "keyName": {"/3_1.2/0/9": "batteryLevel", "/3_1.2/0/2": "serialNumber"},
                "observe": ["/3_1.2/0/9"],
                "attribute": ["/3_1.2/0/2"],
                "telemetry": ["/3_1.2/0/9"],
                "attributeLwm2m": {"/3_1.2/0/9": {"pmin": 10, "pmax": 60}},
                "observeStrategy": "COMPOSITE_BY_OBJECT",
                "initAttrTelAsObsStrategy": True,
            },
            "bootstrapServerUpdateEnable": False,
            "bootstrap": [
                {
                    "shortServerId": 123,
                    "bootstrapServerIs": False,
                    "host": "0.0.0.0",
                    "port": 5685,
                    "clientHoldOffTime": 1,
                    "serverPublicKey": "",
                    "serverCertificate": "",
                    "bootstrapServerAccountTimeout": 0,
                    "lifetime": 300,
                    "defaultMinPeriod": 1,
                    "notifIfDisabled": True,
                    "binding": "U",
                    "securityMode": "NO_SEC",
                }
            ],
            "clientLwM2mSettings": {
                "useObject19ForOtaInfo": False,
                "fwUpdateStrategy": 1,
                "swUpdateStrategy": 1,
                "clientOnlyObserveAfterConnect": 1,
                "powerMode": "PSM",
                "fwUpdateResource": None,
                "swUpdateResource": None,
                "psmActivityTimer": 10000,
                "edrxCycle": None,
                "pagingTransmissionWindow": None,
                "defaultObjectIDVer": "1.0",
            },
        },
        "provisionConfiguration": {"type": "DISABLED", "provisionDeviceSecret": None},
        "alarms": [{"id": "a"}],
    },
}
"""As another platform writes one."""

OLDER = {
    "observeAttr": {
        "keyName": {"/3/0/9": "batteryLevel"},
        "observe": ["/3/0/9"],
        "attribute": [],
        "telemetry": ["/3/0/9"],
        "attributeLwm2m": {},
    },
    "bootstrap": {
        "servers": {
            "shortId": 123,
            "lifetime": 600,
            "defaultMinPeriod": 10,
            "notifIfDisabled": False,
            "binding": "UQ",
        },
        "lwm2mServer": {
            "host": "dm.example.com",
            "port": 5685,
            "serverId": 123,
            "securityMode": "NO_SEC",
            "serverPublicKey": "",
            "clientHoldOffTime": 7,
            "bootstrapServerAccountTimeout": 70,
            "bootstrapServerIs": False,
        },
        "bootstrapServer": {
            "host": "bs.example.com",
            "port": 5687,
            "serverId": 111,
            "securityMode": "NO_SEC",
            "serverPublicKey": "",
            "clientHoldOffTime": 1,
            "bootstrapServerAccountTimeout": 0,
            "bootstrapServerIs": True,
        },
    },
    "clientLwM2mSettings": {"clientOnlyObserveAfterConnect": 2},
}


def configuration(document):
    return read(document, VERSIONS).data["transportConfiguration"]


def rejected(document):
    with pytest.raises(ProfileRejected) as caught:
        read(document, VERSIONS)
    return [str(fault) for fault in caught.value.faults]


# --- what is accepted ------------------------------------------------------------------------------


def test_a_document_of_another_platform_is_read_as_it_is():
    draft = read(EXPORTED, VERSIONS)
    given, found = EXPORTED["profileData"]["transportConfiguration"], draft.data["transportConfiguration"]
    assert draft.name == "meters"
    assert found == given
    left_out = {note.place for note in draft.notes if "left out" in note.reason}
    assert left_out == {
        "id",
        "createdTime",
        "tenantId",
        "description",
        "type",
        "provisionType",
        "profileData.configuration",
        "profileData.provisionConfiguration",
        "profileData.alarms",
    }
    assert any(note.place.endswith("bootstrap[0].host") for note in draft.notes)


@pytest.mark.parametrize(
    "document",
    [
        EXPORTED,
        EXPORTED["profileData"],
        EXPORTED["profileData"]["transportConfiguration"],
    ],
    ids=["whole", "profileData", "transport configuration"],
)
def test_what_is_in_it_may_come_alone(document):
    assert read(document, VERSIONS).data == read(EXPORTED, VERSIONS).data


def test_the_older_bootstrap_is_shown_in_todays_form():
    found = configuration(OLDER)
    assert found["bootstrapServerUpdateEnable"] is True
    account, server = found["bootstrap"]
    assert (account["bootstrapServerIs"], account["host"], account["shortServerId"]) == (
        True,
        "bs.example.com",
        None,
    )
    assert server == {
        "shortServerId": 123,
        "bootstrapServerIs": False,
        "host": "dm.example.com",
        "port": 5685,
        "clientHoldOffTime": 7,
        "bootstrapServerAccountTimeout": 70,
        "serverPublicKey": "",
        "serverCertificate": "",
        "lifetime": 600,
        "defaultMinPeriod": 10,
        "notifIfDisabled": False,
        "binding": "UQ",
        "securityMode": "NO_SEC",
    }


@pytest.mark.parametrize(
    ("names", "note"),
    [
        ({"/5/0/6": "pkgname", "/9/0/0": "pkgname"}, "'pkgname' is the name of /5/0/6, too"),
        ({"/3303/*/5700": "t", "/3303/1/5700": "t"}, "'t' is the name of /3303/*/5700, too"),
        ({"/3303/*/5700": "t", "/3304/0/5700": "t1"}, "'t1' is the name of instance 1 of /3303/*/5700, too"),
        ({"/3303/*/5700": "t", "/3303/0/5700": "t"}, None),
        ({"/3303/*/5700": "t", "/3303/1/5700": "t1"}, None),
    ],
)
def test_one_name_for_several_resources_is_noted(names, note):
    notes = [str(one) for one in read({"observeAttr": {"keyName": names}}, VERSIONS).notes]
    assert len(notes) == (note is not None)
    assert note is None or note in notes[0]


def test_instances_and_objects_are_observed_as_a_whole():
    observed = {"observe": ["/3303/*", "/5_1.1/0", "/3"], "telemetry": ["/3303/0/5700", "/5/0/3", "/3/0/9"]}
    found = configuration({"observeAttr": observed})["observeAttr"]
    assert found["observe"] == observed["observe"]


def test_no_time_at_all_is_none():
    given = {"powerMode": "DRX", "psmActivityTimer": 0, "edrxCycle": 0, "pagingTransmissionWindow": 0}
    found = configuration({"clientLwM2mSettings": given})["clientLwM2mSettings"]
    assert [found[name] for name in given] == ["DRX", None, None, None]


def test_members_of_older_profiles():
    client = {
        "compositeOperationsSupport": False,
        "fwUpdateRecourse": "coap://a:5683",
        "swUpdateResource": "",
    }
    draft = read({"clientLwM2mSettings": client}, VERSIONS)
    found = draft.data["transportConfiguration"]["clientLwM2mSettings"]
    assert (found["fwUpdateResource"], found["swUpdateResource"]) == ("coap://a:5683", None)
    assert "compositeOperationsSupport" not in found
    assert [str(note) for note in draft.notes] == [
        "clientLwM2mSettings.compositeOperationsSupport: is not used here and was left out"
    ]


@pytest.mark.parametrize(
    ("given", "strategy"),
    [(0, "SINGLE"), (1, "COMPOSITE_ALL"), (2, "COMPOSITE_BY_OBJECT"), (None, "SINGLE"), ("SINGLE", "SINGLE")],
)
def test_strategies_by_name_and_number(given, strategy):
    found = configuration({"observeAttr": {"observeStrategy": given}})
    assert found["observeAttr"]["observeStrategy"] == strategy


@pytest.mark.parametrize(("given", "number"), [(True, 1), (False, 2), (1, 1), (2, 2), (3, 3), (None, 1)])
def test_what_is_done_after_connect(given, number):
    document = {"clientLwM2mSettings": {"clientOnlyObserveAfterConnect": given}}
    assert configuration(document)["clientLwM2mSettings"]["clientOnlyObserveAfterConnect"] == number


def test_attributes_of_lwm2m_1_2_and_any_instance():
    attributes = {"/3200/*/5500": {"edge": True, "con": 1, "hqmax": 5, "epmin": 1, "epmax": 2.0, "dim": None}}
    document = {"observeAttr": {"telemetry": ["3200/*/5500"], "attributeLwm2m": attributes}}
    found = configuration(document)["observeAttr"]
    assert found["telemetry"] == ["/3200/*/5500"]
    assert found["attributeLwm2m"] == {
        "/3200/*/5500": {"edge": 1, "con": 1, "hqmax": 5, "epmin": 1, "epmax": 2}
    }


def test_a_place_with_and_without_version_is_one():
    found = configuration({"observeAttr": {"telemetry": ["/3_1.2/0/9", "/3/0/9"]}})
    assert found["observeAttr"]["telemetry"] == ["/3_1.2/0/9"]


def test_what_the_configuration_means():
    mapping = ProfileMapping.of(configuration(EXPORTED))
    assert mapping.strategy is Strategy.COMPOSITE_BY_OBJECT
    assert mapping.after_connect is AfterConnect.OBSERVE
    assert mapping.read_as_observed
    assert mapping.observe == (Place.parse("/3/0/9"),)
    assert mapping.attributes == {Place.parse("/3/0/9"): (("pmin", "10"), ("pmax", "60"))}
    assert mapping.power.psm
    assert mapping.power.awake_window == 10.0
    assert (mapping.firmware_strategy, mapping.software_strategy) == (1, 1)
    assert mapping.default_version == "1.0"


def test_an_object_without_definition_is_noted():
    draft = read({"observeAttr": {"telemetry": ["/31999/0/1", "/3_7.7/0/9"]}}, VERSIONS)
    assert [str(note) for note in draft.notes] == [
        "observeAttr.telemetry[0]: there is no definition of Object 31999; none is loaded",
        "observeAttr.telemetry[1]: there is no definition of Object 3 7.7; loaded: 1.2, 1.1, 1.0",
    ]


# --- what is refused -------------------------------------------------------------------------------

SERVER = {"host": "a.example.com", "port": 5684, "shortServerId": 1}
RPK = {**SERVER, "securityMode": "RPK"}
MANY = {"observeAttr": {"telemetry": ["/3/0/9"] * 1001}}


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ([], "a JSON object is due"),
        ({}, "profileData: is missing"),
        ({"transportTyp": "LWM2M", "profileData": {"transportConfiguration": {}}}, "mean 'transportType'?"),
        ({"transportType": "MQTT", "profileData": {"transportConfiguration": {}}}, "transportType: the text"),
        ({"name": "a/b", "profileData": {"transportConfiguration": {}}}, "name: a text of 1 to 255"),
        ({"profileData": {"transportConfiguration": []}}, "transportConfiguration: an object with"),
        ({"observeAttr": {"obsrve": []}}, "observeAttr.obsrve: there is no such member; did you mean 'obs"),
        ({"observeAttr": {"qqqqqqq": []}}, "observeAttr.qqqqqqq: there is no such member; known: observe"),
        (
            {"observeAttr": {"observe": "/3/0/9"}},
            'observe: a list of paths of Resources, Object Instances or Objects is due, not "/3/0/9"',
        ),
        ({"observeAttr": {"telemetry": ["/3/0"]}}, "telemetry[0]: the path of a Resource"),
        ({"observeAttr": {"observe": ["/3/0/9\n"]}}, "observe[0]: a path such as /3/0"),
        ({"observeAttr": {"observe": ["/65536/0/9"]}}, "observe[0]: a path such as /3/0"),
        ({"observeAttr": {"observe": ["/3/65535/9"]}}, "observe[0]: a path such as /3/0"),
        ({"observeAttr": {"keyName": {"/3": "x"}}}, 'keyName["/3"]: the path of a Resource'),
        ({"observeAttr": {"keyName": {"/3/0/9": " "}}}, 'keyName["/3/0/9"]: a text of 1 to 255'),
        ({"observeAttr": {"attributeLwm2m": {"/3": {"pmn": 1}}}}, 'Lwm2m["/3"].pmn: there is no such mem'),
        ({"observeAttr": {"attributeLwm2m": {"/3": {"pmin": -1}}}}, '"].pmin: a whole number of seconds'),
        (
            {"observeAttr": {"attributeLwm2m": {"/3": {"dim": 1}}}},
            "devices tell it, and it cannot be written",
        ),
        ({"observeAttr": {"observeStrategy": 3}}, "observeStrategy: SINGLE, COMPOSITE_ALL or"),
        (MANY, "observeAttr.telemetry: has more than 1000 members"),
        ({"clientLwM2mSettings": {"powerMode": "EDRX"}}, "powerMode: DRX, PSM or E_DRX is due"),
        ({"bootstrap": "x"}, "bootstrap: a list of servers, or the older object"),
        ({"bootstrap": [{"port": 1}]}, "bootstrap[0].host: is missing"),
        ({"bootstrap": [{**SERVER, "port": 65536}]}, "bootstrap[0].port: a port from 1 to 65535 is due"),
        ({"bootstrap": [{**SERVER, "host": "coap://x"}]}, "bootstrap[0].host: the name or address"),
        (
            {"bootstrap": [{**SERVER, "clientSecretKey": "geheim"}]},
            "clientSecretKey: there is no such member",
        ),
        ({"bootstrap": {"lwm2mServer": {"host": "a", "prt": 1}}}, "lwm2mServer.prt: there is no such"),
    ],
)
def test_what_no_profile_is(document, fault):
    faults = rejected(document)
    assert any(fault in one for one in faults), faults
    assert not any("geheim" in one for one in faults)


OBSERVED = [
    (
        {"observe": ["/3303/0"], "telemetry": ["/3/0/9", "/3303/1/5700"]},
        "observe[0]: /3303/0 is observed, and",
    ),
    ({"observe": ["/3/0/9"]}, "observe[0]: /3/0/9 is observed, and is neither an attribute nor telemetry"),
    ({"telemetry": ["/3/0/99"]}, "telemetry[0]: Object 3 (Device) has no Resource 99"),
    ({"attribute": ["/3/0/4"]}, "attribute[0]: 4 (Reboot) cannot be read"),
    ({"keyName": {"/3/0/9": "a", "/3_1.1/0/9": "b"}}, "this Resource is called 'a' already"),
    ({"keyName": {"/3/0/9": "3/0/7"}}, "is a path"),
    ({"attributeLwm2m": {"/3/0/9": {"pmin": 9, "pmax": 5}}}, '["/3/0/9"]: pmin=9 is above pmax=5'),
    ({"attributeLwm2m": {"/3/0/9": {"lt": 9, "gt": 5}}}, "lt=9 is not below gt=5"),
    ({"attributeLwm2m": {"/3/0/9": {"lt": 1, "gt": 5, "st": 2}}}, "lt=1 plus twice st=2 is not below gt=5"),
    ({"attributeLwm2m": {"/3/0/0": {"gt": 5}}}, "gt is for numbers, and the Resource is String"),
    ({"attributeLwm2m": {"/3/0": {"gt": 5}}}, "gt cannot stand on the instance"),
    ({"attributeLwm2m": {"/3": {"pmin": 9}, "/3/0/9": {"pmax": 5}}}, "of what it lies in: pmin=9 is above"),
    ({"attributeLwm2m": {"/3": {"pmin": 9}, "/3_1.0": {"pmin": 8}}}, "the same as /3, which has attributes"),
]
SERVERS = [
    ([SERVER, SERVER], "bootstrap[1].shortServerId: bootstrap[0] has the Short Server ID 1 already"),
    ([{**SERVER, "shortServerId": None}], "an LwM2M server has a Short Server ID from 1 to 65534"),
    ([{**SERVER, "shortServerId": 65535}], "an LwM2M server has a Short Server ID from 1 to 65534"),
    ([{**SERVER, "bootstrapServerIs": True}] * 2, "bootstrap[1]: a device has one Bootstrap-Server"),
    ([RPK], "bootstrap[0].serverPublicKey: with RPK a public key"),
    ([{**RPK, "serverPublicKey": "!"}], "bootstrap[0].serverPublicKey: this is not base64"),
    ([{**RPK, "serverPublicKey": base64.b64encode(b"key").decode()}], "this is not a public key"),
    (
        [{**RPK, "securityMode": "X509", "serverCertificate": "AAAA"}],
        "serverCertificate: this is not an X.509",
    ),
]
POWER = {"powerMode": "E_DRX", "edrxCycle": 1000, "pagingTransmissionWindow": 2000}


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        *(({"observeAttr": observed}, fault) for observed, fault in OBSERVED),
        *(({"bootstrap": servers}, fault) for servers, fault in SERVERS),
        ({"clientLwM2mSettings": POWER}, "pagingTransmissionWindow: it is longer than edrxCycle"),
    ],
)
def test_what_does_not_hold_together(document, fault):
    faults = rejected(document)
    assert any(fault in one for one in faults), faults


def test_all_that_is_wrong_is_told_at_once():
    document = {"profileData": {"transportConfiguration": {"bootstrap": [{"port": 0}], "typ": "LWM2M"}}}
    place = "profileData.transportConfiguration"
    assert [fault.partition(": ")[0] for fault in sorted(rejected(document))] == [
        f"{place}.bootstrap[0].host",
        f"{place}.bootstrap[0].port",
        f"{place}.typ",
    ]


def test_the_schema_is_one_itself():
    from jsonschema import Draft202012Validator

    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema())


# --- the canonical form ----------------------------------------------------------------------------

RESOURCES = st.sampled_from(
    ["/3/0/9", "/3_1.2/0/9", "3/0/7", "/3303/*/5700", "/3303_1.0/1/5700", "/31999/2/1"]
)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "pmin": st.integers(0, 5),
        "pmax": st.integers(5, 9),
        "gt": st.sampled_from([None, 0.5, 2, -3.0]),
    },
)
SERVERS_OF = st.fixed_dictionaries(
    {"host": st.sampled_from(["a.example.com", "[::1]", "192.0.2.1"]), "port": st.integers(1, 65535)},
    optional={"lifetime": st.none() | st.integers(0, 9), "binding": st.sampled_from(["U", "UQ", None])},
)


@st.composite
def documents(draw):
    telemetry = draw(st.lists(RESOURCES, max_size=4))
    servers = draw(st.lists(SERVERS_OF, max_size=3))
    document = {
        "observeAttr": {
            "observe": draw(st.lists(st.sampled_from(telemetry), max_size=3)) if telemetry else None,
            "attribute": draw(st.none() | st.lists(RESOURCES, max_size=2)),
            "telemetry": telemetry,
            "keyName": {"/3/0/9": draw(st.sampled_from(["a", " b "]))},
            "attributeLwm2m": {
                draw(st.sampled_from(["/3/0/9", "/3_1.1/0/9", "/3303/*/5700"])): draw(ATTRIBUTES)
            },
            "observeStrategy": draw(st.sampled_from([0, 1.0, "COMPOSITE_ALL", None])),
            "initAttrTelAsObsStrategy": draw(st.none() | st.booleans()),
        },
        "bootstrap": [{**server, "shortServerId": id} for id, server in enumerate(servers, 1)],
        "clientLwM2mSettings": {
            "clientOnlyObserveAfterConnect": draw(st.sampled_from([True, False, 1, 3, None])),
            "useObject19ForOtaInfo": draw(st.none() | st.booleans()),
            "psmActivityTimer": draw(st.none() | st.integers(1, 9)),
            "fwUpdateResource": draw(st.sampled_from([None, "", "coap://host:5683"])),
        },
    }
    return draw(
        st.sampled_from([document, {"name": "x", "profileData": {"transportConfiguration": document}}])
    )


@settings(max_examples=150, deadline=None)
@given(documents())
def test_what_is_exported_is_imported_as_the_same(document):
    first = read(document, VERSIONS)
    again = read(document_of("x", first.data), VERSIONS)
    assert again.data == first.data
    assert list(again.data["transportConfiguration"]) == list(first.data["transportConfiguration"])
    assert not [note for note in again.notes if "left out" in note.reason]
    assert ProfileMapping.of(first.data["transportConfiguration"])


# --- differences -----------------------------------------------------------------------------------


def test_what_is_different():
    former = read(EXPORTED, VERSIONS).data
    document = {
        "observeAttr": {
            "keyName": {"/3/0/9": "charge", "/3/0/7": "voltage"},
            "observe": ["/3/0/9"],
            "telemetry": ["/3/0/9", "/3/0/7"],
            "attributeLwm2m": {"/3/0/9": {"pmin": 5}},
        },
    }
    assert differences(former, read(document, VERSIONS).data) == {
        "observe": {"added": [], "removed": []},
        "attribute": {"added": [], "removed": ["/3_1.2/0/2"]},
        "telemetry": {"added": ["/3/0/7"], "removed": []},
        "keyName": {
            "added": {"/3/0/7": "voltage"},
            "removed": {"/3_1.2/0/2": "serialNumber"},
            "changed": {"/3/0/9": {"from": "batteryLevel", "to": "charge"}},
        },
        "attributeLwm2m": {
            "added": {},
            "removed": {},
            "changed": {"/3/0/9": {"from": {"pmin": 10, "pmax": 60}, "to": {"pmin": 5}}},
        },
        "settings": {
            "observeStrategy": {"from": "COMPOSITE_BY_OBJECT", "to": "SINGLE"},
            "initAttrTelAsObsStrategy": {"from": True, "to": False},
            "powerMode": {"from": "PSM", "to": "DRX"},
            "psmActivityTimer": {"from": 10000, "to": None},
        },
        "bootstrap": True,
    }


def test_what_is_wrong_without_end_is_told_in_part():
    many = {f"obs{number}": 1 for number in range(3000)}
    assert len(rejected({"observeAttr": many})) == 100
    whole = {"profileData": {"transportConfiguration": {}}, **many}
    assert "has more than 100 members" in rejected(whole)[0]
    (fault,) = rejected({"observeAttr": {"x" * 5000: 1}})
    assert len(fault) < 300
