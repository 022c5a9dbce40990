"""The grammar of messages to a device."""

import gc
import json
import weakref

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lwm2m_engine.coap import Code
from lwm2m_engine.entries import Entry
from lwm2m_engine.errors import RequestError
from lwm2m_engine.messages import (
    Cancel,
    CancelComposite,
    CancelLinks,
    Create,
    Delete,
    Discover,
    Execute,
    Observe,
    ObserveComposite,
    ObserveLinks,
    Read,
    ReadAll,
    ReadComposite,
    Write,
    WriteAttributes,
    WriteComposite,
    WriteObject,
    parse,
    parse_json,
)
from lwm2m_engine.model.spec import ObjectSpec, ResourceSpec
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ObjLink, ResourceType

_DEVICE = [
    (0, "Manufacturer", "manufacturer", ResourceType.STRING, "R", False),
    (4, "Reboot", "reboot", ResourceType.NONE, "E", False),
    (9, "Battery Level", "battery_level", ResourceType.INTEGER, "R", False),
    (11, "Error Code", "error_code", ResourceType.INTEGER, "RW", True),
    (13, "Current Time", "current_time", ResourceType.TIME, "RW", False),
    (14, "UTC Offset", "utc_offset", ResourceType.STRING, "RW", False),
]
_TEST = [
    (1, "Float", "float_value", ResourceType.FLOAT, "RW", False),
    (2, "Flag", "flag", ResourceType.BOOLEAN, "RW", False),
    (3, "Blob", "blob", ResourceType.OPAQUE, "RW", False),
    (4, "Link", "link", ResourceType.OBJLNK, "RW", False),
    (5, "Big", "big", ResourceType.UNSIGNED_INTEGER, "RW", False),
    (6, "Blobs", "blobs", ResourceType.OPAQUE, "RW", True),
    (7, "Run", "run", ResourceType.NONE, "E", False),
    (8, "Links", "links", ResourceType.CORELNK, "RW", False),
]


def _spec(number, name, rows, multiple):
    resources = {row[0]: ResourceSpec(*row, mandatory=False) for row in rows}
    return ObjectSpec(number, name, "1.0", "1.0", f"urn:x:{number}", multiple, True, resources)


class Models:
    """Two objects; every other one is unknown."""

    _specs = {3: _spec(3, "Device", _DEVICE, False), 3442: _spec(3442, "Test", _TEST, True)}  # noqa: RUF012

    def object(self, object_id):
        return self._specs.get(object_id)

    def resource(self, path):
        spec = self.object(path[0]) if len(path) > 2 else None
        return spec.resources.get(path[2]) if spec is not None else None

    def types(self, path):
        found = self.resource(path)
        return found.type if found is not None else None

    def version(self, object_id):
        return "1.0"


MODELS = Models()
OFFSET = Entry(Path("/3/0/14"), "+02:00")


