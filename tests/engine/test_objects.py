"""``lwm2m_engine.objects``: typed classes of the bundled registry, one definition file each."""

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lwm2m_engine import objects
from lwm2m_engine.errors import DDFError
from lwm2m_engine.model import bundle, normalized
from lwm2m_engine.model.classes import class_names, valued
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.model.stubs import write_stub
from lwm2m_engine.values import ResourceType

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def specs(catalog):
    return [catalog[newest.id, version] for newest in catalog for version in catalog.versions(newest.id)]


def test_the_generated_files_are_current():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "models/generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    stale = [name for name, text in generate.files().items() if (ROOT / name).read_text("utf-8") != text]
    assert stale == [], "run: python models/generate.py"


def test_a_class_is_that_of_the_catalog(catalog):
    for name in ("Device", "Device_1_0", "Location_3336", "Object5GNRConnectivity", "RDB_1_0"):
        assert getattr(objects, name) is catalog.classes[name]


def test_all_names_are_listed(catalog):
    assert set(catalog.classes) <= set(dir(objects))


@pytest.mark.parametrize(
    "name", ["Location", "Device_9_9", "device", "Foo_3_1_0", "Device_3_9_9", "__path__", "_"]
)
def test_names_that_are_none(name):
    with pytest.raises(AttributeError, match=rf"^module 'lwm2m_engine.objects' has no attribute '{name}'$"):
        getattr(objects, name)


def test_the_stub_names_each_class_with_its_attributes(specs):
    found = {}
    for node in ast.parse(write_stub(specs, "Title.", "a command")).body:
        if isinstance(node, ast.ClassDef):
            fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
            found[node.name] = {part.target.id: ast.unparse(part.annotation) for part in fields}
        elif isinstance(node, ast.Assign):
            found[node.targets[0].id] = found[node.value.id]
    assert {name: list(fields) for name, fields in found.items()} == {
        name: [resource.attribute for resource in valued(spec)] for name, spec in class_names(specs).items()
    }
    assert found["Device_1_2"]["battery_level"] == "int | None"
    assert found["Device"]["ext_dev_info"] == "dict[int, ObjLink] | None"


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "DIRECTORY", str(tmp_path))
    return tmp_path


A = ResourceSpec(0, "A", "a", ResourceType.INTEGER, "R", False, False)


def definition(id):
    spec = ObjectSpec(id, "Device", "1.0", "1.0", f"urn:oma:lwm2m:oma:{id}", False, False, {0: A})
    return normalized.write(spec).decode()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "No such file or directory"),
        ("<LWM2M>", "in the form of the registry"),
        (definition(4), "does not define object 3 1.0"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_said(registry, text, reason):
    file = registry / "3_1_0.xml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DDFError, match=reason) as caught:
        bundle.read_bundled(3, "1.0")
    assert caught.value.file == str(file)


def test_one_definition_is_read(registry):
    (registry / "3_1_0.xml").write_text(definition(3))
    (registry / "bad.xml").write_text("<oops")
    assert bundle.read_bundled(3, "1.0").resources[0].attribute == "a"


PROBE = """
import json, sys
{statement}
packages = {{name.partition(".")[0] for name in sys.modules}}
print(json.dumps(sorted(packages | set(sys.modules))))
"""


def imported(statement):
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement=statement)], capture_output=True, check=True, text=True
    )
    return set(json.loads(done.stdout))


HEAVY = {"lxml", "cbor2", "pluggy", "click", "rich", "asyncio", "lwm2m_server", "lwm2m_plugins"}


def test_importing_the_library_imports_next_to_nothing():
    found = imported("import lwm2m_engine")
    assert not found & HEAVY
    assert not {name for name in found if name.startswith("lwm2m_engine.")}


def test_importing_one_class_imports_what_reads_its_definition():
    found = imported("from lwm2m_engine.objects import Device")
    assert not found & HEAVY
    assert "lwm2m_engine.model.catalog" not in found
    assert not {name for name in found if name.startswith(("lwm2m_engine.engine", "lwm2m_engine.codecs"))}
