"""``lwm2m devices add``, ``devices import`` and ``enrolments`` against a real server."""

import json

import pytest
from click.testing import CliRunner

from lwm2m_server.cli import enrolment, enrolments
from lwm2m_server.cli.main import lwm2m

KEY = "5e" * 16


@pytest.fixture
def run(server):
    def run(*words, code=0, stdin=None):
        result = CliRunner().invoke(lwm2m, [*words, "--url", server.http], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return run


def test_a_device_and_a_table_of_them(run, tmp_path, monkeypatch):
    made = run("devices", "add", "one", "--endpoint", "urn:one", "--label", "a:b", "--generate-key").stdout
    key = made.split()[-1]
    shown = run("credentials", "list", "one").stdout
    assert "psk" in shown
    assert key not in shown
    run("devices", "add", "two", "--psk-id", "x", code=2)
    assert "no device profile" in run("devices", "add", "two", "--profile", "none", code=2).output
    file = tmp_path / "table.csv"
    lines = [f"d{n},id-{n},{KEY}" for n in range(5)]
    # A cell may have several lines, and numbers are those of the file.
    quoted = '"d5",id-5,"\nbroken"'
    file.write_text("\n".join(["name,identity,key", *lines, quoted, "d6,id-6,xyz", ""]))
    monkeypatch.setattr(enrolment, "PART", 2)
    monkeypatch.setattr(enrolment, "PAUSE", 0.01)
    look = run("devices", "import", str(file), "--dry-run", code=1)
    assert "it would be: 5 let in, 0 as before, 2 refused" in look.stdout
    assert "line 8: client.key: an even number of hexadecimal digits is due" in look.stderr
    assert "line 9: client.key" in look.stderr
    run("devices", "import", str(file), code=1)
    again = json.loads(run("devices", "import", str(file), "--json", code=1).stdout)
    assert (again["created"], again["unchanged"], again["refused"]) == (0, 5, 2)
    assert "no column 'size'" in run("devices", "import", "-", stdin="name,size\na,1\n", code=2).output
    run("devices", "import", "-", stdin="", code=2)


def test_rules(run, monkeypatch):
    monkeypatch.setattr(enrolments, "BATCH", 2)
    rule = {"by": "keys", "approval": "auto", "endpoints": ["m-*"]}
    run("enrolments", "set", "meters", "-", stdin=json.dumps(rule))
    keys = "identity,key\n" + "".join(f"m-{n},{KEY}\n" for n in range(3))
    assert "3 keys stored" in run("enrolments", "keys", "meters", "-", stdin=keys).stdout
    shown = json.loads(run("enrolments", "show", "meters").stdout)
    assert (shown["keysWaiting"], KEY in str(shown)) == (3, False)
    assert run("enrolments", "list").stdout.split()[5:8] == ["meters", "keys", "m-*"]
    assert json.loads(run("enrolments", "pending", "--json").stdout) == []
    assert "no device 'm-1' waits" in run("enrolments", "approve", "m-1", code=2).output
    run("enrolments", "reject", "m-1", code=2)
    run("enrolments", "keys", "meters", "-", stdin="identity\nx\n", code=2)
    assert "by: one of" in run("enrolments", "set", "other", "-", stdin="{}", code=2).output
    run("enrolments", "set", "other", "-", stdin="{", code=2)
    run("enrolments", "remove", "meters")
    run("enrolments", "show", "meters", code=2)
