"""What Resources are called, and which Resource a name means."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.checks import versions_of
from lwm2m_server.profiles.document import read
from lwm2m_server.profiles.keys import Keys, camel_case
from lwm2m_server.profiles.mapping import ProfileMapping
from lwm2m_server.profiles.places import ANY, Place
from lwm2m_server.profiles.schema import ProfileRejected

CATALOG = Catalog.bundled()
OBJECTS = {3: "1.1", 3303: "1.0", 3304: "1.0"}
INSTANCES = tuple(map(Path, ("/3/0", "/3303/0", "/3303/1", "/3304/0")))


def keys(**members):
    return Keys(CATALOG, ProfileMapping(**members), OBJECTS, INSTANCES)


def places(*texts):
    return tuple(map(Place.parse, texts))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Battery Level", "batteryLevel"),
        ("UTC Offset", "utcOffset"),
        ("Package URI", "packageUri"),
        ("IPv4 address", "ipv4Address"),
        ("on-off_switch", "onOffSwitch"),
        (" Manufacturer ", "manufacturer"),
        ("", ""),
    ],
)
def test_names_of_definitions_become_camel_case(name, key):
    assert camel_case(name) == key


# The four cases of observing a Resource: what it is for, and whether its key was changed.
@pytest.mark.parametrize(
    ("attribute", "telemetry", "name", "kind"),
    [
        (("/3/0/9",), (), None, {"attribute"}),
        ((), ("/3/0/9",), None, {"telemetry"}),
        (("/3/0/9",), ("/3/0/9",), None, {"attribute", "telemetry"}),
        (("/3/0/9",), ("/3/0/9",), "power left", {"attribute", "telemetry"}),
    ],
)
def test_what_a_resource_is_for_and_called(attribute, telemetry, name, kind):
    names = {} if name is None else {Place.parse("/3_1.2/0/9"): name}
    found = keys(
        observe=places("/3/0/9"), attribute=places(*attribute), telemetry=places(*telemetry), names=names
    )
    assert found.kind(Path("/3/0/9")) == kind
    assert found.name(Path("/3/0/9")) == (name or "batteryLevel")
    assert found.paths(name or "batteryLevel") == (Path("/3/0/9"),)


def test_instances_above_0_have_their_id_at_the_end():
    found = keys()
    assert found.name(Path("/3303/0/5701")) == "sensorUnits"
    assert found.name(Path("/3303/1/5700")) == "sensorValue1"
    assert found.paths("sensorValue1") == (Path("/3303/1/5700"),)


def test_a_name_may_mean_resources_of_several_objects():
    assert keys().paths("sensorValue") == (Path("/3303/0/5700"), Path("/3304/0/5700"))


def test_a_name_from_the_profile_goes_before_the_same_one_of_a_definition():
    found = keys(names={Place.parse("/3303/0/5700"): "sensorValue"})
    assert found.paths("sensorValue") == (Path("/3303/0/5700"),)


def test_a_name_for_any_instance_and_one_for_a_single_instance():
    found = keys(names={Place.parse("/3303/*/5700"): "temperature", Place.parse("/3303/1/5700"): "indoor"})
    names = [found.name(Path((3303, instance, 5700))) for instance in range(3)]
    assert names == ["temperature", "indoor", "temperature2"]
    assert found.paths("temperature") == (Path("/3303/0/5700"),)
    assert found.paths("indoor") == (Path("/3303/1/5700"),)


def test_any_instance_has_a_kind():
    found = keys(telemetry=places("/3303/*/5700"))
    assert found.kind(Path("/3303/1/5700")) == {"telemetry"}
    assert found.kind(Path("/3303/1/5701")) == set()
    assert found.kind(Path("/3303/1")) == set()


def test_resource_instances_belong_to_their_resource():
    found = keys(telemetry=places("/3/0/7"))
    assert found.name(Path("/3/0/7/1")) == "powerSourceVoltage"
    assert found.kind(Path("/3/0/7/1")) == {"telemetry"}


def test_what_has_no_definition_goes_by_its_path():
    found = keys()
    assert found.name(Path("/32999/0/1")) == "/32999/0/1"
    assert found.paths("/32999/0/1") == (Path("/32999/0/1"),)
    assert found.paths("32999/0/1") == (Path("/32999/0/1"),)
    assert found.name(Path("/3/0")) == "/3/0"


@pytest.mark.parametrize("key", ["", "nothing", "a/b", "sensorValue7"])
def test_a_name_of_nothing_means_nothing(key):
    assert keys().paths(key) == ()


def test_what_is_observed_as_a_whole_has_no_name_of_its_own():
    found = keys(observe=places("/3/0", "/3303"), telemetry=places("/3/0/9"))
    assert found.paths("batteryLevel") == (Path("/3/0/9"),)


def test_what_the_profile_names_is_found_before_a_device_registers():
    found = Keys(CATALOG, ProfileMapping(telemetry=places("/3/0/9")))
    assert found.paths("batteryLevel") == (Path("/3/0/9"),)


# --- properties ------------------------------------------------------------------------------------

ANNOUNCED = [
    Path((spec.id, instance, resource))
    for spec, instances in ((CATALOG[3], 1), (CATALOG[3303], 3), (CATALOG[3304], 2))
    for instance in range(instances)
    for resource in spec.resources
]
PLACES = st.sampled_from(
    [*map(str, ANNOUNCED), "/3303/*/5700", "/3303/*/5701", "/3304/*/5700", "/3304/*/5701", "/3_1.2/0/9"]
)
NAMES = st.sampled_from(["t", "t1", "t2", "level", "sensorValue", "sensorValue1", "batteryLevel", "x 1"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(PLACES, NAMES, max_size=6))
def test_a_resource_is_found_by_its_name(names):
    try:
        data = read({"observeAttr": {"keyName": names}}, versions_of(CATALOG)).data
    except ProfileRejected:
        return
    mapping = ProfileMapping.of(data["transportConfiguration"])
    instances = tuple(dict.fromkeys(Path(path[:2]) for path in ANNOUNCED))
    found = Keys(CATALOG, mapping, OBJECTS, instances)
    given_names = {}
    for path in ANNOUNCED:
        name, any = found.name(path), Place(path[0], ANY, path[2])
        if Place(*path) in mapping.names or any in mapping.names:
            given_names.setdefault(name, []).append(path)
    for name, paths in given_names.items():
        # None is lost to a definition that has the same name.
        assert sorted(found.paths(name)) == paths
    for path in ANNOUNCED:
        if found.name(path) not in given_names:
            assert path in found.paths(found.name(path))
