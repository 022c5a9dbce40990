"""Device management cases, each under its number: LS 6 to 12, RD, WR, WC, CR, DE, EX, DI, AT."""

from __future__ import annotations

import pytest

from lwm2m_engine import Entry, Path, encode
from lwm2m_engine.coap import CoapReply, Code
from lwm2m_engine.engine.events import Failed, Held, Observed, Received, RegistrationChanged, Sent
from lwm2m_engine.entries import latest
from lwm2m_engine.errors import RequestError
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.values import ObjLink

LINKS = b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</2>,</3/0>,</3442/0>,</5/0>'
FORMATS = ("text", "tlv", "cbor", "oma-json", "senml-json", "senml-cbor")


@pytest.fixture
def world(world):
    world.register(links=LINKS)
    return world


def last(world) -> Received:
    return world.told(Received)[-1]


def values(world) -> dict[str, object]:
    return {str(entry.path): entry.value for entry in last(world).entries}


def asked(world):
    """Method, path and query of the oldest request on the wire."""
    request = world.wire[0].request
    return Code(request.code), "/" + "/".join(request.path), request.query


# --- LS: time limits and times -----------------------------------------------------------------------


def test_ls_6_no_acknowledgement(world):
    world.ask("GET /3", id=1)
    exchange = world.wire[0].exchange
    world.fail("timeout")
    failed = world.told(Failed)[0]
    assert (failed.reason, failed.detail) == ("timeout", "the device did not acknowledge the request")
    told = len(world.events)
    world.take(world.engine.answered(exchange, CoapReply(Code.CONTENT), world.now))
    assert len(world.events) == told


def test_ls_7_an_acknowledgement_and_no_response(world):
    world.ask("GET /3", id=1)
    world.take(world.engine.acknowledged(world.wire[0].exchange, world.now))
    assert world.told(Sent)
    world.fail("timeout")
    failed = world.told(Failed)[0]
    assert failed.detail == "the device acknowledged the request and never answered"


def test_ls_8_an_observe_after_the_deregistration_waits(world):
    world.say(Code.DELETE, "rd/" + world.engine.registration("dev1").id)
    world.ask("OBSERVE /3/0")
    assert not world.wire
    assert not world.told(Observed)
    assert world.engine.presence("dev1").waiting == 1


def senml(world, payload, observe=None):
    world.answer(CoapReply(Code.CONTENT, payload, ContentFormat.SENML_JSON, observe=observe))
    return [(str(entry.path), entry.value, entry.time) for entry in last(world).entries]


def test_ls_9_a_read_keeps_its_time(world):
    world.ask("GET /1/0/1\nAccept: senml-json\n\n")
    assert world.wire[0].request.accept == 110
    assert senml(world, b'[{"bn":"/1/0/1","bt":1664832119,"v":3600}]') == [("/1/0/1", 3600, 1664832119)]


def test_ls_10_observe_and_active_cancel_keep_their_times(world):
    world.ask("OBSERVE /1/0/1")
    token = world.wire[0].token
    assert senml(world, b'[{"bn":"/1/0/1","bt":1664832119,"v":3600}]', 0)[0][2] == 1664832119
    world.ask("CANCEL /1/0/1")
    assert (world.wire[0].token, world.wire[0].request.observe) == (token, 1)
    assert senml(world, b'[{"bn":"/1/0/1","bt":1664832129,"v":3601}]')[0][2] == 1664832129
    assert not world.engine.knows(token)


TWO = b'[{"bn":"/1/0/1","bt":1664832119.123,"v":3600},{"bn":"/3/0/15","vs":"Europe/Belgrade"}]'


@pytest.mark.parametrize(("method", "observe"), [("FETCH", None), ("OBSERVE", 0)], ids=["LS-11", "LS-12"])
def test_ls_11_and_12_composites_keep_their_times(world, method, observe):
    world.ask(f"{method} /1/0/1,/3/0/15")
    assert senml(world, TWO, observe) == [
        ("/1/0/1", 3600, 1664832119.123),
        ("/3/0/15", "Europe/Belgrade", 1664832119.123),
    ]


