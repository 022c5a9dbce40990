"""Reading definition files: the tolerated, the refused and the hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.errors import DDFError
from lwm2m_engine.model.ddf import ITEM_ORDER, MAX_BYTES, MAX_ITEMS, OBJECT_ORDER, parse
from lwm2m_engine.values import ResourceType

ITEM = {
    "Name": "Level",
    "Operations": "RW",
    "MultipleInstances": "Single",
    "Mandatory": "Mandatory",
    "Type": "Integer",
    "RangeEnumeration": "0..100",
    "Units": "/100",
    "Description": "How full it is.",
}
OBJECT = {
    "Name": "Tank",
    "Description1": "A tank.",
    "ObjectID": "33333",
    "ObjectURN": "urn:oma:lwm2m:x:33333:1.1",
    "LWM2MVersion": "1.1",
    "ObjectVersion": "1.1",
    "MultipleInstances": "Multiple",
    "Mandatory": "Optional",
    "Resources": None,
    "Description2": "",
}
XSI = "http://www.w3.org/2001/XMLSchema-instance"
SCHEMA = "http://www.openmobilealliance.org/tech/profiles/LWM2M-v1_1.xsd"


def elements(fields, order, inner=""):
    parts = [
        f"<{tag}>{inner if tag == 'Resources' else fields[tag]}</{tag}>" for tag in order if tag in fields
    ]
    return "\n".join(parts)


def item(id="1", order=ITEM_ORDER, without=(), **changes):
    fields = {tag: text for tag, text in (ITEM | changes).items() if tag not in without}
    return f'<Item ID="{id}">\n{elements(fields, order)}\n</Item>'


def ddf(*items, order=OBJECT_ORDER, without=(), schema=SCHEMA, **changes):
    fields = {tag: text for tag, text in (OBJECT | changes).items() if tag not in without}
    body = elements(fields, order, "\n".join(items or [item()]))
    root = f'<LWM2M xmlns:xsi="{XSI}" xsi:noNamespaceSchemaLocation="{schema}">'
    return f'{root}\n<Object ObjectType="MODefinition">\n{body}\n</Object></LWM2M>'


def read(text):
    """The one object of a file, and the reasons of its problems."""
    found = parse(text if isinstance(text, bytes) else text.encode(), "tank.xml")
    (spec,) = found.objects
    assert not any(problem.refused for problem in found.problems)
    return spec, [problem.reason for problem in found.problems]


def test_every_fact_is_read():
    spec, reasons = read(ddf(item("7", Type="Unsigned Integer", MultipleInstances="Multiple"), item("2")))
    assert (spec.id, spec.name, spec.version, spec.lwm2m_version) == (33333, "Tank", "1.1", "1.1")
    assert (spec.urn, spec.multiple, spec.mandatory) == ("urn:oma:lwm2m:x:33333:1.1", True, False)
    assert spec.source == "tank.xml"
    assert list(spec.resources) == [2, 7]
    level = spec["level_2"]
    assert (level.id, level.name, level.type, level.operations) == (2, "Level", ResourceType.INTEGER, "RW")
    assert (level.multiple, level.mandatory, level.range, level.units) == (False, True, "0..100", "/100")
    assert spec[7].type is ResourceType.UNSIGNED_INTEGER
    assert spec[7].multiple
    assert spec["level_7"] is spec[7]
    assert reasons == []


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + ddf().encode(),
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\n' + ddf().encode(),
        ("<?xml version='1.0'?>\r\n" + ddf().replace("\n", "\r\n")).encode(),
        ('<?xml version="1.0" encoding="UTF-16"?>' + ddf()).encode("utf-16"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>' + ddf()).encode("latin-1"),
        ddf(
            item(Name="<![CDATA[Level]]>", Description="<![CDATA[a <b> &c]]>"), Name="<![CDATA[ Tank ]]>"
        ).encode(),
        ddf(item(Name="Le<!-- a comment -->vel"), "<!-- <Item ID='9'/> -->", Name="Tank<?pi x?>").encode(),
        ddf(
            item(Name="\n\t Level\u00a0", Units=" /100\u00a0", RangeEnumeration=" 0..100\t"),
            Name="\u2003Tank",
        ).encode(),
    ],
    ids=["bom", "bom+declaration", "crlf", "utf-16", "latin-1", "cdata", "comments", "white space"],
)
def test_spellings_of_the_same_file(data):
    assert read(data) == read(ddf())


def test_doubled_blanks_in_names_are_one():
    assert read(ddf(Name="Big  \u00a0 Tank"))[0].name == "Big Tank"


def test_a_range_keeps_its_lines():
    assert read(ddf(item(RangeEnumeration="\n0: OFF\n1: ON\n")))[0][1].range == "0: OFF\n1: ON"


@given(st.permutations(OBJECT_ORDER), st.permutations(ITEM_ORDER))
def test_the_order_of_elements_does_not_matter(object_order, item_order):
    spec, reasons = read(ddf(item(order=item_order), order=object_order))
    assert spec == read(ddf())[0]
    disordered = [
        tag
        for tag, order, given_order in [
            ("Object", OBJECT_ORDER, object_order),
            ("Item", ITEM_ORDER, item_order),
        ]
        if tuple(given_order) != order
    ]
    assert sorted(reasons) == sorted(
        f"elements of <{tag}> are not in the order of the schema" for tag in disordered
    )


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        (ddf(item(without=["Description"]), without=["Description1", "Description2"]), []),
        (
            ddf(item(without=["RangeEnumeration", "Units"]), item("2", without=["RangeEnumeration"])),
            ["<Item> without <RangeEnumeration> (2 places)", "<Item> without <Units>"],
        ),
        (ddf(item(Type="")), ["a resource has no type"]),
        (ddf(item(Operations="E", Type="")), []),
        (ddf(*(item(str(id), Type="") for id in range(9))), ["a resource has no type (9 places)"]),
        (ddf(item(Operations="", Type="")), []),
        (ddf(item(Operations="E")), ["an executable resource has a type"]),
        (
            ddf(item(Operations="E", Type="", MultipleInstances="Multiple")),
            ["an executable resource has multiple instances"],
        ),
        (
            ddf(item(Type="Corelnk"), schema="http://x/LWM2M.xsd"),
            ["the schema it names is too old for its types"],
        ),
        (ddf(MultipleInstances=""), ["<MultipleInstances> is empty; Single is assumed"]),
        (ddf("<!-- none -->"), ["the object has no resources"]),
        (
            ddf(ObjectURN="urn:oma:lwm2m:x:33334:1.1"),
            ["ObjectURN 'urn:oma:lwm2m:x:33334:1.1' is not that of object 33333 version 1.1"],
        ),
        (
            ddf(ObjectURN="urn:oma:lwm2m:x:33333"),
            ["ObjectURN 'urn:oma:lwm2m:x:33333' is not that of object 33333 version 1.1"],
        ),
    ],
)
def test_tolerated_oddities_are_problems(text, reasons):
    assert read(text)[1] == reasons


def test_a_problem_has_a_line():
    (problem,) = parse(ddf(item(Type="")).encode(), "tank.xml").problems
    assert (problem.file, problem.refused) == ("tank.xml", False)
    assert ddf(item(Type="")).splitlines()[problem.line - 1] == '<Resources><Item ID="1">'
    assert str(problem) == f"tank.xml:{problem.line}: a resource has no type"


def test_absent_versions_are_1_0():
    spec, reasons = read(ddf(without=["ObjectVersion", "LWM2MVersion"], ObjectURN="urn:oma:lwm2m:x:33333"))
    assert (spec.version, spec.lwm2m_version, reasons) == ("1.0", "1.0", [])


def test_empty_versions_are_1_0():
    spec, reasons = read(ddf(ObjectVersion="", LWM2MVersion=" ", ObjectURN="urn:oma:lwm2m:x:33333:1.0"))
    assert (spec.version, spec.lwm2m_version) == ("1.0", "1.0")
    assert reasons == ["<ObjectVersion> is empty; 1.0 is assumed", "<LWM2MVersion> is empty; 1.0 is assumed"]


@pytest.mark.parametrize(
    ("object_id", "version", "urn"),
    [
        ("3", "1.0", "urn:oma:lwm2m:oma:3"),
        ("3303", "1.1", "urn:oma:lwm2m:ext:3303:1.1"),
        ("10241", "2.0", "urn:oma:lwm2m:x:10241:2.0"),
    ],
)
def test_an_empty_urn_is_made_from_id_and_version(object_id, version, urn):
    assert read(ddf(ObjectID=object_id, ObjectVersion=version, ObjectURN=""))[0].urn == urn


def test_several_objects_in_one_file():
    text = ddf().replace("</LWM2M>", "") + ddf(ObjectID="33334", ObjectURN="").partition("\n")[2]
    assert [spec.id for spec in parse(text.encode()).objects] == [33333, 33334]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            '<LWM2M><Object ObjectType="CommonResources"><Resources/></Object></LWM2M>',
            "a list of reusable resources",
        ),
        ("<DDFList><Item/></DDFList>", "an index of object definitions"),
        ("<units><title/></units>", "a list of units"),
    ],
)
def test_companions_of_the_registry_are_skipped(text, reason):
    found = parse(text.encode(), "x.xml")
    assert found.objects == ()
    (problem,) = found.problems
    assert problem.reason.startswith(reason)
    assert not problem.refused


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("<other/>", "the root element is <other>, not <LWM2M>", 1),
        ('<LWM2M xmlns="urn:x"/>', "the root element is <{urn:x}LWM2M>, not <LWM2M>", 1),
        ("<LWM2M/>", "there is no <Object>", 1),
        (ddf(without=["ObjectID"]), "there is no ObjectID", 2),
        (ddf(ObjectID=""), "there is no ObjectID", 2),
        (ddf(ObjectID="three"), "ObjectID 'three' is not a number from 0 to 65534", 5),
        (ddf(ObjectID="65535"), "ObjectID '65535' is not a number from 0 to 65534", 5),
        (ddf(ObjectID="٣"), "ObjectID '٣' is not a number from 0 to 65534", 5),
        (ddf(item("-1")), "ID '-1' is not a number from 0 to 65534", 11),
        (ddf(item().replace(' ID="1"', "")), "there is no ID", 11),
        (ddf(item("1"), item("01")), "resource 1 is defined twice", 21),
        (ddf(item(Type="Strnig")), "unknown Type 'Strnig'; did you mean 'String'?", 16),
        (ddf(item(Type="int")), "unknown Type 'int'", 16),
        (ddf(item(Operations="RWE")), "unknown Operations 'RWE'; did you mean 'RW'?", 13),
        (ddf(item(MultipleInstances="Many")), "unknown MultipleInstances 'Many'", 14),
        (ddf(Mandatory="yes"), "unknown Mandatory 'yes'", 10),
        (ddf(ObjectVersion="1"), "ObjectVersion '1' is not a version such as 1.0", 8),
        (ddf(LWM2MVersion="1.0.2"), "LWM2MVersion '1.0.2' is not a version such as 1.0", 7),
        (ddf(Name=""), "object 33333 has no name", 3),
        (ddf(item(Name=" ")), "resource 1 has no name", 12),
        (ddf(item(Name="a</Name><Name>b")), "an element stands there twice", 11),
        (ddf().replace("</Object>", ""), "Opening and ending tag mismatch", 22),
        ("", "", None),
        ("not xml", "", 1),
    ],
)
def test_faults_are_refused_with_their_line(text, reason, line):
    with pytest.raises(DDFError) as caught:
        parse(text.encode(), "tank.xml")
    assert caught.value.reason.startswith(reason)
    assert caught.value.file == "tank.xml"
    if line is not None:
        assert caught.value.line == line


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'<!DOCTYPE LWM2M SYSTEM "http://127.0.0.1:9/x.dtd">' + ddf().encode(), "a DOCTYPE is not allowed"),
        (b'\n\n<!DOCTYPE LWM2M [<!ENTITY a "b">]>' + ddf(Name="&a;").encode(), "a DOCTYPE is not allowed"),
        (('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE LWM2M>' + ddf()).encode("utf-16"), "a DOCTYPE"),
        (b'<!DOCTYPE LWM2M [<!ENTITY f SYSTEM "file:///etc/passwd">]>' + ddf(Name="&f;").encode(), ""),
        (f"<!DOCTYPE LWM2M [{LAUGHS}]>{ddf(Name='&l9;')}".encode(), ""),
        (f"<!DOCTYPE LWM2M [{LAUGHS}]>{ddf().replace('MODefinition', '&l9;')}".encode(), ""),
        (ddf(Name="&nbsp;").encode(), "Entity 'nbsp' not defined"),
        (b"<LWM2M>" + b"<a>" * 9 + b"</a>" * 9 + b"</LWM2M>", "elements are nested deeper than 8"),
        (b"<LWM2M>" + b"<a>" * 100_000, ""),
        (b"<LWM2M " + b"".join(b'a%d="" ' % n for n in range(50_000)) + b"><b/>", ""),
        (ddf(item(Description="x" * MAX_BYTES)).encode(), f"more than {MAX_BYTES}"),
        (ddf('<Item ID="1"/>' * (MAX_ITEMS + 1)).encode(), f"more than {MAX_ITEMS} resources"),
        (b"\x00" * 1000, ""),
        (b'<?xml version="1.0" encoding="no-such"?><LWM2M/>', ""),
        (b"<LWM2M>\xff\xfe</LWM2M>", ""),
    ],
)
@pytest.mark.usefixtures("bounded_work")
def test_hostile_files_are_refused_quickly(data, reason):
    with pytest.raises(DDFError) as caught:
        parse(data, "evil.xml")
    assert reason in caught.value.reason


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data):
    with pytest.raises(DDFError):
        parse(data, "x.xml")


SOUND = ddf(item(), item("2", Name="Ventil <!-- x -->", Units="<![CDATA[m3]]>")).encode()


@given(st.integers(0, len(SOUND) - 1), st.integers(0, 30), st.binary(max_size=8))
def test_a_damaged_file_is_read_or_refused(place, cut, patch):
    damaged = SOUND[:place] + patch + SOUND[place + cut :]
    try:
        found = parse(damaged, "x.xml")
    except DDFError:
        return
    assert found.objects or found.problems
