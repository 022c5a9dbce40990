"""Models read when they are asked for are the models of the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import Sources
from lwm2m_server.cli.definitions import Definitions

OWN = """<LWM2M><Object ObjectType="MODefinition"><Name>Own</Name><ObjectID>{id}</ObjectID>
<ObjectURN>urn:oma:lwm2m:x:{id}</ObjectURN><ObjectVersion>{version}</ObjectVersion>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory><Resources>
<Item ID="1"><Name>Level</Name><Operations>R</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration></RangeEnumeration><Units>dB</Units>
<Description></Description></Item></Resources></Object></LWM2M>"""


def test_all_of_the_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    catalog, definitions = Catalog.bundled(), Definitions()
    for spec in catalog:
        assert definitions.object(spec.id) == spec
        assert definitions.version(spec.id) == spec.version
        for resource in spec.resources.values():
            path = (spec.id, 0, resource.id)
            assert definitions.types(path) == catalog.types(path)
            assert definitions.resource(path) == catalog.resource(path)


def test_what_nobody_knows() -> None:
    definitions = Definitions()
    assert definitions.object(65000) is None
    assert definitions.version(65000) == "1.0"
    assert definitions.types((65000, 0, 1)) is None
    assert definitions.types((3,)) is None
    assert definitions.resource((3, 0)) is None
    assert definitions.resource((3, 0, 9999)) is None


@pytest.mark.parametrize("version", ["1.0", "1.2", "1.10"])
def test_files_of_your_own_count_as_in_a_catalog(version: str, tmp_path: Path) -> None:
    (tmp_path / "any.xml").write_text(OWN.format(id=3, version=version))
    (tmp_path / "other.xml").write_text(OWN.format(id=33333, version="1.0"))
    (tmp_path / "bad.xml").write_text("<LWM2M>")
    catalog = Catalog.of(Sources.standard([tmp_path]))
    definitions = Definitions([tmp_path])
    for object_id in (3, 4, 33333):
        assert definitions.object(object_id) == catalog.object(object_id)
    assert definitions.version(3) == ("1.10" if version == "1.10" else "1.2")
    refused = [problem.file for problem in definitions.problems if problem.refused]
    assert refused == [str(tmp_path / "bad.xml")]