# --- RD ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("path", ["/3/0/1", "/3442/0/1110/0"], ids=["RD-1", "RD-2"])
def test_rd_1_and_2_a_value_in_every_format(world, path, name):
    number = ContentFormat.named(name)
    world.ask(f"GET {path}\nAccept: {name}\n\n")
    assert (asked(world), world.wire[0].request.accept) == ((Code.GET, path, ()), number)
    world.answer(world.content({path: "IT-TEST-123"}, path, number))
    assert (last(world).content_format, values(world)) == (number, {path: "IT-TEST-123"})


def test_rd_3_an_instance_of_a_single_resource(world):
    with pytest.raises(RequestError, match="single value"):
        world.ask("GET /3/0/1/0")


@pytest.mark.parametrize("name", ["tlv", "oma-json", "senml-json", "senml-cbor"])
@pytest.mark.parametrize(
    ("path", "found"),
    [("/2", {}), ("/3", {"/3/0/0": "x", "/3/0/11/0": 0}), ("/3/0", {"/3/0/0": "x", "/3/0/13": 946684800})],
)
def test_rd_4_objects_and_instances(world, path, found, name):
    world.ask(f"GET {path}")
    world.answer(world.content(found, path, ContentFormat.named(name)))
    assert last(world).error is None
    assert values(world) == found


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/3/0/4", Code.METHOD_NOT_ALLOWED),
        ("/3442/1", Code.NOT_FOUND),
        ("/3/0/3", Code.NOT_FOUND),
    ],
    ids=["RD-5", "RD-6 instance", "RD-6 resource"],
)
def test_rd_5_and_6_refusals_of_the_device_are_told(world, path, code):
    world.ask(f"GET {path}", id=3)
    world.answer(CoapReply(code))
    assert (last(world).code, last(world).message, last(world).entries) == (code, 3, ())
    assert not world.told(Failed)


@pytest.mark.parametrize("path", ["/50", "/3/1", "/3/0/50", "/0/0/0"])
def test_rd_6_and_7_what_cannot_be_there_is_not_asked(world, path):
    with pytest.raises(RequestError) as caught:
        world.ask(f"GET {path}")
    assert caught.value.code == Code.BAD_REQUEST
    assert not world.wire


@pytest.mark.parametrize("name", ["text", "opaque", "cbor", "tlv", "senml-json", "senml-cbor"])
def test_rd_8_an_empty_opaque_value(world, name):
    world.ask(f"GET /3442/0/150\nAccept: {name}\n\n")
    world.answer(world.content({"/3442/0/150": b""}, "/3442/0/150", ContentFormat.named(name)))
    assert values(world) == {"/3442/0/150": b""}


@pytest.mark.parametrize("paths", ["/", "/3/0/0,/1/0/1", "/3442/0/1110/0", "/3/0/0,/1"])
@pytest.mark.parametrize("name", ["senml-json", "senml-cbor"])
def test_rd_9_read_composite(world, paths, name):
    number = ContentFormat.named(name)
    world.ask(f"FETCH {paths}\nAccept: {name}\n\n")
    request = world.wire[0].request
    assert (request.code, request.path, request.accept) == (Code.FETCH, (), number)
    assert world.engine._state.codecs.decode_paths(request.payload, request.content_format) == [
        Path(path) for path in paths.split(",")
    ]
    told = {"/3442/0/1110/0": "y"} if paths.startswith("/3442") else {"/3/0/0": "x", "/1/0/1": 60}
    world.answer(world.content(told, "/", number))
    assert values(world) == told
    assert last(world).paths == tuple(Path(path) for path in paths.split(","))


# --- WR and WC ---------------------------------------------------------------------------------------

