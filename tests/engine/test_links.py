"""Link-format as written by real clients and by the book."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lwm2m_engine.errors import DecodeError
from lwm2m_engine.links import LONG_LINKS, MAX_BYTES, MAX_LINKS, Link, announced, format_links, parse_links
from lwm2m_engine.paths import Path


def links(text: str) -> tuple[Link, ...]:
    return parse_links(text)[0]


BROKEN = [
    "<file:///etc/hosts>",
    "</hosts?query>",
    "</hosts#hash>",
    "</%>",
    "</%a>",
    "</%1g>",
    "</fóó>",
    "</foo>;pąrąm",
    "</foo>;param=ą",
    '</foo>;param="bar',
    '</foo>;param="bar\\"',
    "</>;=",
    "</>;param=",
    "</>;param =123",
    "</>;param= 123",
    "<>",
    "</",
    "<//>",
    "//>",
    "<text>,</1/text/0/in/path>,empty,</2/O/test/in/path>,</3/0>;ver=1.1,</4/0/0/>",
    "</1/0></3/0>",
    ",",
]
BENT = [
    "</>; param=123",
    "</> ;param=123",
    "</>;param=123 ",
    "</>,",
    "</>;",
    "</>, </>",
    "</> ,</>",
    " </>,</>",
    "</>,</> ",
    '</3>;ver="1.1",</3/0>',
    "</>;ct=110;ct=112,</1/0>",
    "</1/0>, </3/0>",
    "</1/0>,</3/0>,",
]
BENT_LISTS = [
    "</1/0>;ver=1.1",
    "</1/0>,</text>",
    "</1/0>,</.well-known/core>",
    "</25>;ver=2.0,</25/0>,</dev1/3303/0>",
    "</3>;ver=1",
    "</3>;ver=1.1.1",
    "</1/0>,</70000/0>",
    "</1/65535>,</1/0>",
]
STRAIGHT = [
    "</uri>",
    "</uri/>",
    "</uri//>",
    "</%20>",
    "</-._~a-zA-Z0-9:@!$&'()*+,;=>",
    "</foo>;param=<,</bar>;param2=>",
    "</foo>;param=/",
    '</foo>;param="a,b;c<d>e=f\\\\g\\"h\\xi\\ą"',
    "</foo>;param=!#$%&'()*+-.:<=>?@[]^_`{|}~a1z9",
    '</foo>;param=1;param2="foo";param3',
    "",
]
STRAIGHT_LISTS = [
    '</>;rt="oma.lwm2m";ct=100;qs="quoted_string";us=unquoted_string,</1/101>,</1/102>,</2/0>,</2/1>;empty',
    "</3>;ver=1.1,</3/0>",
    '</>;ct="60 110",</1/0>',
    "</1/0>;foo=bar",
    "</3/0/9>;pmin=10;obs",
    "</65535>",
    '</lwm2m>;rt="oma.lwm2m",</lwm2m/1/0>,</text>',
]


@pytest.mark.parametrize("text", BROKEN)
def test_broken_text_is_refused_either_way(text):
    for strict in (False, True):
        with pytest.raises(DecodeError) as caught:
            parse_links(text, strict=strict)
        assert caught.value.content_format == 40
        assert caught.value.offset is not None


@pytest.mark.parametrize("text", BENT)
def test_bent_text_is_read_with_a_warning_and_refused_strictly(text):
    found, warnings = parse_links(text)
    assert found
    assert warnings
    with pytest.raises(DecodeError):
        parse_links(text, strict=True)


@pytest.mark.parametrize("text", BENT_LISTS)
def test_bent_object_lists_are_taken_with_a_warning_and_refused_strictly(text):
    found, warnings = parse_links(text, strict=True)
    assert not warnings
    assert announced(found, "1.1").warnings
    with pytest.raises(DecodeError):
        announced(found, "1.1", True)


@pytest.mark.parametrize("text", STRAIGHT + STRAIGHT_LISTS)
def test_straight_text_is_read_without_a_warning(text):
    found, warnings = parse_links(text, strict=True)
    assert not warnings
    assert links(format_links(found)) == found


@pytest.mark.parametrize("text", STRAIGHT_LISTS)
def test_straight_object_lists_are_taken_without_a_warning(text):
    assert not announced(links(text), "1.1", True).warnings


def test_attributes_keep_order_values_and_absence():
    (link,) = links('</3/0/9>;pmin=10;obs;title="a \\"b\\", c";x=y')
    assert link == Link("/3/0/9", (("pmin", "10"), ("obs", None), ("title", 'a "b", c'), ("x", "y")))
    assert (link.get("pmin"), link.get("obs"), link.get("none")) == ("10", None, None)
    assert link.has("obs")
    assert not link.has("none")


def test_a_repeated_attribute_stands_as_often_as_sent():
    assert links("</>;ct=110;ct=112")[0].attributes == (("ct", "110"), ("ct", "112"))


def test_the_offset_counts_bytes():
    with pytest.raises(DecodeError) as caught:
        parse_links('</1>;t="ąą",broken'.encode())
    assert caught.value.offset == len('</1>;t="ąą",'.encode())


def test_text_that_is_not_utf8_names_the_byte():
    with pytest.raises(DecodeError) as caught:
        parse_links(b"</1/0>\xff")
    assert caught.value.offset == 6


def test_size_is_bounded():
    with pytest.raises(DecodeError, match="longer"):
        parse_links("x" * (MAX_BYTES + 1))
    with pytest.raises(DecodeError, match="more than"):
        parse_links(",".join(["</1>"] * (MAX_LINKS + 1)))
    assert len(links(",".join(["</1>"] * MAX_LINKS))) == MAX_LINKS


@pytest.mark.parametrize(
    "text",
    [
        "</1>" + "".join(f";a{number}" for number in range(9_000)),
        ",".join(f'</{number}>;ver="1"' for number in range(4_000)),
        "<" + "/a" * 32_000,
        "</1" + "a" * 65_000,
        '</1>;a="' + "\\x" * 32_000,
        "</1>" + " " * 65_000 + ",",
        "</1>" + ";a=b ; " * 9_000,
    ],
)
@pytest.mark.usefixtures("bounded_work")
def test_hostile_lists_take_no_time(text):
    with suppress(DecodeError):
        announced(links(text), "1.1")


def test_equal_lists_share_one_parsed_form():
    assert links("</1/0>,</3/0>") is links("</1/0>,</3/0>")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ((Link("/1/0/1"), Link("/2/1"), Link("/3")), "</1/0/1>,</2/1>,</3>"),
        (
            (
                Link("/1/0/1", (("number", "12"),)),
                Link("/2/1", (("string", "stringval"),)),
                Link("/3", (("empty", None),)),
            ),
            '</1/0/1>;number=12,</2/1>;string="stringval",</3>;empty',
        ),
        (
            (Link("/", (("rt", "oma.lwm2m"), ("ct", "11542 42"))), Link("/6", (("ver", "2.0"),))),
            '</>;rt="oma.lwm2m";ct="11542 42",</6>;ver=2.0',
        ),
    ],
)
def test_links_are_printed(found, text):
    assert format_links(found) == text
    assert links(text) == found


@given(st.binary(max_size=200))
@example(b'</1/0>;ver="')
@example(b"</1/0>;" + b"a;" * 90)
def test_any_bytes_are_links_or_a_decode_error(data):
    for strict in (False, True):
        try:
            found, _ = parse_links(data, strict=strict)
            announced(found, "1.0", strict)
        except DecodeError:
            continue
        assert links(format_links(found)) == found


TARGETS = st.lists(st.text("abc019-.~", min_size=1, max_size=5), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
ATTRIBUTES = st.tuples(st.text("abcxyz", min_size=1, max_size=5), st.none() | st.text(max_size=12))


@given(st.lists(st.builds(Link, TARGETS, st.lists(ATTRIBUTES, max_size=3).map(tuple)), max_size=4))
def test_printed_links_read_back(found):
    assert links(format_links(found)) == tuple(found)


# --- what an object list announces -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "version", "root", "objects", "instances", "formats"),
    [
        ("</1/0>,</3/0>", "1.0", "/", {1: None, 3: None}, ["/1/0", "/3/0"], {11542}),
        ('</>;ct="0 42 11543",</1/0>', "1.0", "/", {1: None}, ["/1/0"], {0, 42, 11543, 11542}),
        ('</>;ct="42",</1/0>', "1.0", "/", {1: None}, ["/1/0"], {42, 11542}),
        ("</>;ct=42,</1/0>", "1.0", "/", {1: None}, ["/1/0"], {42, 11542}),
        ('</>;rt="oma.lwm2m";ct="0 42 11543",</1/0>', "1.0", "/", {1: None}, ["/1/0"], {0, 42, 11543, 11542}),
        ('</root>;rt="oma.lwm2m",</root/1/0>,</3/0>', "1.0", "/root", {1: None}, ["/1/0"], {11542}),
        ("</root>;rt=oma.lwm2m,</root/1/0>,</3/0>", "1.0", "/root", {1: None}, ["/1/0"], {11542}),
        ("</1/0>,</3>;ver=1.1,</3/0>", "1.0", "/", {1: None, 3: "1.1"}, ["/1/0", "/3/0"], {11542}),
        (
            '</root>;rt="oma.lwm2m",</text>,</1/text/0/in/path>,</2/O/test/in/path>,'
            "</root/3>;ver=1.1,</root/3/0>,</root/4/0/0/>",
            "1.0", "/root", {3: "1.1"}, ["/3/0"], {11542},
        ),
        ("</10/0>,</2>,</1/0>", "1.1", "/", {1: None, 2: None, 10: None}, ["/1/0", "/10/0"], set()),
        # coap-node, Anjay in 1.0 mode, a ver on the Instance, before and after the Object's own
        ("</>;ct=11543;hb,</3/0>", "1.0", "/", {3: None}, ["/3/0"], {11543, 11542}),
        ('</3>;ver="1.1",</3/0>', "1.0", "/", {3: "1.1"}, ["/3/0"], {11542}),
        ("</1/0>;ver=1.1", "1.1", "/", {1: "1.1"}, ["/1/0"], set()),
        ("</1/0>;ver=1.2,</1>;ver=1.1", "1.1", "/", {1: "1.1"}, ["/1/0"], set()),
        ("</1>;ver=1.1,</1/0>;ver=1.2", "1.1", "/", {1: "1.1"}, ["/1/0"], set()),
        ("</3>;ver=1,</4>;ver=1.1.1,</5>;ver=x", "1.1", "/", {3: "1.0", 4: "1.1", 5: None}, [], set()),
        ('</lwm2m/>;rt="core oma.lwm2m",</lwm2m/3/0>', "1.1", "/lwm2m", {3: None}, ["/3/0"], set()),
        ("</>;ct=110;ct=112,</1/0>", "1.1", "/", {1: None}, ["/1/0"], {110, 112}),
        ('</>;ct="110 x 99999 112",</1/0>', "1.1", "/", {1: None}, ["/1/0"], {110, 112}),
    ],
)  # fmt: skip
def test_what_an_object_list_announces(text, version, root, objects, instances, formats):
    found = announced(links(text), version)
    assert (found.root, dict(found.objects), set(found.formats)) == (root, objects, formats)
    assert found.instances == tuple(map(Path, instances))


def test_foreign_links_are_kept():
    found = announced(links("</25>;ver=2.0,</25/0>,</dev1/3303/0>,</text>,</70000/0>,</3/0/9>"), "1.1")
    assert dict(found.objects) == {25: "2.0"}
    assert [link.target for link in found.extra] == ["/dev1/3303/0", "/text", "/70000/0", "/3/0/9"]
    assert len(found.warnings) == 3


def test_long_lists_are_announced_too():
    text = ",".join(f"</{number}/0>" for number in range(LONG_LINKS + 20))
    assert len(announced(links(text), "1.1").instances) == LONG_LINKS + 20
