"""``lwm2m decode`` and ``lwm2m encode``."""

from __future__ import annotations

import json
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
    load = reading.load_catalog
    monkeypatch.setattr(reading, "load_catalog", lambda folders: load(folders) if folders else bundled)


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
        (("--format", "nope", "--path", "/3/0", "--hex", ""), "unknown content format 'nope'"),
        (("--format", "lwm2m-cbor", "--path", "/3/0", "--hex", "00"), "content format 11544"),
        (("--format", "tlv", "--path", "/three", "--hex", ""), "'/three' is not an LwM2M path"),
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


def test_one_source_is_needed() -> None:
    common = ("decode", "--format", "tlv", "--path", "/3/0")
    for sources in ((), ("--hex", BATTERY, "--base64", "wQlI"), ("--hex", BATTERY, "-")):
        assert run(*common, *sources).exit_code == 2