def write(path, value, **more):
    return Write(Path(path), (Entry(Path(path), value),), **more)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        # the seed's table
        ("GET /3\n", Read(Path("/3"))),
        ("GET /3/0/9", Read(Path("/3/0/9"))),
        ("PUT /3/0/14 +02:00\n", write("/3/0/14", "+02:00")),
        ('PUT /3/0\n{"14": "+02:00"}', Write(Path("/3/0"), (OFFSET,))),
        (
            'PUT /3\n{"0": {"14": "+02:00"}}',
            WriteObject(Path("/3"), (Write(Path("/3/0"), (OFFSET,)),)),
        ),
        ("POST /3/0/4\n", Execute(Path("/3/0/4"))),
        ("POST /3/0/4?", Execute(Path("/3/0/4"))),
        ("POST /5/0/2?0='now',1", Execute(Path("/5/0/2"), "0='now',1")),
        ("POST /3/0/4 0='now'", Execute(Path("/3/0/4"), "0='now'")),
        (
            "PUT /22 </3/0/9>;pmin=10,</3303/0/5700>;gt=30",
            ObserveLinks(
                ((Path("/3/0/9"), (("pmin", "10"),)), (Path("/3303/0/5700"), (("gt", "30"),))),
            ),
        ),
        ("PUT /22\n</3/0>\n", ObserveLinks(((Path("/3/0"), ()),))),
        ("DELETE /22", CancelLinks()),
        ("DELETE /22/0", CancelLinks(0)),
        # the rest of the grammar
        ("GET /", ReadAll()),
        ("GET /3/", Read(Path("/3"))),
        ("GET /3/0/11/0", Read(Path("/3/0/11/0"))),
        ("GET  /3\r\n", Read(Path("/3"))),
        (" GET /3", Read(Path("/3"))),
        ("GET /3\nAccept: tlv\n\n", Read(Path("/3"), 11542)),
        ("GET /3\naccept: 110\n", Read(Path("/3"), 110)),
        ('POST /3/0\n{"utc_offset": "+02:00"}', Write(Path("/3/0"), (OFFSET,), replace=False)),
        (
            'PUT /3/0\n[{"bn": "/3/0/", "n": "14", "vs": "+02:00"}]',
            Write(Path("/3/0"), (OFFSET,)),
        ),
        (
            'PUT /3/0\nContent-Format: senml-json\n\n[{"n": "/3/0/14", "vs": "+02:00"}]',
            Write(Path("/3/0"), (OFFSET,), content_format=110),
        ),
        ("PUT /3/0/14\nContent-Format: tlv\n\n+02:00", write("/3/0/14", "+02:00", content_format=11542)),
        ("PUT /3/0/9?pmin=10&pmax", WriteAttributes(Path("/3/0/9"), (("pmin", "10"), ("pmax", None)))),
        ('PUT /3/0/11 {"0":1,"1":5}', Write(Path("/3/0/11"), (
            Entry(Path("/3/0/11/0"), 1), Entry(Path("/3/0/11/1"), 5)))),
        ('POST /3/0/11\n{"7":1}', Write(Path("/3/0/11"), (Entry(Path("/3/0/11/7"), 1),), replace=False)),
        ("PUT /3/0/11/1 5", write("/3/0/11/1", 5)),
        ('POST /3442\n{"5": 1}', Create(Path("/3442"), (Entry(Path("/3442/0/5"), 1),))),
        ("POST /3442 {}", Create(Path("/3442"))),
        ('POST /3442\n[{"n": "/3442/7/5", "v": 1}]', Create(Path("/3442/7"), (Entry(Path("/3442/7/5"), 1),))),
        ('POST /3442\n[{"n": "/3442/7/5", "v": 1}, {"n": "/3442/8/5", "v": 2}]', Create(Path("/3442"), (
            Entry(Path("/3442/7/5"), 1), Entry(Path("/3442/8/5"), 2)))),
        ('POST /3442 {"/3442/7": {"5": 1}, "/3442/8": {"5": 2}}', Create(Path("/3442"), (
            Entry(Path("/3442/7/5"), 1), Entry(Path("/3442/8/5"), 2)))),
        ('POST /3442 {"/3442/7": {"5": 1}}', Create(Path("/3442/7"), (Entry(Path("/3442/7/5"), 1),))),
        ("DELETE /3442/1", Delete(Path("/3442/1"))),
        ("DELETE /3/0/11/2", Delete(Path("/3/0/11/2"))),
        ("DISCOVER /3", Discover(Path("/3"))),
        ("DISCOVER /3/0?depth=0", Discover(Path("/3/0"), 0)),
        ("OBSERVE /3/0/9", Observe(Path("/3/0/9"))),
        ("OBSERVE /3/0/9?pmin=5", Observe(Path("/3/0/9"), (("pmin", "5"),))),
        ("OBSERVE /3\nAccept: 112\n\n", Observe(Path("/3"), (), 112)),
        ("OBSERVE /3/0/9,/3303/0/5700", ObserveComposite((Path("/3/0/9"), Path("/3303/0/5700")))),
        ("OBSERVE /3/0/9,/3303/0/5700?pmin=5&pmax=60", ObserveComposite(
            (Path("/3/0/9"), Path("/3303/0/5700")), attributes=(("pmin", "5"), ("pmax", "60")))),
        ("CANCEL /3/0/9", Cancel(Path("/3/0/9"))),
        ("CANCEL /3/0/9?passive", Cancel(Path("/3/0/9"), passive=True)),
        ("CANCEL /3/0/9,/3303/0/5700?passive",
         CancelComposite((Path("/3/0/9"), Path("/3303/0/5700")), passive=True)),
        # end devices behind a gateway
        ("GET /dev0/3303/0", Read(Path("/3303/0"), prefix="dev0")),
        ("OBSERVE /dev0/3/0/9?pmin=5", Observe(Path("/3/0/9"), (("pmin", "5"),), prefix="dev0")),
        ("FETCH /dev0/3/0/9,/dev0/3/0/0", ReadComposite((Path("/3/0/9"), Path("/3/0/0")), prefix="dev0")),
        ('IPATCH /dev0 {"/3/0/14": "+02:00"}', WriteComposite((OFFSET,), prefix="dev0")),
        ('PUT /dev0/3 {"0": {"14": "+02:00"}}',
         WriteObject(Path("/3"), (Write(Path("/3/0"), (OFFSET,), prefix="dev0"),))),
        ("CANCEL /3/0/9,/3303/0/5700", CancelComposite((Path("/3/0/9"), Path("/3303/0/5700")))),
        ("FETCH /3/0/0,/3/0/9", ReadComposite((Path("/3/0/0"), Path("/3/0/9")))),
        ("FETCH /3/0/0\nAccept: 110\n", ReadComposite((Path("/3/0/0"),), accept=110)),
        ('IPATCH\n{"/3/0/14": "+02:00"}', WriteComposite((OFFSET,))),
        ('IPATCH {"/3/0/14": "+02:00"}', WriteComposite((OFFSET,))),
        ('IPATCH / {"3/0": {"14": "+02:00"}}', WriteComposite((OFFSET,))),
        ('IPATCH /\n[{"n": "/3/0/14", "vs": "+02:00"}]', WriteComposite((OFFSET,))),
        ('IPATCH\n{"/3/0/11/1": null, "/3/0/14": "+02:00"}',
         WriteComposite((Entry(Path("/3/0/11/1"), None), OFFSET))),
    ],
)  # fmt: skip
def test_a_message_means_a_request(text, request_):
    assert parse(text, MODELS) == request_


