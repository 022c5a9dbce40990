"""``lwm2m profiles`` against a server."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

DOCUMENT = {
    "name": "meter",
    "createdTime": 1,
    "transportType": "LWM2M",
    "profileData": {
        "transportConfiguration": {
            "observeAttr": {
                "keyName": {"/3/0/9": "level"},
                "observe": ["/3/0/9"],
                "telemetry": ["/3/0/9"],
                "attributeLwm2m": {"/3/0/9": {"pmin": 5}},
            },
            "bootstrap": [{"host": "a.example.com", "port": 5683, "shortServerId": 7}],
        }
    },
}


@pytest.fixture
def run(server):
    def run(*arguments, code=0):
        result = CliRunner().invoke(lwm2m, [*arguments, "--url", server.http])
        assert result.exit_code == code, result.output
        return result.output

    return run


@pytest.fixture
def file(tmp_path):
    def file(document, name="profile.json"):
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return str(path)

    return file


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


async def test_from_import_to_delete(run, file, device, server):
    await device(server, "one")
    path = file(DOCUMENT)
    assert run("profiles", "import", path).splitlines() == [
        "meter imported",
        "note: createdTime: is not used here and was left out",
    ]
    assert "there is a profile 'meter'" in run("profiles", "import", path, code=1)
    assert "meter imported" in run("profiles", "import", "--replace", path)
    assert "other created" in run("profiles", "create", "other", file({"bootstrap": []}, "other.json"))
    shown = lines(run("profiles", "show", "meter"))
    assert "server 7 a.example.com 5683 NO_SEC" in shown
    assert "/3/0/9 observe, telemetry level pmin=5" in shown
    assert lines(run("profiles", "list", "--name", "ME"))[1:] == ["meter no 0"]
    exported = json.loads(run("profiles", "export", "meter"))
    assert exported == json.loads(run("profiles", "show", "meter", "--json"))
    exported["profileData"]["transportConfiguration"]["observeAttr"]["keyName"]["/3/0/9"] = "charge"
    changed = file(exported, "changed.json")
    rule = "5 endpoint=on*"
    assert run("profiles", "assign", "meter", "--rule", rule, "--default") == "meter assigned\n"
    assert lines(run("profiles", "preview", "meter", changed)) == [
        "1 devices; 0 of 1 registered are asked",
        "what change from to",
        "keyName /3/0/9 changed level charge",
    ]
    assert "meter replaced" in run("profiles", "edit", "meter", changed)
    assert lines(run("profiles", "devices", "meter"))[1:] == ["one one rule 5 endpoint=on*"]
    run("profiles", "assign", "other", "--device", "one")
    assert json.loads(run("profiles", "devices", "other", "--json"))[0]["by"] == "device"
    run("profiles", "unassign", "--device", "one")
    run("profiles", "unassign", "meter", "--rule", rule)
    assert lines(run("profiles", "devices", "meter"))[1:] == ["one one default"]
    assert "write /0/1/0 LWM2M Server URI" in " ".join(lines(run("profiles", "bootstrap", "meter")))
    assert "is used by" in run("profiles", "delete", "meter", code=1)
    assert run("profiles", "delete", "meter", "--force") == "meter deleted\n"
    assert json.loads(run("profiles", "schema"))["title"] == "Device profile"


MISUSE = [
    (("assign", "meter"), "name a --device"),
    (("unassign", "meter"), "name a --device"),
    (("unassign", "--default"), "which profile?"),
    (("assign", "meter", "--rule", "endpoint=x"), "does not begin with a priority"),
    (("assign", "meter", "--rule", "1 name=x"), "none of endpoint="),
    (("show", "none"), "has no profile 'none'"),
]


def test_misuse_and_files_that_are_no_profiles(run, file, tmp_path):
    run("profiles", "import", file(DOCUMENT))
    for arguments, words in MISUSE:
        assert words in run("profiles", *arguments, code=2)
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert "no JSON" in run("profiles", "import", str(broken), code=2)
    assert "a JSON object is due" in run("profiles", "import", file([]), code=2)
    told = run("profiles", "create", "x", file({"observeAttr": {"observ": []}}), code=2)
    assert "observeAttr.observ: there is no such member; did you mean 'observe'?" in told
