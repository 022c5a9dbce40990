"""The files of the OMA registry as published, where a copy of them lies beside the checkout."""

from collections import Counter
from pathlib import Path

import attrs
import pytest
from lxml import etree

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.normalized import is_prose
from lwm2m_engine.model.sources import Sources, bundled_directory

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def registry():
    folder = ROOT.parent / "shared" / "data" / "oma-registry"
    if not folder.is_dir():
        pytest.skip("no copy of the OMA registry beside the checkout")
    return folder


@pytest.fixture(scope="module")
def published(registry):
    return Catalog.of(Sources([registry]))


def every_version(catalog):
    return [catalog[newest.id, version] for newest in catalog for version in catalog.versions(newest.id)]


def test_all_files_load(published):
    specs = every_version(published)
    assert (len(published), len(specs)) == (327, 424)
    assert sum(len(spec.resources) for spec in published) == 3464
    assert sum(len(spec.resources) for spec in specs) == 4506
    assert [problem for problem in published.problems if problem.refused] == []


def test_file_name_id_version_and_urn_agree(published):
    for spec in every_version(published):
        assert Path(spec.source).name == f"{spec.id}-{spec.version.replace('.', '_')}.xml"
    assert not any("ObjectURN" in problem.reason for problem in published.problems)


def test_counts_of_object_facts(published):
    specs = every_version(published)
    assert Counter(spec.version for spec in specs) == {
        "1.0": 322 + 5, "1.1": 71, "1.2": 5, "1.3": 1, "2.0": 19, "2.1": 1,
    }  # fmt: skip
    assert Counter(spec.lwm2m_version for spec in specs) == {"1.0": 362 + 6, "1.1": 50, "1.2": 6}
    assert Counter(spec.multiple for spec in published) == {True: 233, False: 94}
    assert sum(spec.mandatory for spec in published) == 15
    assert sum(spec.name == "Location" for spec in published) == 2


def test_counts_of_resource_facts(published):
    types = Counter(item.type.value for spec in every_version(published) for item in spec.resources.values())
    assert types == {
        "Integer": 1280, "Float": 1126, "String": 791, "Boolean": 382, "": 344, "Time": 197,
        "Unsigned Integer": 147, "Opaque": 139, "Objlnk": 78, "Corelnk": 22,
    }  # fmt: skip
    newest = [item for spec in published for item in spec.resources.values()]
    assert sum(bool(item.range) for item in newest) == 747
    assert len({item.units for item in newest if item.units}) == 66
    units = Counter(item.units for item in newest)
    assert (units["s"], units["/100"], units["ms"], units["Cel"]) == (208, 67, 41, 20)


def test_oddities_are_reported_and_no_others(published):
    reasons = Counter(problem.reason.partition(" (")[0] for problem in published.problems)
    assert reasons == {
        "elements of <Item> are not in the order of the schema": 18,
        "elements of <Object> are not in the order of the schema": 1,
        "<Item> without <RangeEnumeration>": 18,
        "the schema it names is too old for its types": 1,
        "<ObjectVersion> is empty; 1.0 is assumed": 1,
        "<LWM2MVersion> is empty; 1.0 is assumed": 1,
        "an executable resource has a type": 1,
        "a resource has no type": 1,
        "an executable resource has multiple instances": 1,
        "a list of reusable resources, not an object definition: skipped": 1,
        "an index of object definitions, not an object definition: skipped": 1,
        "a list of units, not an object definition: skipped": 1,
    }


def test_reusable_resources_mean_the_same_everywhere(registry, published):
    common = {
        int(item.get("ID")): tuple(
            (item.findtext(tag) or "").strip() for tag in ("Name", "Operations", "Type")
        )
        for item in etree.parse(registry / "Common.xml").iter("Item")
    }
    assert len(common) == 177
    used = [item for spec in published for item in spec.resources.values() if item.reusable]
    assert len(used) == 1215
    for item in used:
        assert (item.name, item.operations, item.type.value) == common[item.id]


def test_the_bundled_files_hold_the_same_facts(published):
    bundled = Catalog.bundled()
    assert [spec.id for spec in bundled] == [spec.id for spec in published]
    prose = 0
    for spec in every_version(published):
        cut = {
            id: attrs.evolve(item, range="") if is_prose(item.range) else item
            for id, item in spec.resources.items()
        }
        prose += sum(is_prose(item.range) for item in spec.resources.values())
        assert bundled[spec.id, spec.version] == attrs.evolve(spec, resources=cut)
    assert prose == 4


def test_the_bundled_files_are_valid_by_the_published_schemas(registry):
    schemas = {name: etree.XMLSchema(file=registry / name) for name in ("LWM2M.xsd", "LWM2M-v1_1.xsd")}
    for file in bundled_directory().glob("*.xml"):
        root = etree.parse(file).getroot()
        location = root.get("{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation")
        schema = schemas[location.rpartition("/")[2]]
        assert schema.validate(root), f"{file.name}: {schema.error_log}"
