"""What a device profile means for a device of one kind."""

from __future__ import annotations

import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.coap import CoapRequest, Code, Peer
from lwm2m_engine.engine import Arrangement, Engine, Group
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.arrangements import plan
from lwm2m_server.profiles.mapping import AfterConnect, ProfileMapping, Strategy
from lwm2m_server.profiles.places import Place

LINKS = b"</1/0>,</3/0>,</3303/0>,</3303/1>"


@pytest.fixture(scope="module")
def world():
    """A device's registration, and its models."""
    engine = Engine(Catalog.bundled())
    request = CoapRequest(Code.POST, ("rd",), ("ep=dev", "lwm2m=1.1"), LINKS)
    engine.receive(request, Peer("10.0.0.1", 5683), 0.0)
    return engine.registration("dev"), engine.models("dev")


def mapping(observe=(), telemetry=(), attribute=(), attributes=None, **more):
    return ProfileMapping(
        observe=tuple(map(Place.parse, observe)),
        attribute=tuple(map(Place.parse, attribute)),
        telemetry=tuple(map(Place.parse, telemetry)),
        attributes={Place.parse(place): own for place, own in (attributes or {}).items()},
        **more,
    )


def groups(*texts):
    """``/3/0/9`` is asked for alone, ``/3/0/9 /3/0/13`` in one composite."""
    return tuple(Group(tuple(map(Path, text.split())), " " in text) for text in texts)


MAPPED = {
    "observe": ["/3/0/9", "/3/0/13", "/3303/*/5700"],
    "telemetry": ["/3/0/9", "/3/0/13", "/3303/*/5700", "/3303/0/5601"],
    "attribute": ["/3/0/0", "/3/0/1", "/1/0/1"],
}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.SINGLE, groups("/3/0/9", "/3/0/13", "/3303/0/5700", "/3303/1/5700")),
        (Strategy.COMPOSITE_ALL, groups("/3/0/9 /3/0/13 /3303/0/5700 /3303/1/5700")),
        (Strategy.COMPOSITE_BY_OBJECT, groups("/3/0/9 /3/0/13", "/3303/0/5700 /3303/1/5700")),
    ],
)
def test_observations_follow_the_strategy(world, strategy, expected):
    made = plan(mapping(**MAPPED, strategy=strategy), *world)
    assert (made.arrangement.observations, made.notes) == (expected, ())


@pytest.mark.parametrize("strategy", Strategy)
def test_whole_instances_are_observed(world, strategy):
    named = {"observe": ["/3303/*", "/3303/0/5700"], "telemetry": ["/3303/*/5700", "/3303/0/5601"]}
    made = plan(mapping(**named, strategy=strategy), *world)
    expected = ("/3303/0", "/3303/1") if strategy is Strategy.SINGLE else ("/3303/0 /3303/1",)
    assert (made.arrangement.observations, made.arrangement.reads) == (groups(*expected), ())


@pytest.mark.parametrize(
    ("after", "as_observed", "strategy", "first", "expected"),
    [
        (1, False, Strategy.COMPOSITE_ALL, False, groups("/3/0", "/1/0/1", "/3303/0/5601")),
        (1, True, Strategy.SINGLE, False, groups("/3/0/0", "/3/0/1", "/1/0/1", "/3303/0/5601")),
        (1, True, Strategy.COMPOSITE_ALL, False, groups("/3/0/0 /3/0/1 /1/0/1 /3303/0/5601")),
        (2, True, Strategy.COMPOSITE_ALL, True, groups("/1/0", "/3/0", "/3303/0", "/3303/1")),
        (
            3,
            False,
            Strategy.SINGLE,
            True,
            groups("/3/0/0 /3/0/1 /1/0/1 /3/0/9 /3/0/13 /3303/0/5700 /3303/1/5700 /3303/0/5601"),
        ),
    ],
)
def test_reads_follow_the_strategy_after_connect(world, after, as_observed, strategy, first, expected):
    more = {"after_connect": AfterConnect(after), "read_as_observed": as_observed, "strategy": strategy}
    made = plan(mapping(**MAPPED, **more), *world).arrangement
    assert (made.reads_first, made.reads) == (first, expected)


def test_what_lies_in_one_instance_is_one_plain_read(world):
    more = {"after_connect": AfterConnect.READ_MAPPED}
    assert plan(mapping(telemetry=["/3/0/9", "/3/0/13"], **more), *world).arrangement.reads == groups("/3/0")
    assert plan(mapping(telemetry=["/3/0/9"], **more), *world).arrangement.reads == groups("/3/0/9")


def test_attributes_of_an_instance_go_before_those_of_any(world):
    pmin = {"/3303/*/5700": (("pmin", "5"),), "/3303/1/5700": (("pmin", "9"),), "/3": ()}
    assert plan(mapping(attributes=pmin), *world).arrangement.attributes == (
        (Path("/3303/0/5700"), (("pmin", "5"),)),
        (Path("/3303/1/5700"), (("pmin", "9"),)),
    )


def test_another_version_is_used_and_told(world):
    made = plan(mapping(observe=["/3_1.7/0/9"]), *world)
    assert made.arrangement.observations == groups("/3/0/9")
    assert made.notes == ("/3 is version 1.1 here; the device profile is made for 1.7 and used all the same",)


def test_what_is_not_there_is_told(world):
    absent = [f"/{number}/0/5700" for number in range(3320, 3330)]
    made = plan(mapping(observe=["/3/0/9", *absent], telemetry=["/3/0/4"]), *world)
    assert made.arrangement.observations == groups("/3/0/9")
    announced, readable = made.notes
    assert announced.startswith("the device profile names what is not announced: /3320/0/5700, /3321")
    assert announced.endswith("/3327/0/5700 and 2 more")
    assert readable == "the device profile names what cannot be read, by the object models: /3/0/4"


def test_of_objects_without_a_model_the_device_is_asked(world):
    engine = Engine(Catalog.bundled())
    request = CoapRequest(Code.POST, ("rd",), ("ep=dev", "lwm2m=1.1"), b"</26999/0>")
    engine.receive(request, Peer("10.0.0.1", 5683), 0.0)
    made = plan(mapping(observe=["/26999/0/1"]), engine.registration("dev"), engine.models("dev"))
    assert made.arrangement.observations == groups("/26999/0/1")


def test_a_profile_that_says_nothing_asks_for_nothing(world):
    assert plan(mapping(), *world).arrangement == Arrangement()
