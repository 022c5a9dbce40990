"""What devices would be asked if their profile were another one, and how many of them."""

from __future__ import annotations

import attrs
import pytest

from lwm2m_engine import Catalog
from lwm2m_engine.coap import CoapRequest, Code, Peer
from lwm2m_engine.engine import Engine
from lwm2m_engine.formats import ContentFormat
from lwm2m_server.profiles import impact
from lwm2m_server.profiles.impact import Impact
from lwm2m_server.profiles.mapping import ProfileMapping, Strategy
from lwm2m_server.profiles.places import Place
from lwm2m_server.store.records import DeviceRef, Subject

BATTERY, CLOCK = Place.parse("/3/0/9"), Place.parse("/3/0/13")
FORMER = ProfileMapping(observe=(BATTERY,), attributes={BATTERY: (("pmin", "10"),)})


class World:
    """As ``Fleet`` and as ``Devices``: so many have the profile, the first of them have registered."""

    def __init__(self, *registered, others=()):
        self.main = Engine(Catalog.bundled())
        self.names = (*registered, *others)
        for number, name in enumerate(registered):
            query = (f"ep={name}", "lwm2m=1.1")
            links = b"</1/0>,</3/0>"
            request = CoapRequest(Code.POST, ("rd",), query, links, ContentFormat.LINK_FORMAT)
            self.main.receive(request, Peer("10.0.0.1", number), 1_700_000_000.0)

    async def devices(self, tenant, profile):
        subjects = [Subject(node, tenant, name, name, None) for node, name in enumerate(self.names)]
        for start in range(0, len(subjects), 2):
            yield [(subject, None) for subject in subjects[start : start + 2]]

    def known(self, endpoint):
        return DeviceRef(1, "main", endpoint, endpoint)

    def engine(self, tenant):
        return self.main

    async def asked(self, wanted, former=FORMER, most=10):
        return await Impact(self, self).of("main", "meter", former, wanted, most=most)


def told(requests):
    return [
        (one.operation, *map(str, getattr(one, "paths", (one.path,))), *getattr(one, "attributes", ()))
        for one in requests
    ]


async def test_a_device_is_asked_for_the_difference():
    wanted = ProfileMapping(observe=(CLOCK,), attributes={CLOCK: (("pmax", "60"),)})
    found = await World("a").asked(wanted)
    (example,) = found.examples
    assert told(example.difference.requests) == [
        ("cancel", "/3/0/9"),
        ("write-attributes", "/3/0/13", ("pmax", "60")),
        ("write-attributes", "/3/0/9", ("pmin", None)),
        ("observe", "/3/0/13"),
    ]


async def test_another_strategy_begins_anew():
    found = await World("a").asked(attrs.evolve(FORMER, strategy=Strategy.COMPOSITE_ALL))
    assert told(found.examples[0].difference.requests) == [
        ("cancel", "/3/0/9"),
        ("observe-composite", "/3/0/9"),
    ]


async def test_what_is_a_matter_of_names_asks_nothing():
    found = await World("a", "b").asked(attrs.evolve(FORMER, names={BATTERY: "charge"}))
    assert (found.devices, found.registered, found.touched, found.examples) == (2, 2, 0, [])


async def test_all_are_counted_and_the_first_are_named():
    wanted = attrs.evolve(FORMER, observe=(BATTERY, CLOCK, Place.parse("/3303/*/5700")))
    found = await World("a", "b", "c", others=("d", "e")).asked(wanted, most=2)
    assert (found.devices, found.registered, found.touched, found.is_complete) == (5, 3, 3, True)
    assert [one.device.name for one in found.examples] == ["a", "b"]
    assert "what is not announced: /3303/*/5700" in found.examples[0].difference.notes[0]


async def test_a_fleet_that_takes_too_long_is_looked_at_in_part(monkeypatch):
    monkeypatch.setattr(impact, "LONGEST", -1.0)
    found = await World("a", "b").asked(ProfileMapping())
    assert (found.devices, found.registered, found.is_complete) == (2, 0, False)


@pytest.mark.parametrize("former", [FORMER, ProfileMapping()])
async def test_the_same_asks_nothing(former):
    found = await World("a").asked(former, former)
    assert (found.registered, found.touched) == (1, 0)
