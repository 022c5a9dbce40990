"""What a profile means for a device that announces some Objects and not others."""

import pytest

from lwm2m_engine.engine.records import PowerSaving, Registration
from lwm2m_engine.errors import PathError
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.mapping import ProfileMapping, attributes_of, power_of
from lwm2m_server.profiles.places import Place


def registration(objects, *instances):
    return Registration(
        id="r1",
        endpoint="device",
        version="1.1",
        lifetime=60,
        binding="U",
        queue_mode=False,
        root="/",
        objects=objects,
        instances=tuple(map(Path, instances)),
        links=(),
        formats=(),
        sms=None,
        attributes={},
        registered_at=0.0,
    )


def places(*texts):
    return tuple(map(Place.parse, texts))


def paths(*texts):
    return tuple(map(Path, texts))


@pytest.mark.parametrize(
    "text", ["/3", "/3_1.2", "/3/0", "/3/*", "/3/0/9", "/3_1.2/0/9", "/3303/*/5700", "/65535/65534/65535"]
)
def test_a_place_is_written_as_it_was_read(text):
    assert str(Place.parse(text)) == text
    assert Place.parse(text[1:]) == Place.parse(text)


@pytest.mark.parametrize(
    "text", ["", "/", "/x", "/*", "/3/x", "/3/0/*", "/3/0/9/0", "/70000", "/3_1/0/9", "/3_x/0", "/3/65535/1"]
)
def test_what_is_no_place_is_refused(text):
    with pytest.raises(PathError):
        Place.parse(text)


def test_the_version_is_remembered_and_makes_no_other_place():
    assert Place.parse("/3_1.2/0/9") == Place.parse("/3/0/9")
    assert Place.parse("/3_1.2/0/9").version == "1.2"


def test_any_instance_is_what_a_device_announced():
    mapping = ProfileMapping(observe=places("/3303/1/5700", "/3303/*/5700", "/3304/*/5700"))
    found = mapping.resolved(registration({3303: "1.0"}, "/3303/0", "/3303/1"))
    assert found.observe == paths("/3303/1/5700", "/3303/0/5700")
    assert found.absent == places("/3304/*/5700")


def test_one_instance_may_go_unannounced():
    mapping = ProfileMapping(attribute=places("/3/0/0", "/3/1/0", "/3/*/1"))
    assert mapping.resolved(registration({3: "1.1"})).attribute == paths("/3/0/0")


def test_another_version_is_used_and_told():
    mapping = ProfileMapping(telemetry=places("/3_1.2/0/9", "/4_1.1/0/2"))
    found = mapping.resolved(registration({3: "1.1", 4: "1.1"}, "/3/0", "/4/0"))
    assert found.telemetry == paths("/3/0/9", "/4/0/2")
    assert found.other_versions == {3: ("1.2", "1.1")}


def test_what_is_not_observed_is_read():
    mapping = ProfileMapping(
        observe=places("/3/0/9"), attribute=places("/3/0/0", "/3/0/9"), telemetry=places("/3/0/0", "/3/0/7")
    )
    assert mapping.resolved(registration({3: "1.1"}, "/3/0")).read == paths("/3/0/0", "/3/0/7")


def test_what_lies_in_what_is_observed_is_not_read():
    mapping = ProfileMapping(observe=places("/3303/*"), telemetry=places("/3303/0/5700", "/3/0/9"))
    found = mapping.resolved(registration({3: "1.1", 3303: "1.0"}, "/3/0", "/3303/0"))
    assert (found.observe, found.read) == (paths("/3303/0"), paths("/3/0/9"))


def test_what_lies_in_what_is_observed_is_not_observed_by_itself():
    mapping = ProfileMapping(observe=places("/3303/0/5700", "/3303/0", "/3303/1/5700", "/3", "/3/0/9"))
    found = mapping.resolved(registration({3: "1.1", 3303: "1.0"}, "/3/0", "/3303/0", "/3303/1"))
    assert found.observe == paths("/3303/0", "/3303/1/5700", "/3")


def test_attributes_of_one_instance_go_before_those_of_any():
    mapping = ProfileMapping(
        attributes={
            Place.parse("/3303/1/5700"): (("pmin", "1"),),
            Place.parse("/3303/*/5700"): (("pmin", "5"),),
            Place.parse("/3303"): (("pmax", "60"),),
        }
    )
    found = mapping.resolved(registration({3303: "1.0"}, "/3303/0", "/3303/1"))
    assert found.attributes == {
        Path("/3303/0/5700"): (("pmin", "5"),),
        Path("/3303/1/5700"): (("pmin", "1"),),
        Path("/3303"): (("pmax", "60"),),
    }


def test_attributes_are_written_without_exponent():
    given = {"pmin": 10, "gt": 1e-7, "lt": -20.5, "st": None, "edge": True}
    assert attributes_of(given) == (("pmin", "10"), ("gt", "0.0000001"), ("lt", "-20.5"), ("edge", "1"))


@pytest.mark.parametrize(
    ("given", "power"),
    [
        ({"powerMode": "DRX"}, None),
        ({"powerMode": "PSM"}, PowerSaving(None, psm=True)),
        ({"powerMode": "PSM", "psmActivityTimer": 2500}, PowerSaving(2.5, psm=True)),
        ({"powerMode": "E_DRX"}, None),
        ({"powerMode": "E_DRX", "edrxCycle": 20480}, PowerSaving(edrx_cycle=20.48)),
        (
            {"powerMode": "E_DRX", "edrxCycle": 20480, "pagingTransmissionWindow": 2560},
            PowerSaving(edrx_cycle=20.48, paging_window=2.56),
        ),
    ],
)
def test_when_devices_listen(given, power):
    nothing = {"psmActivityTimer": None, "edrxCycle": None, "pagingTransmissionWindow": None}
    assert power_of({**nothing, **given}) == power
