"""``lwm2m convert``."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lwm2m_engine.codecs import Codecs
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.cli import reading
from lwm2m_server.cli.main import lwm2m

DEVICE = "c800144f70656e204d6f62696c6520416c6c69616e63658606410001410105c10964"
"""TLV of /3/0: a String, a multiple Resource, an Integer."""
HISTORY = '[{"bn":"/3/0/9","bt":1700000000,"v":73},{"bt":1700000010,"v":72}]'


@pytest.fixture(scope="module")
def bundled() -> Catalog:
    return Catalog.bundled()


@pytest.fixture(autouse=True)
def _load_once(bundled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "load_models", lambda folders: bundled)


def run(*arguments: str, stdin: bytes | str = b"") -> Result:
    return CliRunner().invoke(lwm2m, ["convert", *arguments], input=stdin)


@pytest.mark.parametrize("target", [number for number in Codecs() if number not in (0, 40, 42, 60)])
def test_there_and_back(target: int) -> None:
    common = ("--path", "/3/0", "--as", "hex")
    there = run("--from", "tlv", "--to", str(target), *common, "--hex", DEVICE)
    assert there.exit_code == 0, there.output
    assert there.stderr == ""
    back = run("--from", str(target), "--to", "tlv", *common, "--hex", there.stdout.strip())
    assert back.stdout == f"{DEVICE}\n"


def test_the_payload_is_written_as_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(bytes.fromhex("c10948"))
    common = ("--from", "tlv", "--path", "/3/0")
    written = bytes.fromhex("81a221662f332f302f39021848")
    to_cbor = (*common, "--to", "senml-cbor")
    assert run(*to_cbor, "--hex", "c10948").stdout == f"{written.hex()}\n"
    assert run(*to_cbor, "--base64", "wQlI").stdout == f"{base64.b64encode(written).decode()}\n"
    assert run(*to_cbor, str(file)).stdout_bytes == written
    assert run(*to_cbor, "-", stdin=bytes.fromhex("c10948")).stdout_bytes == written
    assert run(*to_cbor, str(file), "--as", "hex").stdout == f"{written.hex()}\n"


def test_json_is_text_unless_asked_for_otherwise() -> None:
    common = ("--from", "tlv", "--to", "senml-json", "--path", "/3/0", "--hex", "c10948")
    text = '[{"bn":"/3/0/9","v":72}]'
    assert run(*common).stdout == f"{text}\n"
    assert run(*common, "--as", "bytes").stdout == text
    assert run(*common, "--as", "hex").stdout == f"{text.encode().hex()}\n"


def test_the_source_is_guessed() -> None:
    result = run("--to", "tlv", "--as", "hex", "-", stdin='{"bn":"/3/0/","e":[{"n":"9","v":72}]}')
    assert result.stdout == "c10948\n"
    assert result.stderr == "format guessed: oma-json (11543)\n"


def test_without_a_path_it_is_the_one_all_values_share() -> None:
    pack = json.dumps([{"bn": "/3/0/", "n": "9", "v": 72}, {"n": "6/0", "v": 1}])
    result = run("--to", "tlv", "--as", "hex", "-", stdin=pack)
    assert result.stdout == "c10948" + "8306410001" + "\n"
    result = run("--to", "text", "-", stdin='[{"n":"/3/0/9","v":72}]')
    assert result.stdout == "72"
    # Several Objects share none, and TLV has no way to name them.
    result = run("--to", "tlv", "-", stdin='[{"n":"/3/0/9","v":72},{"n":"/4/0/0","v":1}]')
    assert result.exit_code == 1
    assert "TLV does not name Objects" in result.stderr


@pytest.mark.parametrize("target", [ContentFormat.TLV, ContentFormat.LWM2M_CBOR])
def test_times_are_not_dropped_unasked(target: ContentFormat) -> None:
    refused = run("--to", target.label, "-", stdin=HISTORY)
    assert refused.exit_code == 1
    assert f"{target.label} ({target:d}) carries no times; --latest" in refused.stderr
    assert refused.stdout == ""
    newest = run("--to", target.label, "--latest", "--as", "hex", "-", stdin=HISTORY)
    assert newest.exit_code == 0
    assert newest.stdout.strip().endswith("48")


def test_the_newest_value_keeps_its_time_where_there_is_a_place() -> None:
    both = run("--to", "oma-json", "-", stdin=HISTORY)
    assert [record["t"] for record in json.loads(both.stdout)["e"]] == [1700000000, 1700000010]
    newest = run("--to", "oma-json", "--latest", "-", stdin=HISTORY)
    assert json.loads(newest.stdout) == {"bn": "/3/0/9", "e": [{"v": 72, "t": 1700000010}]}


def test_what_else_a_format_cannot_carry() -> None:
    result = run("--from", "tlv", "--to", "text", "--path", "/3/0", "--hex", DEVICE)
    assert result.exit_code == 1
    assert "carries one value, not 4" in result.stderr
    # Not a word of times where these are not what is in the way.
    result = run("--to", "text", "-", stdin='[{"n":"/3/0/9","t":5,"v":72},{"n":"/3/0/0","v":1}]')
    assert "--latest" not in result.stderr


def test_a_payload_a_line() -> None:
    result = run(
        "--from", "tlv", "--to", "text", "--path", "/3/0/9", "--hex", "-", stdin="c10948\nc10949\nff\n"
    )
    assert result.stdout == "72\n73\n"
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: line 3: ")


def test_a_list_of_paths_stays_one() -> None:
    listed = '[{"n":"/3/0"},{"n":"/4/0/1"}]'
    cbor = run("--to", "lwm2m-cbor", "--as", "hex", "-", stdin=listed).stdout.strip()
    assert run("--from", "senml-json", "--to", "senml-json", "-", stdin=listed).stdout == listed
    # A list of paths must not become an order to delete: {[3, 0]: null} lists, {"v": null} deletes.
    assert cbor == "a2" + "820300f6" + "83040001f6"
    refused = run("--to", "tlv", "-", stdin=listed)
    assert refused.exit_code == 1
    assert "no list of paths in this format" in refused.stderr
