"""Configurations as JSON: what is filled in for a client, and what is wrong with them."""

from __future__ import annotations

import pytest

from lwm2m_engine import Entry, Path
from lwm2m_engine.bootstrap.preview import preview
from lwm2m_engine.bootstrap.template import config_of, is_personal
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import ObjLink

SECURE = {
    "write": {
        "/0/1": {
            "lwm2m_server_uri": "coaps://dm.example.com:5684",
            "1": False,
            "2": 0,
            "3": {"text": "{endpoint}"},
            "5": {"key": "management"},
            "10": 123,
        },
        "/1/0": {"0": 123, "1": 300, "6": True, "7": "U"},
    }
}


@pytest.fixture
def read(catalog):
    def read(document, endpoint="urn:dev:1"):
        return config_of(document, endpoint, lambda name: f"{name}:{endpoint}".encode(), catalog)

    return read


def values(config, path):
    entries = (entry for write in config.writes for entry in write.entries)
    return {entry.path[2:]: entry.value for entry in entries if entry.path.startswith(Path(path))}


def test_each_client_has_its_own_name_and_key(read):
    for endpoint in ("urn:dev:1", "urn:dev:2"):
        security = values(read(SECURE, endpoint), "/0/1")
        assert security[3,] == endpoint.encode()
        assert security[5,] == f"management:{endpoint}".encode()


def test_names_and_numbers_of_resources(read):
    assert values(read(SECURE), "/0/1")[0,] == "coaps://dm.example.com:5684"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("AAEC", b"\0\1\2"),
        ({"hex": "00 01 02"}, b"\0\1\2"),
        ({"text": "a{endpoint}b{{c}}"}, b"aurn:dev:1b{c}"),
    ],
)
def test_ways_to_write_bytes(read, written, expected):
    document = {"write": {"/0/1": {"3": written}}}
    assert values(read(document), "/0/1")[3,] == expected


def test_keys_that_are_not_named_are_written_empty(read):
    """Object 0 calls them mandatory in every mode, and some clients insist."""
    assert values(read({"write": {"/0/1": {"0": "coap://h:1", "2": 3, "10": 1}}}), "/0/1") == {
        (0,): "coap://h:1",
        (2,): 3,
        (3,): b"",
        (4,): b"",
        (5,): b"",
        (10,): 1,
    }
    assert values(read(SECURE), "/0/1")[4,] == b""
    assert [entry.path[2] for entry in read(SECURE).writes[0].entries] == [0, 1, 2, 3, 4, 5, 10]
    assert (4,) not in values(read({"write": {"/1/0": {"0": 1}}}), "/1/0"), "of object 0 only"


def test_whole_objects_and_single_resources(read):
    config = read(
        {"write": {"/1": {"0": {"0": 1}, "1": {"0": 2}}, "/1/0/10": "11:0", "/1/0/24": {"0": "11:1"}}}
    )
    assert [str(write.path) for write in config.writes] == ["/1/0", "/1/1", "/1/0/10", "/1/0/24"]
    assert config.writes[2].entries == (Entry(Path("/1/0/10"), ObjLink(11, 0)),)
    assert config.writes[3].entries == (Entry(Path("/1/0/24/0"), ObjLink(11, 1)),)


def test_everything_else(read):
    config = read(
        {
            "delete": ["/1", "/0/3"],
            "discover": ["/", "/3"],
            "read": ["/1", "/2"],
            "automaticIds": False,
            "contentFormat": "lwm2m-cbor",
            "onFailure": "stop",
            "retries": 3,
            "noSec": True,
            "notes": ["as agreed"],
            "write": {"/1/0": {"0": 1}},
        }
    )
    assert config.deletes == (Path("/1"), Path("/0/3"))
    assert config.discovers == (Path("/"), Path("/3"))
    assert config.reads == (Path("/1"), Path("/2"))
    assert (config.automatic_ids, config.content_format) == (False, ContentFormat.LWM2M_CBOR)
    assert (config.on_failure, config.retries, config.nosec) == ("stop", 3, True)
    assert config.notes == ("as agreed",)


