"""Classes of typed objects, and their names."""

import keyword
import pickle

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.classes import RESERVED, ObjectInstance, class_names, object_class, pascal_case
from lwm2m_engine.model.names import attribute_names
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.values import ResourceType


def an_object(id=33333, name="Rain Barrel", version="1.0", resources=()):
    urn = f"urn:oma:lwm2m:x:{id}"
    return ObjectSpec(id, name, version, "1.0", urn, True, False, {item.id: item for item in resources})


def a_resource(id, attribute, kind=ResourceType.INTEGER, operations="RW", multiple=False):
    return ResourceSpec(id, attribute.title(), attribute, kind, operations, multiple, False)


LEVEL = a_resource(0, "level", ResourceType.FLOAT)
VALVES = a_resource(1, "valves", ResourceType.BOOLEAN, multiple=True)
EMPTY_IT = a_resource(2, "empty_it", ResourceType.NONE, "E")
BARREL = an_object(resources=[LEVEL, VALVES, EMPTY_IT])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Device", "Device"),
        ("LwM2M v1.0 Test Object", "LwM2MV10TestObject"),
        ("Connectivity Monitoring", "ConnectivityMonitoring"),
        ("rachLatency_delay", "RachLatencyDelay"),
        ("On/Off switch", "OnOffSwitch"),
        ("AT&T Connectivity Extension", "ATTConnectivityExtension"),
        ("5GNR Connectivity", "Object5GNRConnectivity"),
        ("3-Phase Power Meter", "Object3PhasePowerMeter"),
        ("Zähler №1", "ZahlerNo1"),
        ("…", ""),
    ],
)
def test_pascal_case(name, expected):
    assert pascal_case(name) == expected


@given(st.text())
def test_pascal_case_is_an_identifier_or_nothing(name):
    found = pascal_case(name)
    assert found == "" or (found.isidentifier() and found.isascii() and "_" not in found)
    assert pascal_case(found) == found


def test_names_of_versions():
    old, new = an_object(version="1.9"), an_object(version="1.10")
    assert class_names([new, old]) == {"RainBarrel": new, "RainBarrel_1_9": old, "RainBarrel_1_10": new}


def test_the_newest_version_names_the_object():
    old, new = an_object(name="Barrel"), an_object(name="Tun", version="2.0")
    assert list(class_names([old, new])) == ["Tun", "Tun_1_0", "Tun_2_0"]


def test_of_objects_with_the_same_name_none_keeps_it():
    first, second = an_object(6, "Location"), an_object(3336, "location")
    assert class_names([first, second]) == {
        "Location_6": first, "Location_6_1_0": first, "Location_3336": second, "Location_3336_1_0": second,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "expected"), [("…", "Object33333"), ("None", "None_33333"), ("Value", "Value_33333")]
)
def test_names_that_are_none(name, expected):
    assert next(iter(class_names([an_object(name=name)]))) == expected


names = st.sampled_from(["Tank", "tank", "T", "true", "Value", "6", "Object 6", "…"]) | st.text(max_size=5)


@given(st.dictionaries(st.tuples(st.integers(0, 65534), st.sampled_from(["1.0", "1.1", "2.0"])), names))
def test_names_are_unique_identifiers(objects):
    specs = [an_object(id, name, version) for (id, version), name in objects.items()]
    found = class_names(specs)
    ids = {spec.id for spec in specs}
    assert len(found) == len(ids) + len(specs)
    assert all(name.isidentifier() and not keyword.iskeyword(name) for name in found)
    assert not RESERVED & found.keys()


def test_the_same_definition_gives_the_same_class():
    assert object_class(BARREL) is object_class(attrs.evolve(BARREL, source="elsewhere.xml"))
    assert object_class(BARREL) is not object_class(attrs.evolve(BARREL, resources={0: LEVEL}))
    assert object_class(BARREL) is not object_class(attrs.evolve(BARREL, version="1.1"))


def test_a_class_is_shared_by_catalogs(catalog):
    assert Catalog(catalog).classes["Device"] is catalog.classes["Device"]
    assert catalog.classes["Device_1_2"] is catalog.classes["Device"]
    assert catalog.classes["Device_1_0"] is not catalog.classes["Device"]
    assert catalog.classes["Device_1_0"].__lwm2m__ == catalog[3, "1.0"]


def test_classes_of_a_catalog(catalog):
    assert len(catalog.classes) == 327 + 424
    assert {"Location_6", "Location_3336", "Device_1_1"} <= set(catalog.classes)
    assert "Location" not in catalog.classes
    with pytest.raises(KeyError):
        catalog.classes["Location"]
    assert catalog.classes is catalog.classes


def test_what_a_class_has():
    barrel = object_class(BARREL)
    assert issubclass(barrel, ObjectInstance)
    assert [field.name for field in attrs.fields(barrel)] == ["extra", "level", "valves"]
    assert all(field.kw_only for field in attrs.fields(barrel))
    assert barrel.__doc__ == "Rain Barrel: Object 33333 version 1.0 (urn:oma:lwm2m:x:33333)."
    empty = barrel()
    assert (empty.level, empty.valves, empty.extra) == (None, None, {})
    assert empty.extra is not barrel().extra


def test_resources_named_like_what_a_class_has_anyway():
    names = attribute_names([(0, "Extra"), (1, "Float"), (2, "Dict"), (3, "Self")])
    resources = [a_resource(id, attribute) for id, attribute in names.items()]
    made = object_class(an_object(resources=resources))
    assert [field.name for field in attrs.fields(made)] == ["extra", "extra_", "float_", "dict_", "self_"]


def test_misspelt_attributes_are_refused():
    barrel = object_class(BARREL)
    with pytest.raises(TypeError, match="levle"):
        barrel(levle=1.0)
    with pytest.raises(AttributeError, match="levle"):
        barrel().levle = 1.0


def test_equal_by_class_and_values():
    barrel = object_class(BARREL)
    other = object_class(attrs.evolve(BARREL, version="1.1"))
    assert barrel(level=1.0) == barrel(level=1.0)
    assert barrel(level=1.0) != barrel(level=2.0)
    assert barrel(level=1.0) != barrel(level=1.0, extra={9: 1})
    assert barrel(level=1.0) != other(level=1.0)


def test_repr_shows_what_is_set():
    barrel = object_class(BARREL)
    assert repr(barrel()) == "RainBarrel()"
    assert repr(barrel(level=0.0, extra={9: {0: "x"}})) == "RainBarrel(level=0.0, extra={9: {0: 'x'}})"
    assert repr(barrel(valves={})) == "RainBarrel(valves={})"


def test_evolve():
    barrel = object_class(BARREL)(level=1.0, extra={9: 1})
    assert attrs.evolve(barrel, valves={0: True}) == object_class(BARREL)(
        level=1.0, valves={0: True}, extra={9: 1}
    )


@pytest.mark.parametrize("name", ["Device", "Device_1_0", "Location_6", "RDB", "RDB_1_0"])
def test_objects_of_the_registry_are_pickled(catalog, name):
    value = catalog.classes[name](extra={9999: b"x"})
    assert pickle.loads(pickle.dumps(value)) == value