WRITTEN = {
    "/3442/0/110": ("stringvalue", "stringvalue"),
    "/3442/0/140": ("true", True),
    "/3442/0/120": ("-999", -999),
    "/3442/0/130": ("999.99", 999.99),
    "/3442/0/160": ("946681000", 946681),
    "/3442/0/125": ("18446744073709551615", 2**64 - 1),
    "/3442/0/170": ("10245:1", ObjLink(10245, 1)),
    "/3442/0/180": (
        '</3>;ver=1.2,</3/1>,</3/1/0>;attr1="attr1Value";attr2=attr2Value',
        '</3>;ver=1.2,</3/1>,</3/1/0>;attr1="attr1Value";attr2=attr2Value',
    ),
    "/3442/0/150": ("AQID", b"\x01\x02\x03"),
    "/3442/0/1110/0": ("newValue", "newValue"),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("path", WRITTEN)
def test_wr_1_and_2_every_type_in_every_format(world, path, name):
    text, value = WRITTEN[path]
    number = ContentFormat.named(name)
    world.ask(f"PUT {path}\nContent-Format: {name}\n\n{text}")
    request = world.wire[0].request
    assert (asked(world), request.content_format) == ((Code.PUT, path, ()), number)
    assert request.payload == encode(
        [Entry(Path(path), value)], number, at=Path(path), types=world.catalog.types
    )
    world.answer(CoapReply(Code.CHANGED))
    assert last(world).code == Code.CHANGED


def test_wr_3_a_value_of_the_wrong_type_is_refused_before_it_is_sent(world):
    with pytest.raises(RequestError, match="milliseconds or ISO 8601"):
        world.ask("PUT /3/0/13 a string instead of a timestamp")
    assert not world.wire


@pytest.mark.parametrize(
    ("text", "code", "path", "written"),
    [
        (
            'PUT /1/0 {"1": 120, "2": 10, "6": false, "7": "U"}',
            Code.PUT,
            "/1/0",
            {"/1/0/1": 120, "/1/0/2": 10, "/1/0/6": False, "/1/0/7": "U"},
        ),
        ('POST /1/0 {"1": 120, "2": 10}', Code.POST, "/1/0", {"/1/0/1": 120, "/1/0/2": 10}),
        (
            'PUT /3/0 {"14": "+02", "15": "Europe/Paris"}',
            Code.PUT,
            "/3/0",
            {"/3/0/14": "+02", "/3/0/15": "Europe/Paris"},
        ),
        (
            'PUT /3442/0/1110 {"10": "value10", "20": "value20"}',
            Code.PUT,
            "/3442/0/1110",
            {"/3442/0/1110/10": "value10", "/3442/0/1110/20": "value20"},
        ),
        (
            'POST /3442/0/1110 {"20": "value200", "30": "value30"}',
            Code.POST,
            "/3442/0/1110",
            {"/3442/0/1110/20": "value200", "/3442/0/1110/30": "value30"},
        ),
        (
            'PUT /3442/0 {"1110": {"0": "string1"}, "1120": {"0": 11, "1": 22}}',
            Code.PUT,
            "/3442/0",
            {"/3442/0/1110/0": "string1", "/3442/0/1120/0": 11, "/3442/0/1120/1": 22},
        ),
        (
            'PUT /3442/0/1170 {"0": "10245:1", "1": "10242:2"}',
            Code.PUT,
            "/3442/0/1170",
            {"/3442/0/1170/0": ObjLink(10245, 1), "/3442/0/1170/1": ObjLink(10242, 2)},
        ),
        (
            'PUT /3442/0/1150 {"2": "AQID", "3": "BAUG"}',
            Code.PUT,
            "/3442/0/1150",
            {"/3442/0/1150/2": b"\x01\x02\x03", "/3442/0/1150/3": b"\x04\x05\x06"},
        ),
    ],
    ids=["WR-4", "WR-5", "WR-5b", "WR-6 replace", "WR-6 update", "WR-7", "WR-8", "WR-9"],
)
def test_wr_4_to_9_instances_and_multiple_resources(world, text, code, path, written):
    world.ask(text)
    request = world.wire[0].request
    assert asked(world) == (code, path, ())
    read = world.engine._state.codecs.decode(
        request.payload, request.content_format, at=Path(path), types=world.catalog.types
    )
    assert {str(entry.path): entry.value for entry in read} == written
    world.answer(CoapReply(Code.CHANGED))
    assert world.told(Sent)


@pytest.mark.parametrize("code", [Code.METHOD_NOT_ALLOWED, Code.NOT_FOUND, Code.BAD_REQUEST])
def test_wr_10_refused_writes_are_told(world, code):
    world.ask('PUT /1/0 {"1": 120}', id=5)
    world.answer(CoapReply(code))
    assert (last(world).code, last(world).message) == (code, 5)


@pytest.mark.parametrize("name", ["senml-json", "senml-cbor"])
@pytest.mark.parametrize(
    "written",
    [
        {"/3/0/14": "+02", "/1/0/2": 100},
        {"/3/0/14": "+11", "/3442/0/1110/0": "x"},
        {"/3442/0/1110/1": "a", "/3442/0/1110/2": "b"},
    ],
    ids=["WC-1", "WC-2", "WC-3"],
)
def test_wc_1_to_3_write_composite(world, written, name):
    body = ", ".join(f'"{path}": {value!r}'.replace("'", '"') for path, value in written.items())
    world.ask(f"IPATCH\nContent-Format: {name}\n\n{{{body}}}")
    request = world.wire[0].request
    number = ContentFormat.named(name)
    assert (asked(world), request.content_format) == ((Code.IPATCH, "/", ()), number)
    entries = [Entry(Path(path), value) for path, value in written.items()]
    assert request.payload == encode(entries, number, types=world.catalog.types)
    world.answer(CoapReply(Code.CHANGED))
    assert last(world).operation == "write-composite"


def test_a_null_in_a_write_composite_deletes_a_resource_instance_in_1_2(world):
    text = 'IPATCH {"/3442/0/1110/1": null}'
    with pytest.raises(RequestError, match=r"came with LwM2M 1\.2, the device speaks 1\.1"):
        world.ask(text)
    world.register(query="lwm2m=1.2", links=LINKS)
    world.ask(text)
    assert world.wire[0].request.code == Code.IPATCH
    read = world.engine._state.codecs.decode(
        world.wire[0].request.payload, world.wire[0].request.content_format, types=world.catalog.types
    )
    assert [(str(entry.path), entry.value) for entry in read] == [("/3442/0/1110/1", None)]


# --- CR and DE ---------------------------------------------------------------------------------------


def test_cr_1_the_device_chooses_the_instance(world):
    for number in range(2):
        world.ask('POST /2 {"3": 33}')
        request = world.wire[0].request
        assert (asked(world), request.content_format) == ((Code.POST, "/2", ()), ContentFormat.TLV)
        assert request.payload == bytes.fromhex("c10321")
        world.answer(CoapReply(Code.CREATED, location=("2", str(number))))
        assert last(world).created == Path((2, number))
    assert world.engine.registration("dev1").instances[1:3] == (Path("/2/0"), Path("/2/1"))
    assert len(world.told(RegistrationChanged)) == 2


@pytest.mark.parametrize("name", ["tlv", "oma-json", "senml-json", "senml-cbor"])
def test_cr_2_a_chosen_instance(world, name):
    world.ask(f'POST /2\nContent-Format: {name}\n\n{{"/2/12": {{"3": 123}}}}')
    request = world.wire[0].request
    number = ContentFormat.named(name)
    assert asked(world) == (Code.POST, "/2", ())
    entries = [Entry(Path("/2/12/3"), 123)]
    assert request.payload == encode(entries, number, at=Path("/2"), types=world.catalog.types)
    world.answer(CoapReply(Code.CREATED))
    assert last(world).created == Path("/2/12")
    assert Path("/2/12") in world.engine.registration("dev1").instances


def test_cr_3_several_instances_at_once(world):
    world.ask('POST /2 {"/2/12": {"3": 123}, "/2/13": {"3": 124}}')
    request = world.wire[0].request
    entries = [Entry(Path("/2/12/3"), 123), Entry(Path("/2/13/3"), 124)]
    types = world.catalog.types
    assert request.payload == encode(entries, request.content_format, at=Path("/2"), types=types)
    world.answer(CoapReply(Code.CREATED))
    assert last(world).created is None
    assert {Path("/2/12"), Path("/2/13")} <= set(world.engine.registration("dev1").instances)


@pytest.mark.parametrize("code", [Code.BAD_REQUEST, Code.METHOD_NOT_ALLOWED], ids=["CR-4", "CR-5"])
def test_cr_4_and_5_a_refused_create_makes_nothing(world, code):
    before = world.engine.registration("dev1")
    world.ask('POST /2 {"/2/0": {"0": 12}}')
    world.answer(CoapReply(code))
    assert last(world).created is None
    assert world.engine.registration("dev1") is before


@pytest.mark.parametrize("path", ["/0", "/50"])
def test_cr_5_objects_it_does_not_have(world, path):
    with pytest.raises(RequestError, match="has no object"):
        world.ask(f'POST {path} {{"0": "x"}}')


def test_create_chooses_tlv_even_when_another_format_is_announced(world):
    world.register(links=b"</>;ct=112,</3/0>,</2>")
    world.ask('POST /2 {"3": 33}')
    assert world.wire[0].request.content_format == ContentFormat.TLV


def test_de_1_delete(world):
    world.ask('POST /2 {"/2/0": {"3": 33}}')
    world.answer(CoapReply(Code.CREATED))
    world.ask("DELETE /2/0")
    assert asked(world) == (Code.DELETE, "/2/0", ())
    world.answer(CoapReply(Code.DELETED))
    assert Path("/2/0") not in world.engine.registration("dev1").instances
    for code in (Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED):
        world.ask("DELETE /2/7")
        world.answer(CoapReply(code))
        assert last(world).code == code


def test_de_2_a_resource_cannot_be_deleted(world):
    with pytest.raises(RequestError, match="a Resource Instance is expected"):
        world.ask("DELETE /3/0/9")


def test_a_resource_instance_can_be_deleted_in_1_2(world):
    with pytest.raises(RequestError, match=r"came with LwM2M 1\.2, the device speaks 1\.1"):
        world.ask("DELETE /3442/0/1110/1")
    world.register(query="lwm2m=1.2", links=LINKS)
    world.ask("DELETE /3442/0/1110/1")
    assert asked(world) == (Code.DELETE, "/3442/0/1110/1", ())
    world.answer(CoapReply(Code.DELETED))
    assert last(world).code == Code.DELETED


# --- EX and DI ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [Code.METHOD_NOT_ALLOWED, Code.NOT_FOUND])
def test_ex_1_what_cannot_be_executed_is_the_devices_to_say(world, code):
    world.ask("POST /3/0/0")
    world.answer(CoapReply(code))
    assert last(world).code == code


@pytest.mark.parametrize(
    ("text", "payload", "number"),
    [
        ("POST /3/0/4", b"", None),
        ("POST /3/0/4?6", b"6", 0),
        ("POST /5/0/2?0='now',1", b"0='now',1", 0),
        ("POST /3/0/4?3=''", b"3=''", 0),
    ],
)
def test_ex_2_execute_with_and_without_arguments(world, text, payload, number):
    world.ask(text)
    request = world.wire[0].request
    assert (request.code, request.payload, request.content_format) == (Code.POST, payload, number)
    world.answer(CoapReply(Code.CHANGED))
    assert last(world).code == Code.CHANGED


@pytest.mark.parametrize("text", ["5='x", "4,4", "a='hello'", "3'hello'", "3=hello", "10", "0='a b'"])
def test_ex_2_bad_arguments_are_refused_before_they_are_sent(world, text):
    with pytest.raises(RequestError):
        world.ask(f"POST /3/0/4?{text}")
    assert not world.wire


DISCOVERED = (
    b"</3>,</3/0>,</3/0/0>,</3/0/1>,</3/0/2>,</3/0/11>;dim=2,</3/0/14>,</3/0/15>,</3/0/16>",
    b"</3/0>,</3/0/0>",
    b"</3/0/0>",
    b"</3/0/11>;dim=2,</3/0/11/1>,</3/0/11/3>",
)


@pytest.mark.parametrize("payload", DISCOVERED)
def test_di_1_discover(world, payload):
    path = payload.split(b">")[0][1:].decode()
    world.ask(f"DISCOVER {path}")
    assert (asked(world), world.wire[0].request.accept) == ((Code.GET, path, ()), 40)
    world.answer(CoapReply(Code.CONTENT, payload, ContentFormat.LINK_FORMAT))
    assert (last(world).operation, last(world).payload) == ("discover", payload)


def test_di_2_what_is_not_there_cannot_be_discovered(world):
    world.ask("DISCOVER /3442/1")
    world.answer(CoapReply(Code.NOT_FOUND))
    assert last(world).code == Code.NOT_FOUND


def test_discover_with_depth_needs_1_2(world):
    with pytest.raises(RequestError, match="depth came with LwM2M 1"):
        world.ask("DISCOVER /3?depth=2")
    world.register(query="lwm2m=1.2", links=LINKS)
    world.ask("DISCOVER /3?depth=2")
    assert asked(world) == (Code.GET, "/3", ("depth=2",))


# --- AT ----------------------------------------------------------------------------------------------


def write_attributes(world, path, query):
    world.ask(f"PUT {path}?{query}")
    assert asked(world) == (Code.PUT, path, tuple(query.split("&")))
    assert world.wire[0].request.payload == b""
    world.answer(CoapReply(Code.CHANGED))


def test_at_1_to_4_sets_replaces_and_removes(world):
    for query in ("pmin=100&pmax=200", "pmin=150", "pmax", "pmin=300&pmax=600"):
        write_attributes(world, "/3", query)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/3/0", "pmin=100&pmax=200"),
        ("/3/0/9", "pmin=100&pmax=200&st=1&lt=20&gt=50"),
        ("/3/0/7/0", "pmin=100&pmax=200&st=1&lt=20&gt=50"),
    ],
    ids=["AT-5", "AT-6", "AT-7"],
)
def test_at_5_to_7_on_every_level(world, path, query):
    write_attributes(world, path, query)