@pytest.mark.parametrize("text", ["FETCH /dev0/3/0/9,/3/0/9", "OBSERVE /dev0/3/0/9,/dev1/3/0/9"])
def test_a_composite_across_devices_is_refused_as_the_gateway_would(text):
    with pytest.raises(RequestError, match="several devices") as caught:
        parse(text, MODELS)
    assert caught.value.code == Code.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("PUT /3/0/14 ", ""),
        ("PUT /3/0/14\n\n", ""),
        ("PUT /3/0/14 two words ", "two words "),
        ("PUT /3/0/14\ntwo\nlines\n\n", "two\nlines\n"),
        ("PUT /3/0/14\nNote: this is text\n\nand more", "Note: this is text\n\nand more"),
        ("PUT /3/0/14\nAccept: this", "Accept: this"),
        ("PUT /3/0/14 ä€😀", "ä€😀"),
        ("PUT /3/0/14 {x", "{x"),
        ("PUT /3/0/9 -5", -5),
        ("PUT /3/0/9 9223372036854775807", 2**63 - 1),
        ("PUT /3442/0/1 1.5", 1.5),
        ("PUT /3442/0/1 1", 1.0),
        ("PUT /3442/0/2 true", True),
        ("PUT /3442/0/2 0", False),
        ("PUT /3442/0/3 3q2+7w==", bytes.fromhex("deadbeef")),
        ("PUT /3442/0/3 ", b""),
        ("PUT /3442/0/4 3:0", ObjLink(3, 0)),
        ("PUT /3442/0/5 18446744073709551615", 2**64 - 1),
        ("PUT /3442/0/8 </3>;ver=1.2,</3/1>", "</3>;ver=1.2,</3/1>"),
        # Time: milliseconds or ISO 8601, held in seconds
        ("PUT /3/0/13 1752761134000", 1752761134),
        ("PUT /3/0/13 1752761134124", 1752761134),
        ("PUT /3/0/13 1752761134999.5", 1752761134),
        ("PUT /3/0/13 -1", -1),
        ("PUT /3/0/13 -1000", -1),
        ("PUT /3/0/13 2025-07-17T14:05:34Z", 1752761134),
        ("PUT /3/0/13 2025-07-17T16:05:34+02:00", 1752761134),
        ("PUT /3/0/13 2025-07-17T14:05:34", 1752761134),
        ("PUT /3/0/13 2025-07-17T14:05:34.500Z", 1752761134),
        ("PUT /3/0/13 9223372036854775807", 9223372036854775),
        # no model: a String
        ("PUT /33333/0/1 5", "5"),
        ("PUT /33333/0/1 {x", "{x"),
    ],
)
def test_a_value_has_the_type_of_its_resource(text, value):
    found = parse(text, MODELS)
    assert isinstance(found, Write)
    assert found.entries[0].value == value
    assert type(found.entries[0].value) is type(value)