@pytest.mark.parametrize(
    ("document", "place", "reason"),
    [
        ({"writes": {}}, "writes", "no such member"),
        ({"write": []}, "write", "a JSON object is due"),
        ({"write": {"/1/0": 5}}, "/1/0", ""),
        ({"write": {"/1/0": {"0": "abc"}}}, "/1/0/0", "Short Server ID"),
        ({"write": {"/1/0": {"99": 1}}}, "/1/0/99", "no resource 99"),
        ({"write": {"/1/0": {"lifetim": 1}}}, "/1/0", "did you mean 'lifetime'"),
        ({"write": {"/0/1": {"0": "coap://{host}"}}}, "/0/1", "{host} is nothing that is filled in"),
        ({"write": {"/0/1": {"0": "coap://{"}}}, "/0/1", "nothing that is filled in"),
        ({"write": {"/0/1": {"3": {"hex": "xyz"}}}}, "/0/1", "not hexadecimal"),
        ({"write": {"/0/1": {"3": {"text": 1}}}}, "/0/1", "takes a text"),
        ({"write": {"/0/1": {"3": "%%%"}}}, "/0/1/3", "not base64"),
        ({"write": {"/0/1": {"3": {"key": "management"}}}}, "/0/1", "a Resource that holds a secret"),
        ({"write": {"/11": {"0": {"5": {"key": "a"}}}}}, "/11", "a Resource that holds a secret"),
        ({"write": {"/x": {}}}, "/x", "not an id"),
        ({"write": {"/": {}}}, "/", "an Object Instance or a Resource is written"),
        ({"delete": "/"}, "delete", "a JSON list is due"),
        ({"delete": ["nowhere"]}, "delete", "not an id"),
        ({"delete": ["/1/0/1"]}, "delete", "Object Instance is due"),
        ({"automaticIds": 1}, "automaticIds", "true or false"),
        ({"retries": 11}, "retries", "from 0 to 10"),
        ({"retries": True}, "retries", "from 0 to 10"),
        ({"onFailure": "explode"}, "onFailure", "continue, stop"),
        ({"contentFormat": "text"}, "contentFormat", "writes no Object Instance"),
        ({"contentFormat": "yaml"}, "contentFormat", "unknown content format"),
    ],
)
def test_what_is_wrong_has_its_place(read, document, place, reason):
    with pytest.raises(ExceptionGroup) as refused:
        read(document)
    (fault,) = refused.value.exceptions
    assert str(fault.path) == place
    assert reason in str(fault)


def test_all_faults_at_once(read):
    with pytest.raises(ExceptionGroup) as refused:
        read({"write": {"/1/0": {"0": "x"}, "/1/1": {"0": "y"}}, "retries": -1})
    assert len(refused.value.exceptions) == 3


def test_the_preview_is_the_session(read):
    shown = preview(read(SECURE))
    lines = [f"{step.operation} {step.path}" for step in shown.steps]
    assert lines == ["discover /", "delete /", "write /0/1", "write /1/0", "finish /"]
    assert any("other ids" in note for note in shown.notes)


def test_the_preview_says_why_there_is_no_pack(read):
    assert "sent to /bs" in " ".join(preview(read(SECURE | {"read": ["/1"]})).notes)


def test_the_preview_warns_of_keys_in_clear(read):
    assert not any("in clear" in note for note in preview(read(SECURE)).notes)
    assert any("in clear" in note for note in preview(read(SECURE | {"noSec": True})).notes)


@pytest.mark.parametrize(
    ("document", "personal"),
    [
        (SECURE, True),
        ({"write": {"/0/1": {"5": {"key": "management"}}}}, True),
        ({"write": {"/0/1": {"3": {"text": "{endpoint}"}}}}, True),
        ({"write": {"/0/1": {"3": {"text": "same"}, "10": 1}}, "delete": ["/"]}, False),
    ],
)
def test_what_may_be_another_for_each_client(document, personal):
    assert is_personal(document) is personal
