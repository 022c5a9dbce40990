"""``lwm2m decode`` and ``lwm2m encode``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.cli import reading
from lwm2m_server.cli.main import lwm2m

BATTERY = "c10948"


@pytest.fixture(scope="module")
def bundled() -> Catalog:
    return Catalog.bundled()


@pytest.fixture(autouse=True)
def _load_once(bundled: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the registry is most of what a command does; once is enough for all tests here."""
    load = reading.load_models
    monkeypatch.setattr(reading, "load_models", lambda folders: load(folders) if folders else bundled)


def run(*arguments: str, stdin: bytes | str = b"") -> Result:
    return CliRunner().invoke(lwm2m, arguments, input=stdin)


def decode(*arguments: str, stdin: bytes | str = b"") -> Any:
    result = run("decode", *arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_table_with_names_units_and_types() -> None:
    result = run("decode", "--format", "11542", "--path", "/3/0", "--hex", BATTERY)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "path    name           value  units  type",
        "/3/0/9  Battery Level  72     %      Integer",
    ]


def test_times_have_a_column_if_there_are_any() -> None:
    payload = '[{"bn":"/3/0/9","bt":1700000000.5,"v":72}]'
    result = run("decode", "--format", "senml-json", "--path", "/3/0/9", "-", stdin=payload)
    assert result.stdout.splitlines()[0].split() == ["path", "name", "value", "units", "type", "time"]
    assert result.stdout.splitlines()[1].endswith("1700000000.5")


@pytest.mark.parametrize("name", ["11542", "tlv", "1542", "application/vnd.oma.lwm2m+tlv"])
def test_formats_by_number_and_name(name: str) -> None:
    (record,) = decode("--format", name, "--path", "/3/0", "--hex", BATTERY)
    assert record == {"path": "/3/0/9", "type": "Integer", "value": 72, "time": None}


def test_where_payloads_come_from(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(bytes.fromhex(BATTERY))
    common = ("--format", "tlv", "--path", "/3/0")
    wanted = decode(*common, "--hex", BATTERY)
    assert decode(*common, "--hex", "0xC1 09 48") == wanted
    assert decode(*common, "--base64", "wQlI") == wanted
    assert decode(*common, str(file)) == wanted
    assert decode(*common, "-", stdin=bytes.fromhex(BATTERY)) == wanted


def test_json_keeps_every_value_exact() -> None:
    payload = json.dumps(
        [
            {"bn": "/3442/0/", "bt": 1700000000.125, "n": "125", "v": 2**64 - 1},
            {"n": "150", "vd": "_-8"},
            {"n": "160", "v": 946684800},
            {"n": "170", "vlo": "3:0"},
            {"n": "140", "vb": True},
            {"n": "130", "v": 1},
        ]
    )
    records = decode("--format", "110", "--path", "/3442/0", "-", stdin=payload)
    assert [(record["type"], record["value"]) for record in records] == [
        ("Unsigned Integer", 2**64 - 1),
        ("Opaque", "/+8="),
        ("Time", 946684800),
        ("Objlnk", "3:0"),
        ("Boolean", True),
        ("Float", 1.0),
    ]
    assert {record["time"] for record in records} == {1700000000.125}


@pytest.mark.parametrize("content_format", ["senml-json", "senml-cbor", "oma-json", "tlv"])
def test_what_decode_prints_encode_takes(content_format: str, tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"path": "/3442/0/125", "type": "Unsigned Integer", "value": 2**64 - 1, "time": None},
        {"path": "/3442/0/150", "type": "Opaque", "value": "/+8=", "time": None},
        {"path": "/3442/0/170", "type": "Objlnk", "value": "3:0", "time": None},
        {"path": "/3442/0/1130/7", "type": "Float", "value": 0.1, "time": None},
    ]
    common = ("--format", content_format, "--path", "/3442/0")
    file = tmp_path / "values.json"
    file.write_text(json.dumps(records))
    as_hex = run("encode", *common, "--json-input", str(file), "--hex").stdout.strip()
    as_base64 = run("encode", *common, "--base64", stdin=json.dumps(records)).stdout.strip()
    raw = run("encode", *common, "-", stdin=json.dumps(records)).stdout_bytes
    assert decode(*common, "--hex", as_hex) == records
    assert decode(*common, "--base64", as_base64) == records
    assert decode(*common, "-", stdin=raw) == records