def test_at_8_all_levels_at_once(world):
    write_attributes(world, "/3", "pmin=1000&pmax=2000")
    write_attributes(world, "/3/0", "pmin=100&pmax=200")
    write_attributes(world, "/3/0/7", "pmin=10&pmax=20&st=10&lt=200&gt=500")
    write_attributes(world, "/3/0/7/0", "pmin=1&pmax=2&st=1&lt=20&gt=50")


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ("pmax=200", "pmin=300"),
        ("epmax=200", "epmin=300"),
        ("lt=200", "gt=100"),
        ("lt=200", "gt=200"),
        ("lt=10&st=2", "gt=11"),
        ("lt=10&gt=15", "st=3"),
    ],
)
def test_attributes_that_contradict_what_was_written_are_refused(world, before, then):
    write_attributes(world, "/3/0/9", before)
    with pytest.raises(RequestError):
        world.ask(f"PUT /3/0/9?{then}")
    assert not world.wire
    # What has not been written counts for nothing.
    world.ask(f"PUT /5/0/3?{then}")


def test_na_10_attributes_that_contradict_inherited_ones_are_refused(world):
    write_attributes(world, "/3442/0/1120", "pmin=200")
    with pytest.raises(RequestError, match="pmin=200 is above pmax=100"):
        world.ask("PUT /3442/0/1120/0?pmax=100")
    with pytest.raises(RequestError, match="pmin=200 is above pmax=100"):
        world.ask("OBSERVE /3442/0/1120/0?pmax=100")
    world.ask("OBSERVE /3442/0/1120/0", id=1)
    token = world.wire[0].token
    world.answer(CoapReply(Code.INTERNAL_SERVER_ERROR))
    assert last(world).code == Code.INTERNAL_SERVER_ERROR
    assert not world.told(Observed)
    assert not world.engine.knows(token)


