"""``lwm2m models upload``, ``uploaded``, ``download`` and ``remove``, asked of a real server."""

import json
import zipfile

from click.testing import CliRunner

from lwm2m_server.cli import uploads
from lwm2m_server.cli.client import ServerError
from lwm2m_server.cli.main import lwm2m

TANK = """\
<LWM2M><Object ObjectType="MODefinition">
<Name>Tank</Name><ObjectID>{id}</ObjectID><ObjectURN>urn:oma:lwm2m:x:{id}</ObjectURN>
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources><Item ID="1"><Name>Level</Name><Operations>R</Operations>
<MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>
<Type>Float</Type><RangeEnumeration>0..1</RangeEnumeration><Units>m3</Units>
<Description>How much.</Description>
</Item></Resources></Object></LWM2M>
"""


def run(*args):
    return CliRunner().invoke(lwm2m, ["models", *map(str, args)])


def test_from_upload_to_removal(serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LWM2M_URL", serve().http)
    folder = tmp_path / "mine"
    folder.mkdir()
    for id in range(33300, 33360):
        (folder / f"{id}.xml").write_text(TANK.format(id=id))
    result = run("upload", folder)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["file", "outcome", "defines", "problems"]
    assert (len(lines), lines[1].split()) == (61, ["33300.xml", "stored", "33300/1.0"])

    (folder / "33300.xml").write_text(TANK.format(id=33300).replace("Float", "Integer"))
    (folder / "33301.xml").write_text("<LWM2M>\n<oops></LWM2M>")
    result = run("upload", folder / "33300.xml", folder / "33301.xml", "--json")
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)["files"]
    assert "--replace" not in first["problems"][0]["reason"]
    assert (first["outcome"], second["problems"][0]["line"]) == ("refused", 2)
    assert run("upload", folder / "33300.xml", "--replace").exit_code == 0

    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a/33400.xml", TANK.format(id=33400))
    result = run("upload", tmp_path / "all.zip", folder / "33300.xml", "--level", "system")
    assert [line.split()[1] for line in result.stdout.splitlines()[1:]] == ["stored", "stored"]

    rows = json.loads(run("uploaded", "--json").stdout)
    assert len(rows) == 62
    lines = run("uploaded", "--level", "system").stdout.splitlines()
    assert lines[1].split()[:7] == ["33300", "1.0", "Tank", "system", "no", "0", "0"]
    assert run("uploaded", "--level", "bundled").stdout.splitlines()[1].split()[:2] == ["0", "1.0"]

    result = run("download", "33302/1.0")
    assert (result.exit_code, result.stderr) == (0, "33302.xml written\n")
    assert (tmp_path / "33302.xml").read_text() == TANK.format(id=33302)
    assert "File exists" in run("download", "33302/1.0").stderr
    assert run("download", "33302/1.0", "--to", "-").stdout == TANK.format(id=33302)
    assert run("download", "33302", "--to", "-").exit_code == 2
    assert run("download", "33302/1.1", "--to", "-").exit_code == 2

    assert run("remove", "33302/1.0").stdout == "33302/1.0: removed; nothing is in its place\n"
    assert run("remove", "33300/1.0").stdout == "33300/1.0: removed; that of level system is in force\n"
    assert "no model 33302/1.0 is uploaded for tenant main" in run("remove", "33302/1.0").stderr
    (tmp_path / "empty").mkdir()
    assert "there is no definition file" in run("upload", tmp_path / "empty").stderr


def test_who_uses_it_is_said(monkeypatch):
    users = {
        "tenant": "main",
        "profiles": {"count": 1, "names": ["tanks"]},
        "devices": {"count": 30, "names": ["dev1", "dev2"]},
    }

    def refuse(self, method, path, body=None):
        assert (method, path.endswith("/models/33333/1.0?force=true")) == ("DELETE", True)
        raise ServerError(409, "it is used", {"users": [users]})

    monkeypatch.setattr(uploads.Client, "call", refuse)
    result = run("remove", "33333/1.0", "--force")
    assert result.exit_code == 1
    assert "profiles of main: 1 (tanks)\ndevices of main: 30 (dev1, dev2 …)\n" in result.stderr
