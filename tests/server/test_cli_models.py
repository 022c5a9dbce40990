"""``lwm2m models``."""

import importlib
import json
import os

import pytest
from click.testing import CliRunner

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import bundled_directory
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.cli.models import models

TANK = """\
<LWM2M><Object ObjectType="MODefinition">
<Name>Tank</Name><ObjectID>33333</ObjectID><ObjectURN>urn:oma:lwm2m:x:33333</ObjectURN>
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources><Item ID="1"><Name>Level</Name><Operations>R</Operations>
<MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>
<Type>Float</Type><RangeEnumeration>0..1</RangeEnumeration><Units>m3</Units>
<Description>How much.</Description>
</Item></Resources></Object></LWM2M>
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in an empty directory without models of the user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*args):
        return CliRunner().invoke(lwm2m, ["models", *map(str, args)])

    return run


@pytest.fixture
def tank(tmp_path):
    file = tmp_path / "models" / "xml" / "tank.xml"
    file.parent.mkdir(parents=True)
    file.write_text(TANK)
    return file


def test_the_group_is_named_models():
    assert models.name == "models"
    assert list(models.commands) == [
        "list", "show", "diff", "schema", "which", "check", "normalize", "stubs",
        "upload", "uploaded", "download", "remove",
    ]  # fmt: skip


def test_list(run):
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 1 + 327
    assert lines[0].split() == ["id", "name", "versions", "urn"]
    assert lines[4].split() == ["3", "Device", "1.0", "1.1", "1.2", "urn:oma:lwm2m:oma:3:1.2"]


def test_list_as_json(run, tank):
    rows = {row["id"]: row for row in json.loads(run("list", "--json").stdout)}
    assert len(rows) == 328
    assert rows[3]["versions"] == ["1.0", "1.1", "1.2"]
    assert rows[33333] == {
        "id": 33333,
        "name": "Tank",
        "version": "1.0",
        "lwm2m_version": "1.0",
        "urn": "urn:oma:lwm2m:x:33333",
        "multiple": True,
        "mandatory": False,
        "file": "models/xml/tank.xml",
        "versions": ["1.0"],
    }


def test_show(run):
    lines = run("show", "3/1.0").stdout.splitlines()
    assert lines[0] == "Device: object 3 version 1.0, single, mandatory"
    assert lines[1].startswith("urn:oma:lwm2m:oma:3, LwM2M 1.0 or later, ")
    assert lines[3] == "/3 Device"
    (row,) = [line for line in lines if line.startswith("├─ 9 ")]
    assert row.split() == ["├─", "9", "Battery", "Level", "battery_level", "R", "Integer", "0-100", "%"]
    assert lines[-1].startswith("└─ 22 ")
    assert "Integer, multiple  mandatory  0-8" in lines[4 + 11]


def test_show_values_that_have_names(run):
    lines = run("show", "3387").stdout.splitlines()
    start = lines.index("│  ├─ 0: disabled")
    assert lines[start - 1].split()[:2] == ["├─", "800"]
    assert lines[start + 4] == "│  └─ 255: non_responsive"


def test_show_an_object_without_resources(run, tank):
    tank.write_text(TANK[: TANK.index("<Resources>")] + "<Resources/></Object></LWM2M>")
    assert run("show", "33333").stdout.splitlines()[3:] == ["/33333 Tank"]


def test_show_as_json_is_the_newest_version(run):
    shown = json.loads(run("show", "3", "--json").stdout)
    assert (shown["id"], shown["version"]) == (3, "1.2")
    assert {
        "id": 9,
        "name": "Battery Level",
        "attribute": "battery_level",
        "operations": "R",
        "type": "Integer",
        "multiple": False,
        "mandatory": False,
        "range": "0..100",
        "units": "/100",
    } in shown["resources"]


def test_diff(run):
    assert run("diff", "4/1.0", "4").stdout.splitlines() == [
        "version: 1.0 -> 1.3",
        "lwm2m_version: 1.0 -> 1.1",
        "urn: urn:oma:lwm2m:oma:4 -> urn:oma:lwm2m:oma:4:1.3",
        "~ 6   link_utilization: units % -> /100",
        "~ 9   smnc: units % -> none",
        "+ 11  SignalSNR  signal_snr  R  Integer  dB",
        "+ 12  LAC  lac  R  Integer",
        "+ 13  Coverage Enhancement Level  coverage_enhancement_level  R  Integer  0..4",
    ]
    assert "- 12  LAC  lac  R  Integer" in run("diff", "4", "4/1.0").stdout
    assert run("diff", "4/1.3", "4").stdout == ""


def test_ranges_that_mean_the_same_are_no_difference(run, tank):
    (tank.parent / "new.xml").write_text(
        TANK.replace("<Resources>", "<ObjectVersion>1.1</ObjectVersion><Resources>").replace(
            "0..1", "0 .. 1.0"
        )
    )
    assert not [line for line in run("diff", "33333/1.0", "33333/1.1").stdout.splitlines() if "~" in line]


def test_diff_as_json(run):
    found = json.loads(run("diff", "4", "4/1.2", "--json").stdout)
    assert found["object"] == {
        "version": ["1.3", "1.2"], "urn": ["urn:oma:lwm2m:oma:4:1.3", "urn:oma:lwm2m:oma:4:1.2"]
    }  # fmt: skip
    assert [row["attribute"] for row in found["resources"]["removed"]] == ["coverage_enhancement_level"]
    assert found["resources"]["added"] == []
    assert {"id": 6, "fields": {"units": ["/100", "%"]}} in found["resources"]["changed"]


def test_schema(run, tank):
    assert json.loads(run("schema", "33333/1.0").stdout) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:oma:lwm2m:x:33333",
        "title": "Tank",
        "description": "Object 33333 version 1.0",
        "type": "object",
        "properties": {
            "level": {
                "title": "Level",
                "x-lwm2m": {"id": 1, "operations": "R", "units": "m3"},
                "type": "number",
                "minimum": 0,
                "maximum": 1,
            }
        },
        "required": ["level"],
        "additionalProperties": False,
    }


def test_stubs(run, tank, tmp_path, monkeypatch):
    result = run("stubs", tank.parent, "--to", "my_objects.py")
    assert (result.exit_code, result.stdout) == (0, "my_objects.py and my_objects.pyi written\n")
    assert "level: float | None" in (tmp_path / "my_objects.pyi").read_text()
    monkeypatch.syspath_prepend(tmp_path)
    my_objects = importlib.import_module("my_objects")
    assert repr(my_objects.Tank_1_0(level=0.5)) == "Tank(level=0.5)"
    assert my_objects.Tank is Catalog.load(tank).classes["Tank"]
    assert {"Tank", "Tank_1_0"} <= set(dir(my_objects))
    assert not hasattr(my_objects, "Device")
    assert run("stubs", tank.parent, "--to", "my_objects.py").exit_code == 0


@pytest.mark.parametrize("damage", ["refused", "gone"])
def test_a_module_of_stubs_warns_of_files_it_cannot_use(run, tank, tmp_path, monkeypatch, damage):
    run("stubs", tank.parent, "--to", f"my_{damage}.py")
    if damage == "gone":
        tank.unlink()
        tank.parent.rmdir()
    else:
        tank.write_text("<LWM2M/>")
    monkeypatch.syspath_prepend(tmp_path)
    reason = {"gone": "no such file or directory", "refused": "there is no <Object>"}[damage]
    with pytest.warns(UserWarning, match=f"^not used: .*{reason}$"):
        module = importlib.import_module(f"my_{damage}")
    assert not hasattr(module, "Tank")


def test_stubs_do_not_replace_what_somebody_wrote(run, tank, tmp_path):
    (tmp_path / "objects.py").write_text("print()\n")
    result = run("stubs", tank.parent)
    assert result.exit_code == 1
    assert "objects.py: was not written by this command; not replaced" in result.stderr
    assert (tmp_path / "objects.py").read_text() == "print()\n"


def test_stubs_say_what_they_could_not_use(run, tank, tmp_path):
    (tank.parent / "bad.xml").write_text("<LWM2M/>")
    result = run("stubs", tank.parent)
    assert result.exit_code == 1
    assert "not used" in result.stderr
    assert "class Tank" in (tmp_path / "objects.pyi").read_text()


def test_models_of_a_folder(run, tmp_path, tank):
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.xml").write_text(TANK.replace("Tank", "Drum"))
    assert "Drum: object 33333" in run("show", "33333", "--models", other).stdout
    assert "Tank: object 33333" in run("show", "33333").stdout


def test_which(run, tank):
    lines = run("which", "4").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["version", "1.0", "1.1", "1.2", "1.3"]
    assert lines[-1].split() == ["1.3", "newest", str(bundled_directory() / "4_1_3.xml")]
    (row,) = json.loads(run("which", "33333", "--json").stdout)
    assert (row["version"], row["file"]) == ("1.0", "models/xml/tank.xml")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["show", "33333"], 1, "no model of object 33333 is loaded"),
        (["show", "3/7.0"], 1, "object 3 has no version 7.0; loaded: 1.0, 1.1, 1.2"),
        (["show", "device"], 2, "'device' is not an object id such as 3, or 3/1.0"),
        (["which", "33333"], 1, "no model of object 33333 is loaded"),
        (["diff", "3/1.0", "3/7.0"], 1, "object 3 has no version 7.0; loaded: 1.0, 1.1, 1.2"),
        (["schema", "33333"], 1, "no model of object 33333 is loaded"),
        (["stubs", ".", "--to", "my-objects.py"], 2, "'my-objects.py' is not the name of a Python module"),
        (["stubs", ".", "--to", "objects.pyi"], 2, "'objects.pyi' is not the name of a Python module"),
        (["stubs", ".", "--to", "no/objects.py"], 1, "no/objects.pyi: No such file or directory"),
        (["list", "--models", "nowhere"], 2, "'nowhere' does not exist"),
        (["check", "nowhere"], 2, "'nowhere' does not exist"),
        (["check", "."], 1, "there is no definition file (*.xml)"),
    ],
)
def test_errors_are_one_sentence(run, args, code, message):
    result = run(*args)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_bad_file_is_said_and_the_rest_works(run, tank):
    (tank.parent / "bad.xml").write_text("<LWM2M>\n<oops></LWM2M>")
    result = run("show", "33333")
    assert result.exit_code == 0
    assert result.stderr.startswith("not used: models/xml/bad.xml:2: ")


def test_check(run, tank):
    assert run("check", tank.parent).stdout.splitlines()[1].split() == [str(tank), "ok", "33333/1.0"]
    (tank.parent / "bad.xml").write_text(TANK.replace("Float", "Flot"))
    (tank.parent / "odd.xml").write_text(TANK.replace("33333", "33334").replace("Float", ""))
    result = run("check", "models")
    assert result.exit_code == 1
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        [
            "models/xml/bad.xml",
            "refused",
            "line",
            "6:",
            "unknown",
            "Type",
            "'Flot';",
            "did",
            "you",
            "mean",
            "'Float'?",
        ],
        ["models/xml/odd.xml", "tolerated", "33334/1.0", "line", "4:", "a", "resource", "has", "no", "type"],
        ["models/xml/tank.xml", "ok", "33333/1.0"],
    ]


def test_check_as_json(run, tank):
    odd = tank.with_name("odd.xml")
    odd.write_text(TANK.replace("Float", ""))
    result = run("check", odd, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        {
            "file": str(odd),
            "state": "tolerated",
            "defines": ["33333/1.0"],
            "problems": [{"line": 4, "reason": "a resource has no type"}],
        }
    ]


def test_check_skips_companions_of_the_registry(run, tank):
    tank.write_text('<LWM2M><Object ObjectType="CommonResources"/></LWM2M>')
    result = run("check", tank)
    assert (result.exit_code, result.stdout.split()[5]) == (0, "skipped")


def test_check_refuses_what_two_files_define_differently(run, tank):
    tank.with_name("drum.xml").write_text(TANK.replace("Tank", "Drum"))
    result = run("check", tank.parent, "--json")
    assert result.exit_code == 1
    assert [row["state"] for row in json.loads(result.stdout)] == ["ok", "refused"]


def test_normalize(run, tank, tmp_path):
    result = run("normalize", tank.parent, "out")
    assert (result.exit_code, result.stdout) == (0, "1 files written to out\n")
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "33333_1_0.xml"
    first = file.read_bytes()
    assert b"How much" not in first
    assert (
        run("normalize", "out", "again", "--json").stdout == f'[\n  "{os.path.join("again", file.name)}"\n]\n'
    )
    assert (tmp_path / "again" / file.name).read_bytes() == first


def test_normalize_says_what_it_could_not_use(run, tank):
    (tank.parent / "bad.xml").write_text("<LWM2M/>")
    result = run("normalize", tank.parent, "out")
    assert result.exit_code == 1
    assert "not used" in result.stderr
    assert result.stdout == "1 files written to out\n"


def test_normalize_into_a_file_is_an_error(run, tank):
    result = run("normalize", tank.parent, tank / "below")
    assert result.exit_code == 1
    assert "Not a directory" in result.stderr
