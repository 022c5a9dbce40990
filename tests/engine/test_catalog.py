"""The catalog, its views, and the bundled registry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.errors import NoSuchVersion, UnknownObject, UnknownResource
from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.spec import ObjectSpec, Problem, ResourceSpec
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType


def spec(object_id, version="1.0", **resources):
    kinds = {int(key.removeprefix("r")): kind for key, kind in resources.items()}
    items = {
        id: ResourceSpec(id, f"R {id}", f"r_{id}", kind, "R", multiple=False, mandatory=False)
        for id, kind in kinds.items()
    }
    return ObjectSpec(
        object_id, "Tank", version, "1.0", "urn", multiple=True, mandatory=False, resources=items
    )


@pytest.fixture(scope="module")
def bundled():
    return Catalog.bundled()


# --- the bundled registry --------------------------------------------------------------------------


def every_version(catalog):
    return [catalog[newest.id, version] for newest in catalog for version in catalog.versions(newest.id)]


def test_the_bundled_registry_is_whole(bundled):
    specs = every_version(bundled)
    assert len(bundled) == 327
    assert len(specs) == 424
    assert sum(len(spec.resources) for spec in bundled) == 3464
    assert sum(len(spec.resources) for spec in specs) == 4506
    assert not any(problem.refused for problem in bundled.problems)


def test_versions_of_the_bundled_registry(bundled):
    count = [len(bundled.versions(spec.id)) for spec in bundled]
    assert {number: count.count(number) for number in set(count)} == {1: 239, 2: 80, 3: 7, 4: 1}
    assert bundled.versions(0) == bundled.versions(1) == bundled.versions(3) == ("1.0", "1.1", "1.2")
    assert bundled.versions(4) == ("1.0", "1.1", "1.2", "1.3")
    assert bundled.versions(20) == ("1.0", "2.0", "2.1")
    assert bundled.versions(33333) == ()


def test_resources_of_the_bundled_registry(bundled):
    items = [resource for spec in bundled for resource in spec.resources.values()]
    operations = [item.operations for item in items]
    assert {text: operations.count(text) for text in set(operations)} == {
        "R": 2058,
        "RW": 1044,
        "E": 273,
        "W": 47,
        "": 42,
    }
    assert sum(item.multiple for item in items) == 245
    assert sum(item.mandatory for item in items) == 1082
    types = [item.type.value for item in items]
    assert {text: types.count(text) for text in set(types)} == {
        "Integer": 1031, "Float": 762, "String": 589, "Boolean": 286, "": 274, "Time": 179,
        "Unsigned Integer": 136, "Opaque": 119, "Objlnk": 68, "Corelnk": 20,
    }  # fmt: skip
    assert sum(item.reusable for item in items) == 1215


def test_object_3_of_the_bundled_registry(bundled):
    device = bundled[3]
    assert (device.name, device.version, device.urn) == ("Device", "1.2", "urn:oma:lwm2m:oma:3:1.2")
    assert device["battery_level"] is device[9]
    assert (device[9].type, device[9].operations, device[9].range) == (ResourceType.INTEGER, "R", "0..100")
    assert bundled[3, "1.0"][9].units == "%"
    assert bundled[3, "1.0"].lwm2m_version == "1.0"


def test_resources_are_in_order_of_id_and_names_generate_attributes(bundled):
    for spec in every_version(bundled):
        assert list(spec.resources) == sorted(spec.resources)
        for resource in spec.resources.values():
            assert spec[resource.attribute] is resource


# --- look-ups --------------------------------------------------------------------------------------


def test_iteration_gives_the_newest_versions_in_order_of_id():
    catalog = Catalog([spec(9), spec(3, "1.9"), spec(3, "1.10"), spec(3, "1.2")])
    assert [(spec.id, spec.version) for spec in catalog] == [(3, "1.10"), (9, "1.0")]
    assert len(catalog) == 2
    assert catalog.versions(3) == ("1.2", "1.9", "1.10")
    assert 3 in catalog
    assert (3, "1.2") in catalog
    assert (3, "1.0") not in catalog
    assert (4, "1.0") not in catalog
    assert 4 not in catalog


def test_a_later_definition_replaces_an_earlier_one():
    catalog = Catalog([spec(3, r1=ResourceType.STRING), spec(3, r1=ResourceType.FLOAT)])
    assert catalog[3][1].type is ResourceType.FLOAT


def test_unknown_objects_versions_and_resources_say_what_there_is(bundled):
    with pytest.raises(UnknownObject, match="no model of object 33333"):
        bundled[33333]
    with pytest.raises(NoSuchVersion, match=r"object 3 has no version 1\.7; loaded: 1\.0, 1\.1, 1\.2"):
        bundled[3, "1.7"]
    with pytest.raises(UnknownResource, match="did you mean 'battery_level'"):
        bundled[3]["batery_level"]


def test_problems_are_kept():
    problem = Problem("x.xml", 3, "bad", refused=True)
    assert Catalog([], [problem]).problems == (problem,)


# --- views -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", [Catalog.view, lambda catalog: catalog], ids=["view", "catalog"])
def test_types_of_paths(bundled, view):
    view = view(bundled)
    assert view.types(Path("/3/0/9")) is ResourceType.INTEGER
    assert view.types(Path("/3/0/11/0")) is ResourceType.INTEGER
    assert view.types((3, 0, 0)) is ResourceType.STRING
    for nothing in ("/", "/3", "/3/0", "/3/0/4", "/3/0/999", "/33333/0/1", "/33333/0/1/2"):
        assert view.types(Path(nothing)) is None


@pytest.mark.parametrize("view", [Catalog.view, lambda catalog: catalog], ids=["view", "catalog"])
def test_resources_of_paths(bundled, view):
    view = view(bundled)
    assert view.resource(Path("/3/0/9")).name == "Battery Level"
    assert view.resource(Path("/3/0/11/0")).name == "Error Code"
    assert view.resource(Path("/3/0/4")).operations == "E"
    for nothing in ("/", "/3", "/3/0", "/3/0/999", "/33333/0/1", "/3/0/5700"):
        assert view.resource(Path(nothing)) is None
    assert view.object(33333) is None


def test_the_catalog_as_a_view_means_the_newest(bundled):
    assert bundled.object(4) is bundled[4, "1.3"]
    assert bundled.version(4) == "1.3"
    assert bundled.version(33333) == "1.0"


@pytest.mark.parametrize(
    ("enabler", "expected"),
    [
        ("1.0", {0: "1.0", 1: "1.0", 2: "1.0", 3: "1.0", 4: "1.0", 5: "1.0", 3303: "1.0"}),
        ("1.1", {0: "1.1", 1: "1.1", 2: "1.0", 3: "1.1", 4: "1.2", 5: "1.0", 3303: "1.0"}),
        ("1.2", {0: "1.2", 1: "1.2", 2: "1.1", 3: "1.2", 4: "1.3", 5: "1.1", 3303: "1.0"}),
    ],
)
def test_a_view_without_announced_versions_has_those_of_its_enabler(bundled, enabler, expected):
    view = bundled.view(enabler)
    for object_id, version in expected.items():
        assert view.version(object_id) == version
        assert view.object(object_id) is bundled[object_id, version]


def test_a_view_has_what_was_announced_and_reads_it_with_the_nearest(bundled):
    view = bundled.view("1.1", {3: "1.0", 4: "1.9", 5: "nonsense", 3336: "3.0", 33333: "1.5"})
    assert view.object(3) is bundled[3, "1.0"]
    assert (view.version(4), view.object(4)) == ("1.9", bundled[4, "1.3"])
    assert (view.version(5), view.object(5)) == ("1.0", bundled[5, "1.0"])
    assert (view.version(3336), view.object(3336)) == ("3.0", bundled[3336, "2.0"])
    assert (view.version(33333), view.object(33333)) == ("1.5", None)


def test_a_view_decodes_by_its_version():
    catalog = Catalog([spec(9, "1.0", r1=ResourceType.STRING), spec(9, "2.0", r1=ResourceType.FLOAT)])
    assert catalog.view("1.0").types((9, 0, 1)) is ResourceType.STRING
    assert catalog.view("1.0", {9: "2.1"}).types((9, 0, 1)) is ResourceType.FLOAT


def test_devices_that_announce_the_same_share_a_view(bundled):
    assert bundled.view("1.1", {3: "1.0", 5: "1.1"}) is bundled.view("1.1", {5: "1.1", 3: "1.0"})
    assert bundled.view() is bundled.view("1.1", {})
    assert bundled.view("1.0") is not bundled.view("1.1")


VERSIONS = st.sampled_from(["1.0", "1.1", "1.2", "2.0", "2.1", "9", "", "x"])


@given(
    st.sampled_from(["1.0", "1.1", "1.2"]),
    st.dictionaries(st.sampled_from([0, 3, 4, 20, 5, 33333]), VERSIONS),
)
def test_a_view_never_fails_and_agrees_with_itself(bundled, enabler, announced):
    view = bundled.view(enabler, announced)
    for object_id in (0, 3, 4, 20, 5, 33333):
        found = view.object(object_id)
        assert (found is None) == (object_id == 33333)
        for resource in found.resources.values() if found else ():
            path = (object_id, 0, resource.id)
            assert view.resource(path) is resource
            assert view.types(path) is (None if resource.type is ResourceType.NONE else resource.type)