def test_floats_that_are_no_numbers_are_text() -> None:
    (record,) = decode("--format", "tlv", "--path", "/3303/0/5700", "--hex", "e416447fc00000")
    assert record["value"] == "nan"
    encoded = run("encode", "--format", "tlv", "--path", "/3303/0/5700", "--hex", stdin=json.dumps([record]))
    assert encoded.stdout.strip() == "e416447fc00000"


def test_a_type_stands_in_for_a_missing_model() -> None:
    record = {"path": "/9999/0/1", "type": "Unsigned Integer", "value": 200}
    result = run("encode", "--format", "tlv", "--path", "/9999/0", "--hex", stdin=json.dumps([record]))
    assert result.stdout == "c101c8\n"


def test_models_of_your_own(tmp_path: Path) -> None:
    file = tmp_path / "33333.xml"
    file.write_text(
        '<LWM2M><Object ObjectType="MODefinition"><Name>Own</Name><ObjectID>33333</ObjectID>'
        "<ObjectURN>urn:oma:lwm2m:x:33333</ObjectURN><MultipleInstances>Single</MultipleInstances>"
        "<Mandatory>Optional</Mandatory><Resources>"
        '<Item ID="1"><Name>Level</Name><Operations>R</Operations>'
        "<MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>"
        "<Type>Integer</Type><RangeEnumeration></RangeEnumeration><Units>dB</Units>"
        "<Description></Description></Item></Resources></Object></LWM2M>"
    )
    common = ("--format", "tlv", "--path", "/33333/0", "--hex", "c101fe")
    assert decode(*common)[0]["type"] == "Opaque"
    (record,) = decode(*common, "--models", str(tmp_path))
    assert (record["type"], record["value"]) == ("Integer", -2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "tlv", "--path", "/3/0", "--hex", "c10948c20a"), "byte 3, content format 11542"),
        (("--format", "tlv", "--path", "/3/0", "--hex", "c009"), "path /3/0/9, byte 0"),
        (("--format", "112", "--path", "/3/0", "--hex", "0010"), "content format 112"),
        (("--format", "lwm2m-cbor", "--path", "/3/0", "--hex", "00"), "content format 11544"),
        (("--format", "tlv", "--path", "/3", "--hex", "zz"), "--hex"),
        (("--format", "tlv", "--path", "/3", "--base64", "!"), "is not base64"),
    ],
)
def test_bad_payloads_are_one_line(arguments: tuple[str, ...], said: str) -> None:
    result = run("decode", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("{}", "not an array"),
        ('[{"path": "/3/0/9"}]', "not an array"),
        ('[{"path": "/3/0/9", "value": "x"}]', "/3/0/9"),
        ('[{"path": "/3/0/9", "value": 1, "time": "now"}]', "not a number of seconds"),
        ('[{"path": "/3/0/9", "value": 1, "time": 1}]', "carries no times"),
        ('[{"path": "/6/0/0", "value": 1}]', "not below /3/0"),
        ('[{"path": "/9999/0/0", "value": 1, "type": "Int"}]', "types are String, Integer"),
    ],
)
def test_bad_values_are_one_line(text: str, said: str) -> None:
    result = run("encode", "--format", "tlv", "--path", "/3/0", "--hex", stdin=text)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_no_traceback_for_a_number_that_is_no_format() -> None:
    result = run("decode", "--format", "11541", "--path", "/3/0", "--hex", "00")
    assert result.exit_code == 2
    assert result.stderr == "Error: unknown content format (content format 11541)\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--hex", "c1094"), "Error: --hex: 5 digits are an odd number; two make a byte"),
        (("--hex", "c10g"), "Error: --hex: 'g' is no hexadecimal digit"),
        (("--hex", "c1 09 4"), "Error: --hex: 5 digits"),
        (("--base64", "wQlI="), "Error: --base64: 'wQlI=' is not base64"),
        (("--hex", ""), "Error: the payload is empty"),
    ],
)
def test_slips_are_named(arguments: tuple[str, ...], said: str) -> None:
    result = run("decode", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "nope"), "unknown content format 'nope'; known: text, "),
        (("--format", "senml_cbr"), "did you mean senml-cbor?"),
        (("--format", "TLV2"), "did you mean tlv?"),
        (("--format", "tlv", "--path", "/three"), "'/three' is not an LwM2M path"),
    ],
)
def test_arguments_that_are_wrong(arguments: tuple[str, ...], said: str) -> None:
    result = run("decode", *arguments, "--hex", "00")
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