@pytest.mark.parametrize(
    ("key", "value", "typed"),
    [
        ("3/0/14", "+02:00", "+02:00"),
        ("3/0/9", 5, 5),
        ("3/0/9", 5.0, 5),
        ("3/0/9", "5", 5),
        ("3442/0/1", 1, 1.0),
        ("3442/0/2", True, True),
        ("3442/0/2", 1, True),
        ("3442/0/3", "3q2-7w", bytes.fromhex("deadbeef")),
        ("3442/0/5", 2**64 - 1, 2**64 - 1),
        ("3/0/13", 1752761134000, 1752761134),
        ("3/0/13", "2025-07-17T14:05:34Z", 1752761134),
        ("33333/0/1", 5, 5),
        ("33333/0/1", 2.5, 2.5),
        ("33333/0/1", False, False),
        ("33333/0/1", "{}", "{}"),
        ("33333/0/1", 2**64 - 1, 2**64 - 1),
    ],
)
def test_json_values_are_typed(key, value, typed):
    *instance, resource = key.split("/")
    body = json.dumps({resource: value})
    found = parse(f"PUT /{'/'.join(instance)}\n{body}", MODELS)
    assert isinstance(found, Write)
    assert found.entries == (Entry(Path(key), typed),)
    assert type(found.entries[0].value) is type(typed)


def test_the_same_words_mean_something_else_with_other_models():
    class Texts(Models):
        _specs = {3: _spec(3, "Device", [(9, "Level", "level", ResourceType.STRING, "RW", False)], False)}  # noqa: RUF012

    models = Texts()
    for _ in range(2):
        assert parse("PUT /3/0/9 5", MODELS) == write("/3/0/9", 5)
        assert parse("PUT /3/0/9 5", models) == write("/3/0/9", "5")


def test_models_nobody_uses_are_let_go_with_what_was_read_with_them():
    models = Models()
    for number in range(1000):
        parse(f"GET /3442/{number}", models)
    left = weakref.ref(models)
    del models
    gc.collect()
    assert left() is None