def test_a_refused_write_attributes_changes_nothing(world):
    world.ask("PUT /3/0/9?pmax=200")
    world.answer(CoapReply(Code.BAD_REQUEST))
    write_attributes(world, "/3/0/9", "pmin=300")


def test_attributes_told_by_a_discover_are_known(world):
    world.ask("DISCOVER /3")
    payload = b"</3>;pmin=100;pmax=200,</3/0>,</3/0/9>"
    world.answer(CoapReply(Code.CONTENT, payload, ContentFormat.LINK_FORMAT))
    with pytest.raises(RequestError, match="pmin=300 is above pmax=200"):
        world.ask("PUT /3/0/9?pmin=300")


def test_known_attributes_end_with_the_registration(world):
    write_attributes(world, "/3", "pmax=200")
    world.register(links=LINKS)
    write_attributes(world, "/3/0/9", "pmin=300")


def test_known_attributes_end_with_what_they_were_attached_to(world):
    write_attributes(world, "/2/0", "pmax=200")
    world.ask("DELETE /2/0")
    world.answer(CoapReply(Code.DELETED))
    write_attributes(world, "/2/0/3", "pmin=300")


@pytest.mark.parametrize(
    ("text", "since"), [("edge=1", "1.2"), ("con=1", "1.2"), ("hqmax=10", "1.2"), ("epmin=3", "1.1")]
)
def test_attributes_need_their_version(world, text, since):
    path = "/3442/0/140" if text == "edge=1" else "/3/0/9"
    world.register(query="lwm2m=1.0", links=LINKS)
    with pytest.raises(RequestError, match=f"came with LwM2M {since}"):
        world.ask(f"PUT {path}?{text}")
    world.register(query=f"lwm2m={since}", links=LINKS)
    write_attributes(world, path, text)


