"""Attributes of a device: told in links, changed by Write-Attributes, inherited."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.attributes import (
    check_attributes,
    effective,
    format_attributes,
    parse_attributes,
    told_attributes,
    updated,
)
from lwm2m_engine.errors import ValueRejected
from lwm2m_engine.links import parse_links
from lwm2m_engine.paths import Path

BATTERY = Path("/3/0/9")
VOLTAGE = Path("/3/0/7/0")


def told(text):
    return {
        str(path): format_attributes(attributes)
        for path, attributes in told_attributes(parse_links(text)[0]).items()
    }


def assigned(**levels):
    """``assigned(object="pmin=1")`` for the levels of /3/0/7/0."""
    depths = {"object": 1, "instance": 2, "resource": 3, "resource_instance": 4}
    return {Path(VOLTAGE[: depths[level]]): parse_attributes(text) for level, text in levels.items()}


# --- told in links ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ("</3/0/11>;dim=255", {"/3/0/11": "dim=255"}),
        ("</0/1>;ssid=1", {"/0/1": "ssid=1"}),
        ("</3/0/11>;pmin=200", {"/3/0/11": "pmin=200"}),
        ("</>;lwm2m=1.0,</3/0>", {"/": "lwm2m=1.0"}),
        ("</>;lwm2m=1.0,</3>;ver=2.0,</3/0>", {"/": "lwm2m=1.0", "/3": "ver=2.0"}),
        ("</>;lwm2m=1.0,</1/0>;ssid=333", {"/": "lwm2m=1.0", "/1/0": "ssid=333"}),
        (
            '</0/0>;ssid=111;uri="coap://localhost:11",</0/1>;uri="coap://localhost:1",</21>;ver=2.0,'
            '</21/10>;ssid=111;uri="coap://localhost:11"',
            {
                "/0/0": "ssid=111&uri=coap://localhost:11",
                "/0/1": "uri=coap://localhost:1",
                "/21": "ver=2.0",
                "/21/10": "ssid=111&uri=coap://localhost:11",
            },
        ),
        (
            "</3/0/7>;dim=2,</3/0/7/0>;pmin=100;pmax=200;st=1;lt=20;gt=50,</3/0/7/1>",
            {"/3/0/7": "dim=2", "/3/0/7/0": "pmin=100&pmax=200&st=1&lt=20&gt=50"},
        ),
        ('</>;rt="oma.lwm2m";ct=11542,</lwm2m/1/0>;ssid=1,</3/0/9>;obs;pmin=1', {"/3/0/9": "pmin=1"}),
    ],
)
def test_links_tell_attributes(links, expected):
    assert told(links) == expected


@pytest.mark.parametrize(
    ("links", "fault"),
    [
        ("</3/0/11>;dim=256", "/3/0/11: dim=256 is not a number from 0 to 255"),
        ("</0/1>;ssid=0", "/0/1: ssid=0 is not"),
        ("</3/0/11>;pmin", "/3/0/11: pmin needs a value"),
        ("</3/0/9>;ssid=1", "/3/0/9: ssid cannot stand on the resource"),
        ("</3/0>;ssid=1", "/3/0: ssid stands on instances of objects 0, 1, 21"),
        ("</1/0>;uri=x", "/1/0: uri stands on instances of objects 0, 21"),
        ("</3/0>;ver=1.1", "/3/0: ver cannot stand on the instance"),
        ("</3/0>;gt=1", "/3/0: gt cannot stand on the instance"),
        ("</3/0>;lwm2m=1.1", "/3/0: lwm2m cannot stand on the instance"),
    ],
)
def test_links_with_attributes_that_cannot_be_are_refused(links, fault):
    with pytest.raises(ValueRejected, match=fault):
        told(links)


# --- changed by Write-Attributes -------------------------------------------------------------------


def test_write_attributes_sets_replaces_and_removes():
    state = ()
    for changes, expected in [
        ("pmin=100&pmax=200", "pmin=100&pmax=200"),
        ("pmin=150", "pmin=150&pmax=200"),
        ("pmax", "pmin=150"),
        ("pmin=300&pmax=600", "pmin=300&pmax=600"),
        ("lt", "pmin=300&pmax=600"),
        ("pmin&pmax", ""),
    ]:
        state = updated(state, parse_attributes(changes))
        assert format_attributes(state) == expected


@pytest.mark.parametrize(
    ("before", "changes", "fault"),
    [
        ("pmax=200", "pmin=300", "pmin=300 is above pmax=200"),
        ("epmax=200", "epmin=300", "epmin=300 is above epmax=200"),
        ("lt=200", "gt=100", "lt=200 is not below gt=100"),
        ("lt=200", "gt=200", "lt=200 is not below gt=200"),
        ("lt=10&st=2", "gt=11", "lt=10 plus twice st=2 is not below gt=11"),
        ("lt=10&gt=14", "st=2", "lt=10 plus twice st=2 is not below gt=14"),
    ],
)
def test_write_attributes_that_contradict_what_is_there_are_refused(before, changes, fault):
    with pytest.raises(ValueRejected, match=fault):
        updated(parse_attributes(before), parse_attributes(changes))


# --- inherited -------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["object", "instance", "resource", "resource_instance"])
def test_an_attribute_of_any_level_counts_below(level):
    assert effective(VOLTAGE, assigned(**{level: "pmax=1"})) == (("pmax", "1"),)


def test_the_nearest_level_wins_for_each_attribute():
    levels = assigned(
        object="pmin=1000&pmax=2000",
        instance="pmin=100&pmax=200",
        resource="pmin=10&pmax=20&st=10&lt=200&gt=500",
        resource_instance="pmin=1&st=1",
    )
    assert format_attributes(effective(VOLTAGE, levels)) == "pmin=1&pmax=20&st=1&lt=200&gt=500"
    assert format_attributes(effective(BATTERY, levels)) == "pmin=100&pmax=200"
    assert format_attributes(effective(Path("/3"), levels)) == "pmin=1000&pmax=2000"
    assert effective(Path("/5/0/3"), levels) == effective(Path("/"), levels) == ()


def test_levels_that_contradict_each_other_are_refused():
    levels = assigned(resource="pmin=200", resource_instance="pmax=100")
    with pytest.raises(ValueRejected, match="/3/0/7/0: pmin=200 is above pmax=100"):
        effective(VOLTAGE, levels)
    assert effective(Path("/3/0/7"), levels) == (("pmin", "200"),)


def test_properties_and_removed_attributes_are_not_inherited():
    assert effective(VOLTAGE, {Path("/3"): (("ver", "1.1"), ("pmin", None))}) == ()


PATHS = st.sampled_from([Path(VOLTAGE[:depth]) for depth in range(1, 5)])
SETS = st.dictionaries(st.sampled_from(["con", "hqmax", "edge"]), st.sampled_from(["0", "1"])).map(
    lambda found: tuple(found.items())
)
LEVELS = st.dictionaries(PATHS, SETS)


@given(LEVELS, PATHS)
def test_inheritance_keeps_to_its_laws(levels, path):
    found = dict(effective(path, levels))
    own = dict(levels.get(path, ()))
    inherited = dict(effective(path.parent, levels))
    # The nearest level wins, and nothing else happens on the way down.
    assert found == inherited | own
    # Assigning what counts already changes nothing.
    assert dict(effective(path, {**levels, path: tuple(found.items())})) == found
    # What lies below or beside has no say.
    assert (
        dict(effective(path, {place: levels[place] for place in levels if path.startswith(place)})) == found
    )


SECONDS = st.integers(0, 9_999_999_999).map(str)
DECIMALS = st.decimals(-(10**9), 10**9, places=3, allow_nan=False).map(lambda number: f"{number:f}")
WRITABLE = st.fixed_dictionaries(
    {},
    optional={
        "pmin": st.none() | SECONDS,
        "pmax": st.none() | SECONDS,
        "epmin": st.none() | SECONDS,
        "epmax": st.none() | SECONDS,
        "lt": st.none() | DECIMALS,
        "gt": st.none() | DECIMALS,
        "st": st.none() | DECIMALS.map(lambda number: number.lstrip("-")),
        "edge": st.sampled_from([None, "0", "1"]),
        "con": st.sampled_from([None, "0", "1"]),
        "hqmax": st.none() | SECONDS,
    },
).map(lambda found: tuple(found.items()))


@given(WRITABLE, WRITABLE)
def test_sets_survive_printing_and_writing_twice(first, second):
    try:
        check_attributes(first, VOLTAGE)
    except ValueRejected:
        with pytest.raises(ValueRejected):
            parse_attributes(format_attributes(first))
        return
    assert parse_attributes(format_attributes(first)) == first
    state = updated((), first)
    assert state == tuple(pair for pair in first if pair[1] is not None)
    assert updated(state, first) == state
    try:
        after = updated(state, second)
    except ValueRejected:
        return
    check_attributes(after, VOLTAGE)
    assert dict(after) == {
        name: value for name, value in (dict(state) | dict(second)).items() if value is not None
    }
