"""``lwm2m credentials`` against a real server."""

from __future__ import annotations

import base64
import datetime
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.security.forms import from_json

KEY = b"not to be seen!!"
TEXT = base64.b64encode(KEY).decode()


@pytest.fixture
def run(server):
    def run(*words, stdin=None, code=0):
        result = CliRunner().invoke(lwm2m, [*words, "--url", server.http], input=stdin)
        assert result.exit_code == code, result.output
        return result.output

    for name in ("one", "two", "three"):
        run("devices", "add", name)
    return run


def rows(run, *words):
    return json.loads(run("credentials", "list", *words, "--json"))


def test_from_adding_to_removing(run, tmp_path, server):
    file = tmp_path / "psk"
    file.write_text(f"{TEXT}\n")
    add = ("credentials", "add")
    run(*add, "one", "--mode", "psk", "--identity", "id-1", "--key-file", str(file))
    run(*add, "one", "--mode", "psk", "--identity", "id-1", "--key-file", "-", "--bootstrap", stdin=TEXT)
    run(*add, "two", "--mode", "psk", "--identity", "id-2", "--hex", stdin=f"{KEY.hex()}\n")
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    file.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    run(*add, "three", "--mode", "rpk", "--public-key", str(file), "--endpoint", "urn:own:3")
    (*found,) = rows(run)
    assert [(row["device"], row["side"], row["mode"], row["endpoint"]) for row in found] == [
        ("one", "bootstrap", "psk", "one"),
        ("one", "management", "psk", "one"),
        ("two", "management", "psk", "two"),
        ("three", "management", "rpk", "urn:own:3"),
    ]
    table = run("credentials", "list")
    assert "urn:own:3" in table
    run("credentials", "remove", "one", "--bootstrap")
    assert [row["mode"] for row in rows(run, "one")] == ["psk", "none"]
    run(*add, "one", "--mode", "nosec")
    assert [row["mode"] for row in rows(run, "one")] == ["nosec", "none"]
    context = ("--recipient-id", "fedc", "--sender-id", "01")
    run(*add, "one", "--mode", "oscore", *context, stdin=f"{KEY.hex()}\n")
    assert rows(run, "one")[0]["recipientId"] == "fedc"
    said = run("credentials", "list", "one", "--json") + table + server.errors()
    for secret in (TEXT, KEY.decode(), KEY.hex()):
        assert secret not in said


def test_a_generated_key_is_printed_once(run):
    printed = run("credentials", "generate", "one").strip()
    assert len(base64.b64decode(printed)) == 16
    assert rows(run, "one")[0]["identity"] == "one"
    other = run("credentials", "generate", "one", "--hex", "--identity", "id").strip()
    assert len(bytes.fromhex(other)) == 16
    assert printed not in run("credentials", "list", "--json")


def test_mistakes(run, tmp_path):
    add = ("credentials", "add", "one", "--mode")
    assert "identity" in run(*add, "psk", "--key-file", "-", stdin=TEXT, code=2)
    assert "no device" in run("credentials", "remove", "nobody", code=2)
    assert "not hexadecimal" in run(*add, "psk", "--identity", "x", "--hex", stdin=f"{TEXT}\n", code=1)
    run(*add, "psk", "--identity", "taken", stdin=f"{TEXT}\n")
    clash = ("credentials", "add", "two", "--mode", "psk", "--identity", "taken")
    assert "security identity is taken" in run(*clash, stdin=f"{TEXT}\n", code=1)
    for flag in ("--key", "--psk", "--secret"):
        assert "No such option" in run(*add, "psk", flag, TEXT, code=2)


def test_many_from_a_file(run, tmp_path):
    file = tmp_path / "fleet.csv"
    file.write_text(
        "device,for,mode,identity,key,key_hex,endpoint\n"
        f"one,,psk,id-1,{TEXT},,\n"
        f"one,bootstrap,psk,id-1,,{KEY.hex()},\n"
        f"nobody,,psk,id-9,{TEXT},,\n"
        "two,,x509,,,,urn:own:2\n"
        f"three,,psk,id-1,{TEXT},,\n"
        "three,,psk,id-3,,zz,\n"
        ",,psk,id-4,AAAA,,\n"
    )
    said = run("credentials", "import", str(file), code=1)
    assert "3 set, 4 refused" in said
    for words in ("line 4: tenant main has no device 'nobody'", "line 6: the security identity is taken"):
        assert words in said
    assert "line 7: the key is not hexadecimal" in said
    assert "line 8: device is missing" in said
    assert TEXT not in said
    assert KEY.hex() not in said
    assert [(row["device"], row["mode"]) for row in rows(run)] == [
        ("one", "psk"),
        ("one", "psk"),
        ("two", "x509"),
    ]
    assert "none of" in run("credentials", "import", "-", stdin="device,mode,colour\n", code=1)
    assert "device and mode" in run("credentials", "import", "-", stdin="device\n", code=1)


def test_the_commands_of_the_manual_work(server, tmp_path, monkeypatch):
    """In the order of the page, with the files that it has."""
    page = (Path(__file__).parents[2] / "docs/how-to/credentials.md").read_text()
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sensor7")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + datetime.timedelta(1))
    spki = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    Path("sensor7.pem").write_bytes(spki)
    Path("sensor7.crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    Path("sensor7.key").write_text(TEXT)
    Path("sensor7.secret").write_text(KEY.hex())
    (fleet,) = [text for language, text in blocks if language == "text"]
    Path("fleet.csv").write_text(fleet)

    def run(*words):
        reach = () if words[:2] == ("credentials", "key") else ("--url", server.http)
        result = CliRunner().invoke(lwm2m, [*words, *reach])
        assert result.exit_code == 0, f"{words}: {result.output}"
        return result.output

    run("devices", "add", "meter1")
    lines = [line for language, text in blocks if language == "sh" for line in text.splitlines()]
    assert len(lines) == 12
    for line in lines:
        run(*shlex.split(line.replace("/etc/lwm2m/", ""))[1:])
    assert Path("credentials.key").exists()
    shown = json.loads(run("credentials", "list", "--json"))
    assert [(row["device"], row["side"], row["mode"]) for row in shown] == [
        ("meter1", "bootstrap", "psk"),
        ("meter1", "management", "psk"),
        ("sensor7", "management", "none"),
    ]
    (documents,) = [text for language, text in blocks if language == "json"]
    for line in documents.splitlines():
        if "…" not in line:
            from_json(json.loads(line))


def test_a_key_file_is_made_once(tmp_path):
    file = tmp_path / "seal.key"
    made = CliRunner().invoke(lwm2m, ["credentials", "key", str(file)])
    assert made.exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().strip() not in made.output
    assert CliRunner().invoke(lwm2m, ["credentials", "key", str(file)]).exit_code == 1
