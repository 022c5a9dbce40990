"""``lwm2m plugins``: a person starts a mapping, mistypes, and is told where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lwm2m_engine import Catalog, Entry, PluginManager
from lwm2m_engine import Path as LwPath
from lwm2m_engine.values import Value
from lwm2m_server.cli.plugins import plugins


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(plugins, arguments)


def test_what_new_writes_passes_check_and_maps_the_battery(tmp_path: Path) -> None:
    assert run("new", "plugins/bat.py").exit_code == 0
    checked = run("check", "plugins/bat.py")
    assert (checked.exit_code, checked.stdout) == (0, "plugins/bat.py: good, writes battery\n")
    table = PluginManager.default([tmp_path / "plugins"]).table(Catalog.bundled())
    managed: dict[str, dict[str, Value]] = {}
    entries = [Entry(LwPath("/3/0/9"), 72), Entry(LwPath("/3/0/20"), 0)]
    (change,) = table.apply("dev1", {}, managed, entries, [])
    assert change.kind == "m2m:battery"
    assert managed == {"battery": {"batteryLevel": 72, "batteryStatus": 1}}
    assert table.reads == (3, 6)


def test_new_never_writes_over_a_file(tmp_path: Path) -> None:
    (tmp_path / "bat.py").write_text("mine")
    result = run("new", "bat.py")
    assert (result.exit_code, result.stderr) == (1, "Error: bat.py: File exists\n")
    assert (tmp_path / "bat.py").read_text() == "mine"
    assert run("new", "bat.txt").exit_code == 2


def test_check_names_file_rule_and_the_nearest_name(tmp_path: Path) -> None:
    run("new", "bat.py")
    run("new", "good.py")
    text = (tmp_path / "bat.py").read_text()
    (tmp_path / "bat.py").write_text(text.replace("/3/0/battery_level", "/3/0/batery_level"))
    result = run("check", "bat.py")
    assert result.exit_code == 1
    assert result.stderr == (
        "bat.py: bat: battery: rule batteryLevel <- /3/0/batery_level: "
        "object 3 has no resource 'batery_level'; did you mean 'battery_level'?\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("examples=[", "examples=[][:0] and [", "a mapping needs at least one example"),
        ('"batteryLevel": 72', '"batteryLevel": 71', "example 1: batteryLevel is 72, expected 71"),
        ("status + 1", "status / 0", "convert(1) raised ZeroDivisionError"),
        ("@hookimpl", "", "it has no hook"),
        ("yield Mapping", "yield Mapping Mapping", "invalid syntax in line 13"),
        ('"m2m:battery"', '"m2m:deviceInfo"', "good, writes battery"),
        (
            'name="battery"',
            'name="device-info"',
            "'device-info' is m2m:deviceInfo in plugin onem2m_device and",
        ),
    ],
)
def test_check_says_what_is_wrong(tmp_path: Path, old: str, new: str, reason: str) -> None:
    run("new", "bat.py")
    text = (tmp_path / "bat.py").read_text()
    assert old in text
    (tmp_path / "bat.py").write_text(text.replace(old, new))
    result = run("check", "bat.py")
    assert reason in result.output
    assert result.exit_code == (0 if "good" in reason else 1)


def test_check_finds_that_two_files_write_the_same() -> None:
    run("new", "one.py")
    run("new", "two.py")
    result = run("check", "one.py", "two.py", "--json")
    assert result.exit_code == 1
    assert [(row["name"], row["status"]) for row in json.loads(result.stdout)] == [
        ("one", "loaded"),
        ("two", "failed"),
    ]
    assert "written by one (" in result.stderr


def test_check_knows_objects_of_ones_own(tmp_path: Path) -> None:
    run("new", "bat.py")
    text = (tmp_path / "bat.py").read_text()
    (tmp_path / "bat.py").write_text(
        text.replace("/3/0/9", "/33333/0/0").replace("/3/0/battery_level", "/33333/0/charge")
    )
    (tmp_path / "own.xml").write_text(OWN_OBJECT)
    assert "no model of object 33333" in run("check", "bat.py").output
    assert run("check", "bat.py", "--models", "own.xml").exit_code == 0


def test_list_has_a_row_for_each_and_strict_exits_1() -> None:
    run("new", "plugins/bat.py")
    Path("plugins/bad.py").write_text("1 / 0")
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert {name: row["status"] for name, row in rows.items() if row["origin"] != "bundled"} == {
        "bad": "not loaded",
        "bat": "not loaded",
    }
    assert (rows["onem2m_device"]["status"], rows["onem2m_device_more"]["status"]) == ("loaded", "off")
    result = run("list", "--plugins-dir", "plugins", "--enable", "onem2m_device_more", "--json")
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["onem2m_device_more"]["status"] == "loaded"
    assert (rows["bad"]["status"], rows["bat"]["status"]) == ("failed", "loaded")
    assert rows["bat"]["mappings"] == ["battery"]
    assert rows["bad"]["reason"] == "plugins/bad.py: ZeroDivisionError: division by zero in line 1"
    assert result.exit_code == 0
    assert run("list", "--plugins-dir", "plugins", "--strict").exit_code == 1


def test_list_is_readable() -> None:
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["name", "status", "writes", "origin", "reason"]
    assert ["onem2m_device", "loaded", "device-info", "bundled"] in [line.split() for line in lines]


OWN_OBJECT = """<?xml version="1.0" encoding="UTF-8"?>
<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:noNamespaceSchemaLocation="http://openmobilealliance.org/tech/profiles/LWM2M.xsd">
 <Object ObjectType="MODefinition">
  <Name>Own</Name><Description1/><ObjectID>33333</ObjectID><ObjectURN>urn:oma:lwm2m:x:33333</ObjectURN>
  <LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0</ObjectVersion>
  <MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>
  <Resources>
   <Item ID="0"><Name>Charge</Name><Operations>R</Operations><MultipleInstances>Single</MultipleInstances>
    <Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration/><Units/><Description/></Item>
  </Resources><Description2/>
 </Object>
</LWM2M>
"""
