"""Pages of a list that is never sorted as a whole; devices of a profile as the ledger finds them."""

from __future__ import annotations

import random

import attrs
import pytest

from lwm2m_server.http.finding import between
from lwm2m_server.profiles.assignment import Assignments
from lwm2m_server.store.definitions import DeviceProfile, ProfileRule
from lwm2m_server.store.finding import Members, Wanted
from lwm2m_server.store.records import Described

DICE = random.Random(7)
MANY = 20_000
LISTS = {
    "any order": [DICE.random() for _ in range(MANY)],
    "mostly the same": [DICE.choice((0.0, 0.0, 0.0, 1.0)) for _ in range(MANY)],
    "in waves": [number % 7 for number in range(MANY)],
    "names": [f"m-{DICE.randrange(MANY)}" for _ in range(MANY)],
    "short": [DICE.random() for _ in range(30)],
    "empty": [],
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("descending", [False, True])
async def test_a_page_is_what_the_sorted_list_has_there(name, descending):
    keys = LISTS[name]
    whole = sorted(range(len(keys)), key=keys.__getitem__)[:: -1 if descending else 1]
    for start in (-3, 0, 7, len(keys) // 2, max(len(keys) - 20, 0), len(keys) + 5):
        for length in (0, 50, 1000, len(keys)):
            found = await between(keys, start, start + length, descending=descending)
            assert found == whole[max(start, 0) : max(start + length, 0)], (start, length)


def profile(name, *, groups=(), rules=(), default=False, former=()):
    return DeviceProfile(
        tenant="main", name=name, document={}, groups=groups, rules=rules, is_default=default, former=former
    )


PROFILES = (
    profile("meters", rules=(ProfileRule(2, endpoint="m-1*"),), former=("old",)),
    profile("lamps", groups=("Night", "Empty"), rules=(ProfileRule(1, endpoint="m-?5"),)),
    profile("others", groups=("All",), rules=(ProfileRule(9, endpoint="urn:*"),)),
    profile("rest", default=True),
)
NIGHT = {"m-3", "m-11", "m-20"}
EVERY = {"m-20", "m-21"}


async def test_devices_of_a_profile_are_those_it_is_for(api):
    groups = {"Night": Members(NIGHT, ()), "Empty": Members((), ()), "All": Members(EVERY, ())}
    reader, named = api.ledger.reader, {1: "meters", 2: "old", 4: "lamps", 11: "rest", 20: "gone"}
    for number in range(26):
        await api.add_device(f"m-{number}")
        node = reader.device_named("main", f"m-{number}").node
        if number in named:
            await api.ledger.commit(lambda write, one=node, own=named[number]: write.set_profile(one, own))
    assignments = Assignments(PROFILES)

    def group_of(device, names):
        return next((name for name in sorted(names) if device.name in groups[name].names), None)

    for one in PROFILES:
        cases = assignments.cases(one, groups.__getitem__)
        found = reader.find_devices(Wanted("main", cases=cases))
        expected = [
            device.node
            for device in reader.devices("main")
            if assignments.of(device, group_of, lambda node: Described(None, None)).profile is one
        ]
        assert (one.name, found) == (one.name, expected)
        assert reader.count_devices(Wanted("main", cases=cases)) == len(expected)


@pytest.mark.parametrize("rule", [ProfileRule(1, model="X*"), ProfileRule(1, endpoint="m-[0-9]")])
def test_what_only_a_look_at_each_device_tells(rule):
    some = profile("some", rules=(rule,))
    assert Assignments([some]).cases(some, lambda name: Members((), ())) is None


async def test_those_that_never_registered_are_counted_without_a_look_at_each(api):
    for number in range(3):
        await api.add_device(f"d{number}")
    for registered, expected in ((None, 3), (False, 3), (True, 0)):
        wanted = Wanted("main", registered=registered)
        assert api.ledger.reader.count_devices(wanted) == expected
        assert len(api.ledger.reader.find_devices(wanted)) == expected
        assert len(api.ledger.reader.find_devices(attrs.evolve(wanted, text="d", sort="name"))) == expected