# --- versions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["FETCH /3/0/0,/3/0/9", "OBSERVE /3/0/0,/3/0/9", 'IPATCH {"/3/0/14": "x"}'])
def test_composites_need_1_1(world, text):
    world.register(query="lwm2m=1.0", links=LINKS)
    with pytest.raises(RequestError, match=r"a composite came with LwM2M 1\.1, the device speaks 1\.0"):
        world.ask(text)


def test_a_message_that_the_registration_makes_impossible_is_refused_at_its_turn(world):
    world.engine.add("dev2")
    world.ask("FETCH /3/0/0,/3/0/9", "dev2", id=7)
    world.register("dev2", query="lwm2m=1.0", links=LINKS)
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(7, "refused")]


def test_a_composite_that_is_never_answered_ends_in_time(world):
    world.ask("FETCH /3/0/0,/3/0/9", id=1)
    world.ask("GET /3", id=2)
    exchange = world.wire[0].exchange
    world.take(world.engine.acknowledged(exchange, world.now))
    world.pass_time(31)
    assert world.aborted == [exchange]
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "timeout")]
    assert asked(world) == (Code.GET, "/3", ())


def test_a_composite_of_a_queue_mode_device_that_is_not_even_acknowledged_is_held(world):
    world.register(query="lwm2m=1.1&Q", links=LINKS)
    world.ask("FETCH /3/0/0,/3/0/9", id=1)
    world.pass_time(31)
    assert [event.message for event in world.told(Held)] == [1]
    assert world.engine.presence("dev1").awake is False


