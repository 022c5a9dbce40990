"""JSON bodies of what devices say."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine.coap import Code
from lwm2m_engine.engine.events import Failed, Received
from lwm2m_engine.entries import Entry
from lwm2m_engine.paths import ROOT, Path
from lwm2m_engine.values import ObjLink, ResourceType
from lwm2m_server.onem2m import content, content_everyday

AT = 1752761134.124


def answer(*entries, path="/3", **more):
    found = tuple(Entry(Path(entry[0]), *entry[1:]) for entry in entries)
    return Received("urn:dev:1", AT, "response", Path(path), Code.CONTENT, found, "read", 7, **more)


def body(event, catalog, request_id="0123", **more):
    return json.loads(content.received(event, "device001", catalog, request_id, **more))


def test_an_answer_has_the_shape_of_the_seed(catalog):
    event = answer(
        ("/3/0/0", "My Demo Device"), ("/3/0/9", 72), ("/3/0/11/0", 0), ("/3/0/13", 1752761133), path="/3"
    )
    assert body(event, catalog) == {
        "nodeResourceName": "device001",
        "time": 1752761134124,
        "messageType": "response",
        "resourcePath": "3",
        "dataValue": {"3/0/0": "My Demo Device", "3/0/9": 72, "3/0/11/0": 0, "3/0/13": 1752761133000},
        "responseCode": "2.05",
        "operation": "read",
        "requestID": "0123",
    }


def test_the_further_keys_can_be_switched_off(catalog):
    found = body(answer(("/3/0/9", 72)), catalog, extras=False)
    assert list(found) == ["nodeResourceName", "time", "messageType", "resourcePath", "dataValue"]


def test_values_are_in_order_of_their_paths(catalog):
    event = answer(("/3/0/10", 1), ("/3/0/9", 2), ("/3/0/2", "x"))
    assert list(body(event, catalog)["dataValue"]) == ["3/0/2", "3/0/9", "3/0/10"]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (2**64 - 1, ResourceType.UNSIGNED_INTEGER, "18446744073709551615"),
        (-(2**63), ResourceType.INTEGER, "-9223372036854775808"),
        (2**53 + 1, ResourceType.INTEGER, "9007199254740993"),
        (b"\xde\xad\xbe\xef", ResourceType.OPAQUE, '"3q2+7w=="'),
        (b"", ResourceType.OPAQUE, '""'),
        (ObjLink(3, 0), ResourceType.OBJLNK, '"3:0"'),
        (True, ResourceType.BOOLEAN, "true"),
        (3.0, ResourceType.FLOAT, "3.0"),
        (math.inf, ResourceType.FLOAT, '"Infinity"'),
        (-math.inf, None, '"-Infinity"'),
        (math.nan, ResourceType.FLOAT, '"NaN"'),
        (1752761133, ResourceType.TIME, "1752761133000"),
        (1752761133.5, ResourceType.TIME, "1752761133500"),
        (-1, ResourceType.TIME, "-1000"),
        (1752761133, None, "1752761133"),
        ("ä€😀", None, '"ä€😀"'),
        ("half \ud800", ResourceType.STRING, '"half ?"'),
    ],
)
def test_values_are_exact(value, kind, expected):
    assert content.dumps({"v": content.plain(value, kind)}) == f'{{"v":{expected}}}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2**63 - 1, 9.223372036854776e21), (-(2**63), -9.223372036854776e21), (1e300, 1e303), (1e308, "1e+308")],
)
def test_times_of_broken_clocks_stay_readable(catalog, value, expected):
    assert body(answer(("/3/0/13", value)), catalog)["dataValue"] == {"3/0/13": expected}
    sample = answer(("/3303/0/5700", 21.5, float(value)), path="/3303/0/5700")
    assert body(sample, catalog)["dataValue"] == {"3303/0/5700": 21.5}


def test_answers_without_a_value_have_an_empty_one(catalog):
    event = Received("e", AT, "response", Path("/3/0/4"), Code.CHANGED, operation="execute", message=7)
    found = body(event, catalog)
    assert found["dataValue"] == {}
    assert (found["responseCode"], found["operation"]) == ("2.04", "execute")


def test_a_refusal_keeps_its_code_and_diagnostic(catalog):
    event = Received(
        "e", AT, "response", Path("/3/9"), Code.NOT_FOUND, operation="read", payload=b"no such \xff"
    )
    found = body(event, catalog, None)
    assert (found["responseCode"], found["dataValue"]) == ("4.04", {})
    assert found["diagnostic"] == "no such \ufffd"
    assert "requestID" not in found


def test_own_times_are_kept_as_samples(catalog):
    event = answer(("/3/0/9", 70, AT - 20), ("/3/0/9", 72, AT - 10), ("/3/0/13", 5, AT - 15), ("/3/0/10", 1))
    found = body(event, catalog)
    assert found["dataValue"] == {"3/0/9": 72, "3/0/10": 1, "3/0/13": 5000}
    time = found["time"]
    assert found["samples"] == [
        [time - 20_000, "3/0/9", 70],
        [time - 15_000, "3/0/13", 5000],
        [time - 10_000, "3/0/9", 72],
        [time, "3/0/10", 1],
    ]


def test_a_send_has_no_response_code(catalog):
    event = Received("e", AT, "send", ROOT, Code.CHANGED, (Entry(Path("/3/0/9"), 5),), "send")
    found = body(event, catalog, None)
    assert (found["messageType"], found["resourcePath"], found["operation"]) == ("send", "", "send")
    assert "responseCode" not in found


def test_what_cannot_be_decoded_stays_readable(catalog):
    event = answer(payload=b"\x00\xff", content_format=11542, error="truncated")
    found = body(event, catalog)
    assert (found["rawPayload"], found["contentFormat"], found["error"]) == ("AP8=", 11542, "truncated")
    assert found["dataValue"] == {}


def test_a_discover_answer_lists_its_links(catalog):
    event = Received(
        "e", AT, "response", Path("/3"), Code.CONTENT, operation="discover", content_format=40,
        payload=b"</3>;pmin=10,</3/0>,</3/0/11>;dim=2",
    )  # fmt: skip
    found = body(event, catalog)
    assert found["dataValue"] == {}
    assert found["links"] == ["</3>;pmin=10", "</3/0>", "</3/0/11>;dim=2"]


def test_a_broken_discover_answer_stays_readable(catalog):
    event = Received(
        "e", AT, "response", Path("/3"), Code.CONTENT, operation="discover", content_format=40, payload=b"<3>"
    )
    found = body(event, catalog)
    assert found["rawPayload"] == "PDM+"
    assert "link" in found["error"]


def test_a_payload_nobody_asked_for_is_kept(catalog):
    event = Received("e", AT, "response", Path("/3/0/4"), Code.CHANGED, operation="execute", payload=b"ok")
    assert body(event, catalog)["rawPayload"] == "b2s="


def test_a_failure_says_why():
    event = Failed("e", AT, 7, "read", Path("/3/0/9"), "timeout", "nothing was heard")
    text = content.failed(event, "device001", "0123", reason=event.reason, detail=event.detail)
    assert json.loads(text) == {
        "nodeResourceName": "device001",
        "time": 1752761134124,
        "messageType": "error",
        "operation": "read",
        "resourcePath": "3/0/9",
        "reason": "timeout",
        "requestID": "0123",
        "detail": "nothing was heard",
    }


def test_a_line_of_the_log():
    assert json.loads(content.log("device001", AT, "awake", "")) == {
        "nodeResourceName": "device001",
        "time": 1752761134124,
        "messageType": "log",
        "event": "awake",
    }
    assert json.loads(content.log("device001", AT, "warning", "odd"))["text"] == "odd"


def test_a_registration_in_a_line():
    assert (
        content.summary("1.1", 300, True, (6, 1, 3)) == "LwM2M 1.1, lifetime 300 s, queue mode, objects 1 3 6"
    )
    assert content.summary("1.2", 0, False, (1,)) == "LwM2M 1.2, lifetime unlimited, objects 1"


def test_paths_of_an_end_device_stand_below_its_prefix(catalog):
    event = answer(("/3303/0/5700", 21.5, AT), path="/3303/0", prefix="dev0")
    found = body(event, catalog)
    assert (found["resourcePath"], found["dataValue"]) == ("dev0/3303/0", {"dev0/3303/0/5700": 21.5})
    assert found["samples"] == [[1752761134124, "dev0/3303/0/5700", 21.5]]
    failure = Failed("e", AT, 7, "read", Path("/3303/0"), "timeout", prefix="dev0")
    text = content.failed(failure, "device001", None, reason="timeout")
    assert json.loads(text)["resourcePath"] == "dev0/3303/0"


numbers = st.integers(-(2**63), 2**64 - 1) | st.floats() | st.booleans()
some_values = numbers | st.text(max_size=5) | st.binary(max_size=3) | st.none() | st.just(ObjLink(3, 0))
some_entries = st.builds(
    Entry,
    st.sampled_from([Path(text) for text in ("/3/0/9", "/3/0/10", "/3/0/2", "/3/0/11/0", "/3303/0/5700")]),
    some_values,
    st.none() | st.none() | st.just(1e9),
) | st.builds(Entry, st.just(Path("/3/0/13")), st.integers(0, 2**33) | st.floats(0, 1e9), st.none())


@settings(deadline=None)
@given(found=st.lists(some_entries, max_size=5), at=st.sampled_from([ROOT, Path("/3")]))
def test_the_short_way_says_what_the_long_way_says(catalog, found, at):
    event = Received("urn:dev:1", AT, "notification", at, Code.CONTENT, tuple(found), "notify")
    short = content_everyday.values(event, catalog)
    if short is not None:
        assert content.dumps({"dataValue": short}) == content.dumps(
            {"dataValue": content._values(event, catalog)}
        )
        assert all(entry.time is None for entry in found)


def test_what_goes_the_short_way(catalog):
    event = answer(("/3/0/9", 72), ("/3/0/2", "ü"), ("/3/0/13", 1752761133), path="/3/0")
    assert content_everyday.values(event, catalog) is not None
    assert body(event, catalog)["dataValue"] == {"3/0/2": "ü", "3/0/9": 72, "3/0/13": 1752761133000}