def test_without_models_everything_is_taken_as_it_is():
    assert parse("PUT /3/0/9 abc") == write("/3/0/9", "abc")
    assert parse('PUT /3/0/9 {"0": 5}') == Write(Path("/3/0/9"), (Entry(Path("/3/0/9/0"), 5),))
    assert parse('POST /3/0/9 {"0": 5}') == Write(
        Path("/3/0/9"), (Entry(Path("/3/0/9/0"), 5),), replace=False
    )
    assert parse('PUT /3/0 {"99": {"0": "x"}}') == Write(Path("/3/0"), (Entry(Path("/3/0/99/0"), "x"),))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the message is empty"),
        ("\n", "the message is empty"),
        ("GTE /3", "did you mean GET"),
        ("get /3", "did you mean GET"),
        ("TRACE /3", "known: GET, PUT"),
        ("GET", "begins with a slash"),
        ("GET 3/0", "begins with a slash"),
        ("GET //", "empty element"),
        ("GET /70000", "not an id"),
        ("GET /3/0/9/1/2", "more than four ids"),
        ("GET /3/x", "'x' is not an id"),
        ("GET /3/65535", "reserved"),
        ("GET /3/0/99", "object 3 Device has no resource 99"),
        ("GET /3/0/9/0", "single value"),
        ("GET /3?pmin=1", "nothing behind a question mark"),
        ("GET /3 5", "GET takes no value"),
        ("GET /3\nfoo", "GET takes no value"),
        ("GET /3\nAcept: tlv\n\n", "did you mean Accept"),
        ("GET /3\nAccept: tvl\n\n", "unknown content format"),
        ("GET /3\nAccept: 0\nAccept: 0\n\n", "twice"),
        ("GET /3\nContent-Format: 0\n\n", "takes no Content-Format"),
        ("GET /\nAccept: tlv\n\n", "takes no Accept"),
        ("PUT /3/0/14", "has no value"),
        ("PUT /3/0/14?", "has no value"),
        ("PUT / 5", "needs a path"),
        ("PUT /3/0/14 a\nb", "another one below"),
        ("PUT /3/0/14?pmin=5 3", "nothing behind a question mark"),
        ("PUT /3/0/9?pmin=9&pmax=3", "above pmax"),
        ("PUT /3/0?gt=3", "/3/0: gt cannot stand on the instance"),
        ("PUT /3/0/0?gt=3", "/3/0/0: gt is for numbers, and the Resource is String"),
        ("OBSERVE /3/0/9?edge=1", "/3/0/9: edge is for Booleans, and the Resource is Integer"),
        ("PUT /3/0/9?pmni=3", "did you mean 'pmin'"),
        ("PUT /3/0/9?dim=3", "told by the device"),
        ("PUT /3/0/9 abc", "/3/0/9: 'abc' is not a number"),
        ("PUT /3/0/9 1.5", "is not an Integer"),
        ("PUT /3/0/9 9223372036854775808", "is not an Integer of 64 bits"),
        ("PUT /3/0/13 yesterday", "milliseconds or ISO 8601"),
        ("PUT /3/0/13 inf", "milliseconds or ISO 8601"),
        ("PUT /3/0/14 \ud800", "surrogate"),
        ('PUT /3/0 {"14": "\\ud800"}', "surrogate"),
        ("PUT /3/0/13 nan", "milliseconds or ISO 8601"),
        ("PUT /3442/0/2 maybe", "is not a Boolean"),
        ("PUT /3442/0/3 @@@", "is not base64"),
        ("PUT /3442/0/4 3-0", "object link"),
        ("PUT /3442/0/5 -1", "Unsigned"),
        ("PUT /3/0/4 1", "can be executed"),
        ("PUT /3/0/99 5", "has no resource 99"),
        ("PUT /3/0/11 5", "JSON object"),
        ('PUT /3/0/11 {"x": 5}', "'x' is no Resource Instance id"),
        ('PUT /3/0/11 {"0": 5, "00": 6}', "written twice"),
        ('PUT /3/0/11 {"0": {}}', "one value is expected"),
        ("PUT /3/0 {", "not JSON"),
        ("PUT /3/0 5", "JSON object"),
        ('PUT /3/0 {"battery_levl": 5}', "did you mean 'battery_level'"),
        ('PUT /3/0 {"99": 5}', "no resource 99"),
        ('PUT /3/0 {"9": 5, "battery_level": 6}', "written twice"),
        ('PUT /3/0 {"9": 5, "9": 6}', "stands there twice"),
        ('PUT /3/0 {"9": null}', "null"),
        ('PUT /3/0 {"9": [1]}', "list"),
        ('PUT /3/0 {"9": true}', "is not an Integer"),
        ('PUT /3/0 {"14": 5}', "is not a String"),
        ('PUT /3/0 {"11": 5}', "JSON object"),
        ('PUT /3/0 {"11": "5"}', "has instances"),
        ('PUT /3/0 {"9": {"0": 5}}', "one value is expected"),
        ('PUT /3/0 {"9": NaN}', "no JSON number"),
        ('PUT /33333/0 {"name": 5}', "no model of object 33333"),
        ('PUT /33333/0 {"1": 18446744073709551616}', "64 bits"),
        ('PUT /33333/0 {"1": 1e999}', "too large"),
        ('PUT /3442/0 {"3": 5}', "base64"),
        ('PUT /3442/0 {"1": 1%s}' % ("0" * 400), "is not a Float"),
        ('PUT /3/0\n[{"n": "/4/0/1", "v": 5}]', "/4/0/1"),
        ('PUT /3/0\n[{"n": "/3/0/99", "vs": "x"}]', "no resource 99"),
        ("PUT /3/0\n[5]", "/3/0"),
        ("PUT /3 {}", "names no Instance"),
        ('PUT /3 {"x": {}}', "no Object Instance id"),
        ('PUT /3 {"0": "{}"}', "not a text"),
        ("PUT /22", "PUT /22 </3/0/9>;pmin=10"),
        ("PUT /22 \n", "PUT /22 </3/0/9>;pmin=10"),
        ("PUT /22 nonsense", "expected a link"),
        ("PUT /22 </abc>", "not an id"),
        ("PUT /22 </>", "root cannot be observed"),
        ("PUT /22 </3>,</3>", "twice"),
        ("PUT /22 </3>;foo=1", "no notification attribute"),
        ("PUT /22 </3/0/9>;pmin=2,</3/0/0>;lt=1", "/3/0/0: lt is for numbers"),
        ("PUT /22 </3/0>;gt=1", "cannot stand on the instance"),
        ("POST /", "is expected"),
        ("POST /3/0/11/0", "is expected"),
        ("POST /3/0", "needs a body"),
        ("POST /3442", "needs a body"),
        ("POST /3/0/14 x", "which PUT writes"),
        ("POST /3/0/4?x", "character 1"),
        ("POST /3/0/4?0='a b'", "others behind the blank"),
        ("POST /3/0/4?0 1", "others behind the blank"),
        ("POST /33333/0/1 abc", "behind a question mark"),
        ('POST /3442 {"/3442/7": {}}', "needs a value"),
        ('POST /3442 {"/3442/7": {"5": 1}, "5": 1}', "no Instance of this Object"),
        ('POST /3442 {"/3/0": {"14": "x"}}', "no Instance of this Object"),
        ('POST /3442 {"/3442/7": 5}', "JSON object"),
        ("DELETE /", "is expected"),
        ("DELETE /3", "is expected"),
        ("DELETE /3/0/9", "is expected"),
        ("DISCOVER /", "is expected"),
        ("DISCOVER /3/0/11/0", "is expected"),
        ("DISCOVER /3?depth=4", "depth=0 to depth=3"),
        ("DISCOVER /3?x", "depth=0 to depth=3"),
        ("OBSERVE /", "needs a path"),
        ("OBSERVE /3/0/9,/3/0/9", "twice"),
        ("OBSERVE /3/0/9,", "begins with a slash"),
        ("OBSERVE /3/0/9,/3/0/0?lt=3", "belongs to one Resource"),
        ("OBSERVE /3/0/9,/3/0/0?pmni=3", "did you mean 'pmin'"),
        ("CANCEL /3/0/9?active", "nothing but ?passive"),
        ("GET /dev0/", "cannot be asked of an end device"),
        ("GET /dev0", "not an id"),
        ("PUT /dev0/22 </3/0>", "cannot be asked of an end device"),
        ("CANCEL /", "is observed"),
        ("IPATCH", "needs a body"),
        ("IPATCH /3/0 {}", "stand in the body"),
        ("IPATCH {}", "nothing to write"),
        ('IPATCH {"/3": 5}', "a composite writes"),
        ('IPATCH {"x": 5}', "not an LwM2M path"),
        ('IPATCH {"/3/0/14": null}', "null"),
        ('IPATCH {"/3/0": "x"}', "not a text"),
        ("PUT /3/0 " + "[" * 100_000, "nested too deeply"),
        ('PUT /3/0 {"9": %s}' % ("9" * 5000), "too many digits"),
    ],
)  # fmt: skip
def test_a_bad_message_is_refused_with_a_sentence(text, fault):
    with pytest.raises(RequestError) as caught:
        parse(text, MODELS)
    assert caught.value.code == Code.BAD_REQUEST
    assert fault in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("document", "request_"),
    [
        ({"method": "GET", "path": "/3"}, Read(Path("/3"))),
        ({"method": "PUT", "path": "/3/0/14", "value": "+02:00"}, write("/3/0/14", "+02:00")),
        ({"method": "PUT", "path": "/3/0/9", "value": 5}, write("/3/0/9", 5)),
        ({"method": "PUT", "path": "/3/0", "value": {"14": "+02:00"}}, Write(Path("/3/0"), (OFFSET,))),
        (
            {"method": "PUT", "path": "/3/0/11", "value": {"0": 1}},
            Write(Path("/3/0/11"), (Entry(Path("/3/0/11/0"), 1),)),
        ),
        (
            {
                "method": "POST",
                "path": "/3/0",
                "value": [{"n": "/3/0/14", "vs": "+02:00"}],
                "contentFormat": 110,
            },
            Write(Path("/3/0"), (OFFSET,), replace=False, content_format=110),
        ),
        ({"method": "PUT", "path": "/3/0/9?pmin=5"}, WriteAttributes(Path("/3/0/9"), (("pmin", "5"),))),
        ({"method": "GET", "path": "/3", "accept": "tlv"}, Read(Path("/3"), 11542)),
        ({"method": "IPATCH", "value": {"/3/0/14": "+02:00"}}, WriteComposite((OFFSET,))),
        ({"method": "POST", "path": "/3/0/4"}, Execute(Path("/3/0/4"))),
    ],
)
def test_a_json_object_means_the_same(document, request_):
    assert parse_json(document, MODELS) == request_


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({}, "'method' and 'path'"),
        ({"method": 5, "path": "/3"}, "'method' and 'path'"),
        ({"method": "GET", "path": 3}, "'method' and 'path'"),
        ({"method": "GET", "pth": "/3"}, "did you mean path"),
        ({"method": "GET", "path": "/3", "value": 5}, "takes no value"),
        ({"method": "GET", "path": "/3", "accept": True}, "no content format"),
        ({"method": "POST", "path": "/3/0/4", "value": 5}, "arguments are a text"),
        ({"method": "PUT", "path": "/22", "value": ["/3"]}, "needs links"),
    ],
)
def test_a_bad_json_object_is_refused(document, fault):
    with pytest.raises(RequestError) as caught:
        parse_json(document, MODELS)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "PUT /3/0/14\nAccept:" + " " * 500_000 + "x",
        "PUT /3/0/14\n" + "a: b\n" * 100_000,
        "PUT /3/0/9?" + "x" * 1_000_000,
        'PUT /3/0 {"' + "x" * 1_000_000 + '": 5}',
        "PUT /3/0/9 " + "9" * 1_000_000,
        "PUT /3442/0/3 " + "A" * 1_000_000,
        "PUT /22 </" + "a" * 60_000,
        "POST /3/0/4?" + "0," * 500_000,
        "GET /" + "1/" * 500_000,
        "FETCH " + "/3/0/9," * 100_000,
    ],
)  # fmt: skip
@pytest.mark.usefixtures("bounded_work")
def test_hostile_messages_take_no_time(text):
    try:
        parse(text, MODELS)
    except RequestError as error:
        assert len(str(error)) < 400  # noqa: PT017


