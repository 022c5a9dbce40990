"""What is in the inventory when the server starts."""

from contextlib import AsyncExitStack

import pytest

from lwm2m_engine.errors import SettingsError
from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.profiles.checks import versions_of
from lwm2m_server.profiles.document import read
from lwm2m_server.profiles.opening import open_profiles
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger

CATALOG = Catalog.bundled()


@pytest.fixture
def inventory(tmp_path):
    return TinyInventory(tmp_path / "inventory.json")


@pytest.fixture
def ledger(tmp_path):
    opened = SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


async def opened(inventory, ledger):
    async with AsyncExitStack() as stack:
        return await open_profiles(inventory, ledger, "groups", lambda tenant: CATALOG, stack)


async def test_a_profile_that_was_edited_and_is_none_stops_the_server(inventory, ledger):
    data = read({"observeAttr": {"telemetry": ["/3/0/9"]}}, versions_of(CATALOG)).data
    await inventory.profiles.put(DeviceProfile("main", "meter", data))
    assert (await opened(inventory, ledger)).profiles.named("main", "meter").document == data
    for member, value in (
        ("observeAttr", {}),
        ("observeAttr", None),
        ("clientLwM2mSettings", {"powerMode": 1}),
    ):
        edited = {"transportConfiguration": {**data["transportConfiguration"], member: value}}
        await inventory.profiles.put(DeviceProfile("main", "meter", edited))
        with pytest.raises(SettingsError, match="device profile 'meter' of tenant 'main'"):
            await opened(inventory, ledger)