# --- formats and paths that are not given -----------------------------------------------------------


def test_a_guess_is_said_on_standard_error() -> None:
    result = run("decode", "--path", "/3/0", "--hex", BATTERY, "--json")
    assert [record["value"] for record in json.loads(result.stdout)] == [72]
    assert result.stderr == "format guessed: tlv (11542)\n"


def test_all_that_could_be_meant_is_said() -> None:
    result = run("decode", "--path", "/3/0/9", "--hex", "3830", "--json")
    assert [record["value"] for record in json.loads(result.stdout)] == [80]
    assert result.stderr == "format guessed: text (0); cbor (60) would give other values\n"
    result = run("decode", "-", stdin='[{"n":"/3/0/9","v":72}]')
    assert result.stderr == ("format guessed: senml-json (110); senml-etch-json (320) would give the same\n")


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        ("senml-json", b'[{"bn":"/3/0/9","v":72}]'),
        ("senml-cbor", bytes.fromhex("81a221662f332f302f39021848")),
        ("oma-json", b'{"bn":"/3/0/","e":[{"n":"9","v":72}]}'),
        ("lwm2m-cbor", bytes.fromhex("a103a100a1091848")),
        ("senml-etch-json", b'[{"bn":"/3/0/9","v":72}]'),
    ],
)
def test_no_path_is_needed_where_the_payload_says_it(content_format: str, payload: bytes) -> None:
    wanted = [{"path": "/3/0/9", "type": "Integer", "value": 72, "time": None}]
    assert decode("--format", content_format, "-", stdin=payload) == wanted
    assert decode("-", stdin=payload) == wanted


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--format", "tlv", "--hex", BATTERY), "tlv (11542) does not say what it is about: give the path"),
        (("--format", "text", "--hex", "3732"), "text (0) does not say what it is about"),
        (("--hex", BATTERY), "this looks like tlv (11542), which does not name its object: give the path"),
        (("--hex", "3732"), "no format that names its objects fits this payload: give the path"),
        (("--path", "/4", "--base64", "W3sibiI6Ii8zLzAvOSIsInYiOjcyfV0="), "senml-json (110) or"),
        (("--path", "/3/0", "--hex", "ff"), "no format fits this payload at /3/0; --format says why"),
    ],
)
def test_what_is_missing_is_said(arguments: tuple[str, ...], said: str) -> None:
    result = run("decode", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_encode_finds_the_path_in_its_values() -> None:
    records = [{"path": "/3/0/9", "value": 72}, {"path": "/3/0/0", "value": "x"}]
    result = run("encode", "--format", "tlv", "--hex", stdin=json.dumps(records))
    assert result.stdout == "c10948c10078\n"


def test_paths_alone_and_values_to_delete() -> None:
    listed = decode("-", stdin='[{"n":"/3/0"},{"n":"/4/0/1"}]')
    assert [(record["path"], record["value"]) for record in listed] == [("/3/0", None), ("/4/0/1", None)]
    deleted = [{"path": "/3/0/6/0", "type": "Integer", "value": None, "time": None}]
    payload = run("encode", "--format", "senml-etch-json", stdin=json.dumps(deleted)).stdout
    assert decode("--format", "senml-etch-json", "-", stdin=payload) == deleted


# --- several payloads -------------------------------------------------------------------------------


def test_a_payload_a_line() -> None:
    lines = "c10948\n\nC1:09:49\n0xc1094a\n"
    result = run("decode", "--format", "tlv", "--path", "/3/0", "--hex", "-", "--json", stdin=lines)
    assert result.exit_code == 0
    assert [json.loads(line)[0]["value"] for line in result.stdout.splitlines()] == [72, 73, 74]
    result = run("decode", "--format", "tlv", "--path", "/3/0", "--base64", "-", "--json", stdin="wQlI\nwQlJ")
    assert [json.loads(line)[0]["value"] for line in result.stdout.splitlines()] == [72, 73]


def test_a_line_that_is_no_payload_does_not_stop_the_others() -> None:
    result = run("decode", "--path", "/3/0", "--hex", "-", "--json", stdin="zz\nc10948\nc1\n")
    assert result.exit_code == 1
    assert [json.loads(line)[0]["value"] for line in result.stdout.splitlines()] == [72]
    assert result.stderr.splitlines() == [
        "Error: line 1: --hex: 'z' is no hexadecimal digit",
        "line 2: format guessed: tlv (11542)",
        "Error: line 3: no format fits this payload at /3/0; --format says why one does not",
    ]


def test_tables_of_lines_have_headings() -> None:
    result = run("decode", "--format", "tlv", "--path", "/3/0", "--hex", "-", stdin="c10948\n")
    assert result.stdout.splitlines() == [
        "line 1:",
        "path    name           value  units  type",
        "/3/0/9  Battery Level  72     %      Integer",
        "",
    ]


def test_lines_that_never_come() -> None:
    result = run("decode", "--path", "/3/0", "--hex", "-", stdin="\n")
    assert result.exit_code == 1
    assert result.stderr == "Error: --hex -: there is no payload on standard input\n"


# --- dump -------------------------------------------------------------------------------------------


def test_bytes_beside_what_they_mean() -> None:
    result = run("decode", "--format", "tlv", "--path", "/3/0", "--hex", BATTERY, "--dump")
    assert result.stdout.splitlines() == [
        "0000  c1 09                    ..        Resource 9, 1 byte",
        "0002  48                       H           /3/0/9 Battery Level = 72 %",
    ]


def test_a_dump_tells_times() -> None:
    payload = '[{"bn":"/3/0/9","bt":1700000000,"v":72}]'
    result = run("decode", "--format", "110", "--dump", "-", stdin=payload)
    assert "/3/0/9 Battery Level = 72 % at 1700000000" in result.stdout


# --- start ------------------------------------------------------------------------------------------


def test_decoding_imports_nothing_it_does_not_need() -> None:
    script = (
        "import sys; from lwm2m_server.cli.main import lwm2m\n"
        "try: lwm2m.main('decode --format tlv --path /3/0 --hex c10948'.split(), prog_name='lwm2m')\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30
    )
    assert "Battery Level" in done.stdout
    heavy = {"rich", "asyncio", "aiocoap", "starlette", "cbor2", "pluggy", "lwm2m_engine.engine"}
    assert not heavy & set(done.stderr.split())


def test_one_source_is_needed() -> None:
    common = ("decode", "--format", "tlv", "--path", "/3/0")
    for sources in ((), ("--hex", BATTERY, "--base64", "wQlI"), ("--hex", BATTERY, "-")):
        assert run(*common, *sources).exit_code == 2


@pytest.mark.parametrize("content_format", ["tlv", "senml-json", "senml-cbor", "oma-json", "lwm2m-cbor"])
@pytest.mark.parametrize("shown", ["--dump", "--table"])
def test_no_values(content_format: str, shown: str) -> None:
    result = run("decode", "--format", content_format, "--path", "/3/0", "--hex", "", shown)
    assert result.exit_code == 0
    assert result.stderr == "the payload has no values\n"
    assert "/3" not in result.stdout


def test_an_empty_text_is_a_value() -> None:
    result = run("decode", "--format", "text", "--path", "/3/0/0", "--hex", "", "--dump")
    assert result.stdout.split(maxsplit=1) == ["0000", '/3/0/0 Manufacturer = ""\n']