def test_a_queue_mode_device_that_acknowledged_a_composite_is_not_asleep(world):
    world.register(query="lwm2m=1.1&Q", links=LINKS)
    world.ask("FETCH /3/0/0,/3/0/9", id=1)
    world.ask("GET /3", id=2)
    world.take(world.engine.acknowledged(world.wire[0].exchange, world.now))
    world.pass_time(31)
    assert [(event.message, event.reason) for event in world.told(Failed)] == [(1, "timeout")]
    assert world.engine.presence("dev1").awake
    assert asked(world) == (Code.GET, "/3", ())
    # A response that takes longer than the awake window finds it asleep.
    world.take(world.engine.acknowledged(world.wire[0].exchange, world.now))
    world.pass_time(120)
    world.fail("timeout")
    assert world.engine.presence("dev1").awake is False


# --- one after the other -----------------------------------------------------------------------------


def test_five_reads_are_one_at_a_time(world):
    for _ in range(5):
        world.ask("GET /3")
    for left in range(5, 0, -1):
        assert len(world.wire) == 1
        assert world.engine.presence("dev1").waiting == left
        world.answer(world.content({}, "/3"))
    assert not world.wire


def test_get_all_reads_instance_by_instance_with_a_pause(make_world):
    world = make_world(read_pacing=2.0)
    world.register(links=b"</0/0>,</1/0>,</3/0>,</21/0>,</3303/0>,</3303/1>,</2>")
    world.ask("GET /", id=4)
    paths = []
    while world.engine.presence("dev1").waiting:
        assert len(world.wire) == 1
        paths.append(asked(world)[1])
        world.answer(world.content({}, paths[-1]))
        if world.engine.presence("dev1").waiting:
            assert not world.wire
            world.pass_time(2.1)
    assert paths == ["/1/0", "/3/0", "/3303/0", "/3303/1"]
    assert [event.message for event in world.told(Received)] == [4] * 4
    assert len(world.told(Sent)) == 1


def test_the_newest_of_several_samples_is_the_value(world):
    world.ask("GET /3/0/9")
    payload = b'[{"bn":"/3/0/9","bt":1700000000,"v":1,"t":-5},{"v":2},{"v":3,"t":-9}]'
    assert len(senml(world, payload)) == 3
    assert latest(last(world).entries)[Path("/3/0/9")].value == 2
