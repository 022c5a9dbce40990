"""Notification attributes: values, levels, consistency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.attributes import ATTRIBUTES, check_attributes, format_attributes, parse_attributes
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.paths import Path
from lwm2m_engine.values import ResourceType

VALID = """
pmin pmin=30 pmax pmax=60 dim=2 epmin epmin=30 epmax epmax=60 lt lt=30 lt=-30 lt=30.55 lt=-30.55 gt
gt=60 gt=-60 gt=60.55 gt=-60.55 st st=60 st=60.55 pmin&pmax=60&gt=2 edge=0 edge=1 edge con=0 con=1 con
hqmax=10 hqmax ver=1.1 lwm2m=1.2 ssid=1 ssid=65534 uri=coap://host dim=255 dim=0 pmin=60&pmax=60
epmin=5&epmax=5 lt=10&st=1.9&gt=14 lt=10&gt=11 lt=-5&gt=-4.9
ver=1.1&pmin=5&pmax=60&epmin=30&epmax=45&lt=10&gt=20.1
"""

INVALID = """
pmin= pmin=1.9 pmin=-1.8 pmin=a pmax= pmax=-2 pmax=2.7 pmax=-2.6 pmax=bc dim dim= dim=-3 dim=3.5
dim=-3.4 dim=def epmin= epmin=-4 epmin=4.3 epmin=-4.2 epmin=ghij epmax= epmax=-5 epmax=5.1 epmax=-5.9
epmax=klmno lt= lt=pqrts lt=0abc gt= gt=uvwxyz gt=0.xyz st= st=-6 st=-6.8 &pmin&pmax=60&gt=2&
&pmin&pmax=60&gt=2 pmin&pmax=60&gt=2& pmin&pmax=60&&gt=2 pmin&pmax=60&&gt=2&&& &&&pmin&pmax=60&&gt=2
edge=2 con=2 hqmax=-1 dim=256 ssid=0 ssid=65535 ver lwm2m ssid uri uri= ver=1 lt=1e3 gt=NaN st=. lt=1.
pmin=1&pmin=2 pmin&pmin PMIN=1 pmin=300&pmax=200 epmin=300&epmax=200 gt=100&lt=200 gt=200&lt=200
gt=11&lt=10&st=2 gt=14&lt=10&st=2 pmin=50&pmax=49 lt=50&gt=49 lt=50&gt=50 lt=10&st=2&gt=12 pmin=٣
pmin=99999999999 lt=1&st=0.00000000000000000000000000000000000001&gt=1.00000000000000000000000000000000000002
"""


@pytest.mark.parametrize("text", VALID.split())
def test_valid_sets_print_as_they_came(text):
    assert format_attributes(parse_attributes(text)) == text


@pytest.mark.parametrize("text", INVALID.split())
def test_invalid_sets_are_refused(text):
    with pytest.raises(ValueRejected):
        parse_attributes(text)


def test_options_and_one_text_mean_the_same():
    assert parse_attributes(["pmin=10", "pmax"]) == (("pmin", "10"), ("pmax", None))
    assert parse_attributes("pmin=10&pmax") == (("pmin", "10"), ("pmax", None))
    assert parse_attributes("") == parse_attributes(()) == ()


def test_a_typo_is_answered_with_the_nearest_name():
    with pytest.raises(ValueRejected, match="did you mean 'pmin'"):
        parse_attributes("pmni=3")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("pmin=1&pmax=2&epmin=1&epmax=2&con=1&hqmax=3", "/3"),
        ("pmin=1", "/3/0"),
        ("gt=5&lt=1&st=1&edge=1&pmin=1", "/3/0/9"),
        ("gt=5", "/3/0/7/0"),
    ],
)
def test_attributes_stand_where_they_belong(text, path):
    check_attributes(parse_attributes(text), Path(path))


@pytest.mark.parametrize(
    ("text", "path", "fault"),
    [
        ("gt=5", "/3/0", "only on the resource"),
        ("lt=5", "/3", "only on the resource"),
        ("st=5", "/3", "only on the resource"),
        ("edge=1", "/3/0", "only on the resource"),
        ("pmin=5", "/", "cannot stand on the root"),
        ("ssid=1", "/0/0", "told by the device"),
        ("dim=1", "/3/0/9", "told by the device"),
        ("ver=1.1", "/3", "told by the device"),
        ("lwm2m=1.1", "/", "told by the device"),
        ("uri=x", "/0/0", "told by the device"),
    ],
)
def test_attributes_are_refused_elsewhere(text, path, fault):
    with pytest.raises(ValueRejected, match=fault):
        check_attributes(parse_attributes(text), Path(path))


NUMBERS = {"Integer", "Unsigned Integer", "Float", "Time"}


@pytest.mark.parametrize("kind", ResourceType)
@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("gt=5", NUMBERS),
        ("lt=5", NUMBERS),
        ("st=5", NUMBERS),
        ("gt", NUMBERS),
        ("edge=1", {"Boolean"}),
        ("pmin=1&pmax=2&epmin=1&epmax=2&con=1&hqmax=3", {kind.value for kind in ResourceType}),
    ],
)
def test_attributes_ask_for_types(text, kinds, kind):
    path, attributes = Path("/3/0/9"), parse_attributes(text)
    if kind.value in kinds:
        check_attributes(attributes, path, kind=kind)
    else:
        with pytest.raises(ValueRejected, match=r"/3/0/9: .* is for"):
            check_attributes(attributes, path, kind=kind)


@pytest.mark.parametrize(
    ("since", "names"),
    [
        ("1.0", "pmin pmax lt gt st dim ver lwm2m ssid"),
        ("1.1", "epmin epmax uri"),
        ("1.2", "edge con hqmax"),
    ],
)
def test_enabler_versions_know_attributes(since, names):
    assert {name for name, spec in ATTRIBUTES.items() if spec.since == since} == set(names.split())
    for name in names.split():
        if not ATTRIBUTES[name].writable:
            continue
        for version in ("1.0", "1.1", "1.2"):
            if version >= since:
                check_attributes(((name, None),), Path("/3/0/9"), version=version)
            else:
                with pytest.raises(ValueRejected, match=f"{name} came with LwM2M {since}.* speaks {version}"):
                    check_attributes(((name, None),), Path("/3/0/9"), version=version)


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from([*ATTRIBUTES, "=", "&", "1", "-2.5"]), max_size=8).map("".join)
)
def test_any_text_is_a_set_or_rejected(text):
    try:
        found = parse_attributes(text)
    except ValueRejected:
        return
    assert format_attributes(found) == text
