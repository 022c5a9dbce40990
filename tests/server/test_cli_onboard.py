"""``lwm2m onboard`` against a real server."""

import json

import pytest
from click.testing import CliRunner

from lwm2m_server.cli import onboard as module
from lwm2m_server.cli.main import lwm2m

TABLE = """name, id, iccid, labels, groups, psk-id, psk, manufacturer
meter1, urn:gsma:imei:351934546788001, 89882280000004492060, room:1;floor:2, meters, m1, dGVzdDEyMw==, ACME
meter2, , , , , , ,
meter3, , , , nowhere, , ,
"""


@pytest.fixture
def run(server):
    def run(*words, stdin=None, code=0):
        result = CliRunner().invoke(lwm2m, ["onboard", *words, "--url", server.http], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def http(server, connect):
    return connect(server)


@pytest.fixture
async def meters(http):
    group = {"dtiot:devGr": {"rn": "meters"}}
    answer = await http.post("device-group", 28, group)
    assert answer.status_code == 201, answer.text


async def test_from_a_table_and_back(run, http, meters, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    file = tmp_path / "meters.csv"
    file.write_text(TABLE)
    result = run(str(file), "--json", code=1)
    done = json.loads(result.stdout)
    assert (done["total"], done["done"], len(done["requests"])) == (3, 2, 2)
    assert done["errors"] == ["meter3: nDGr (nodeDeviceGroups): there is no group 'nowhere'"]
    node = (await http.get("meter1?rcn=4")).json()["node"]
    assert node["nodeID"] == "urn:gsma:imei:351934546788001"
    assert node["labels"] == ["room:1", "floor:2", "profile:SCS-LwM2M", "ICCID:89882280000004492060"]
    assert node["credentials"][0]["credentialID"] == "m1"
    assert node["deviceInfo"][0]["manufacturer"] == "ACME"
    assert (await http.get("meter2")).json()["node"]["nodeID"] == "meter2"
    assert (await http.get("device-group/meters")).json()["flexContainer"]["nds"] == ["meter1"]
    result = run(str(file), code=1)
    assert "meter1: the name 'meter1' is taken" in result.stderr
    assert "0 of 3 devices let in" in result.stdout
    removed = run("-", "--remove", stdin="name\nmeter1\nmeter2\n")
    assert removed.stdout == "2 of 2 devices removed\n"
    assert (await http.get("meter1")).status_code == 404


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("", "there is no column 'name'"),
        ("name\n", "there are no devices"),
        ("id\nx\n", "there is no column 'name'"),
        ("name,colour\nx,red\n", "no column 'colour' is known; columns are name, id"),
        ("name,id\nx\n", "line 2 has not 2 cells"),
        ("name,id\nx,1\ny,2,3\n", "line 3 has not 2 cells"),
        ('name\n"x\n', "line 3"),
    ],
)
def test_tables_that_are_none(table, why, tmp_path):
    file = tmp_path / "table.csv"
    file.write_text(table)
    result = CliRunner().invoke(lwm2m, ["onboard", str(file), "--url", "http://127.0.0.1:1"])
    if '"' in table:
        # An open quote at the end of a table is closed by it.
        assert result.exit_code == 1
        return
    assert result.exit_code == 2
    assert why in result.output