# --- nothing but RequestError ----------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "GET",
        "PUT",
        "POST",
        "DELETE",
        "OBSERVE",
        "IPATCH",
        "DISCOVER",
        " ",
        "\n",
        "/",
        "/3/0",
        "/3/0/11",
        "/22",
        "?",
        "/3442/0/3",
        "pmin=1",
        "0='a'",
        ",",
        "{",
        "}",
        '"9":',
        '"/3/0/14":',
        "5",
        "null",
        "[",
        "]",
        "Accept: tlv\n",
        "Content-Format: 110\n",
        '[{"n":"/3/0/14",',
        '"vs":"x"',
        "}]",
        "</3/0>",
        ";",
        "gt=1",
        "1e400",
        "\ud800",
    ]
)


@given(st.text(max_size=60) | st.lists(PIECES, max_size=8).map("".join))
@example("PUT /3/0/13 0001-01-01T00:00:00+23:59")
@example("PUT /3/0/13 9999-12-31T23:59:59-23:59")
@example('PUT /3/0\nContent-Format: 11543\n\n{"e": "\ud800"}')
def test_any_text_is_a_request_or_refused(text):
    for models in (None, MODELS):
        try:
            parse(text, models)
        except RequestError as error:
            assert error.code == Code.BAD_REQUEST  # noqa: PT017


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["0", "9", "e", "n", "/3/0/14"]), inner)
    ),
    max_leaves=6,
)


@given(
    st.sampled_from(["PUT", "POST", "IPATCH"]),
    st.sampled_from(["/", "/3", "/3/0", "/3/0/11", "/3/0/13", "/3442", "/33333/0/1", "/22"]),
    JSON,
    st.sampled_from([None, 0, 110, 11542, 11543]),
)
def test_any_json_object_is_a_request_or_refused(method, path, value, content_format):
    document = {"method": method, "path": path, "value": value, "contentFormat": content_format}
    for models in (None, MODELS):
        try:
            parse_json(document, models)
        except RequestError as error:
            assert error.code == Code.BAD_REQUEST  # noqa: PT017
