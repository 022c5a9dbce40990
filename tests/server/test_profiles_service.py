"""Which profile is for a device, and why."""

import attrs
import pytest

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.paths import Path
from lwm2m_server.profiles.mapping import EMPTY
from lwm2m_server.profiles.service import Profiles
from lwm2m_server.store.definitions import DeviceProfile, ProfileRule
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.records import Described, Device

CATALOG = Catalog.bundled()
DEVICE = Device(
    node=7,
    tenant="main",
    name="meter-7",
    node_id=None,
    endpoint="urn:meter:7",
    registration=None,
    liveness=None,
    registered_at=None,
    updated_at=None,
    deregistered_at=None,
    expired_at=None,
    inputs={},
    power=None,
)


class Rows:
    """What is asked of the ledger."""

    def described(self, node):
        return Described("ACME", "M7") if node == DEVICE.node else Described(None, None)

    def device_of_endpoint(self, endpoint):
        return DEVICE if endpoint == DEVICE.endpoint else None


def profile(name, key="level", **members):
    document = {
        "transportConfiguration": {
            "observeAttr": {
                "keyName": {"/3/0/9": key},
                "observe": ["/3/0/9"],
                "attribute": [],
                "telemetry": ["/3/0/9"],
                "attributeLwm2m": {},
                "observeStrategy": "SINGLE",
                "initAttrTelAsObsStrategy": False,
            },
            "clientLwM2mSettings": {
                "useObject19ForOtaInfo": False,
                "fwUpdateStrategy": 1,
                "swUpdateStrategy": 1,
                "clientOnlyObserveAfterConnect": 1,
                "powerMode": "DRX",
                "psmActivityTimer": None,
                "edrxCycle": None,
                "pagingTransmissionWindow": None,
                "fwUpdateResource": None,
                "swUpdateResource": None,
                "defaultObjectIDVer": "1.0",
            },
        }
    }
    return DeviceProfile("main", name, document, **members)


@pytest.fixture
def inventory(tmp_path):
    return TinyInventory(tmp_path / "inventory.json")


@pytest.fixture
def profiles(inventory):
    return Profiles(inventory, Rows(), group_of=lambda device, groups: next(iter(sorted(groups)), None))


def shown(assigned):
    return None if assigned is None else (assigned.profile.name, assigned.by)


async def test_device_group_rule_default(inventory, profiles):
    assert shown(profiles.assigned(DEVICE)) is None
    assert profiles.mapping(DEVICE) is EMPTY
    await inventory.profiles.add(profile("any", is_default=True))
    assert shown(profiles.assigned(DEVICE)) == ("any", "default")
    await inventory.profiles.add(profile("ruled", rules=(ProfileRule(1, endpoint="urn:meter:*"),)))
    assert shown(profiles.assigned(DEVICE)) == ("ruled", "rule")
    await inventory.profiles.add(profile("grouped", groups=("floor",)))
    assert shown(profiles.assigned(DEVICE)) == ("grouped", "group")
    own = attrs.evolve(DEVICE, profile="any")
    assert shown(profiles.assigned(own)) == ("any", "device")
    assert shown(profiles.assigned(attrs.evolve(DEVICE, profile="gone"))) == ("grouped", "group")
    assert profiles.assigned(attrs.evolve(DEVICE, tenant="other")) is None


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (ProfileRule(1, endpoint="urn:meter:7"), True),
        (ProfileRule(1, endpoint="urn:meter"), False),
        (ProfileRule(1, manufacturer="ACME"), True),
        (ProfileRule(1, manufacturer="ACME", model="M?"), True),
        (ProfileRule(1, manufacturer="ACME", model="X*"), False),
        (ProfileRule(1, endpoint="*", manufacturer="acme"), False),
    ],
)
async def test_a_rule_fits_if_all_of_it_does(inventory, profiles, rule, fits):
    await inventory.profiles.add(profile("ruled", rules=(rule,)))
    assert (profiles.of(DEVICE) is not None) is fits
    unknown = attrs.evolve(DEVICE, node=8, endpoint=None, name="urn:meter:7")
    assert (profiles.of(unknown) is not None) is (fits and rule.manufacturer is None)


async def test_the_rule_with_the_lowest_number_counts(inventory, profiles):
    await inventory.profiles.add(profile("a", rules=(ProfileRule(9, endpoint="*"),)))
    await inventory.profiles.add(profile("b", rules=(ProfileRule(2, endpoint="*"),)))
    assert profiles.of(DEVICE).name == "b"


async def test_a_profile_goes_by_its_former_name(inventory, profiles):
    await inventory.profiles.add(profile("new", former=("old",)))
    assert profiles.of(attrs.evolve(DEVICE, profile="old")).name == "new"


async def test_what_is_made_of_a_profile_is_made_once(inventory, profiles):
    await inventory.profiles.add(profile("a", is_default=True))
    mapping, keys = profiles.mapping(DEVICE), profiles.keys(DEVICE, CATALOG)
    assert keys.name(Path("/3/0/9")) == "level"
    await inventory.profiles.add(profile("b"))
    assert profiles.mapping(DEVICE) is mapping
    assert profiles.keys(DEVICE, CATALOG) is keys
    await inventory.profiles.put(profile("a", "charge", is_default=True))
    assert profiles.keys(DEVICE, CATALOG).name(Path("/3/0/9")) == "charge"


async def test_other_models_make_other_names(inventory, profiles):
    await inventory.profiles.add(profile("a", is_default=True))
    keys = profiles.keys(DEVICE, CATALOG)
    assert keys.name(Path("/3/0/0")) == "manufacturer"
    assert profiles.keys(DEVICE, Catalog()).name(Path("/3/0/0")) == "/3/0/0"


def test_listeners_are_told(profiles):
    heard = []
    profiles.subscribe(lambda *what: heard.append(what))
    profiles.changed("main", "a", (7,))
    assert heard == [("main", "a", (7,))]


async def test_rules_are_there_after_a_restart(tmp_path, inventory):
    given = profile("ruled", rules=(ProfileRule(3, "e*", "m*", "x"),), groups=("g",), former=("f",))
    await inventory.profiles.add(given)
    assert TinyInventory(tmp_path / "inventory.json").profiles.get("main", "ruled") == given


@pytest.mark.parametrize(("said", "version"), [("1.0", None), ("1.2", "1.2")])
async def test_versions_of_objects_that_are_announced_without_one(inventory, profiles, said, version):
    given = profile("a", is_default=True)
    given.document["transportConfiguration"]["clientLwM2mSettings"]["defaultObjectIDVer"] = said
    await inventory.profiles.add(given)
    assert profiles.unannounced("main", DEVICE.endpoint) == version
    assert profiles.unannounced("other", DEVICE.endpoint) is None
    assert profiles.unannounced("main", "nobody") is None


async def test_when_devices_listen(inventory, profiles):
    await inventory.profiles.add(profile("plain", is_default=True))
    assert profiles.power(DEVICE) is None
    given = profile("sleepy", rules=(ProfileRule(1, endpoint="urn:*"),))
    given.document["transportConfiguration"]["clientLwM2mSettings"]["powerMode"] = "PSM"
    await inventory.profiles.add(given)
    assert profiles.power(DEVICE).psm
    assert profiles.power(attrs.evolve(DEVICE, endpoint="other")) is None
