"""Secrets of configurations lie in the inventory's file sealed only."""

from __future__ import annotations

import json

import pytest
import structlog

from lwm2m_engine import Catalog
from lwm2m_engine.errors import SettingsError
from lwm2m_server.bootstrap.sealing import SealedTemplates
from lwm2m_server.bootstrap.templates import Templates
from lwm2m_server.security.vault import Vault
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.records import BootstrapTemplate

CATALOG = Catalog.bundled()
SECRET = "736563726574"
DOCUMENT = {
    "noSec": True,
    "write": {
        "/0/1": {"0": "coaps://dm", "3": {"text": "{endpoint}"}, "5": {"hex": SECRET}},
        "0": {"2": {"secret_key": {"text": SECRET}, "3": "aWQ="}},
        "/21/0/0": SECRET,
        "/11/0": {"0": "profile", "6": SECRET},
        "/0/3": {"5": {"key": "management"}},
    },
}
TEMPLATE = BootstrapTemplate("main", "meters", ("meter-*",), DOCUMENT)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "inventory.json"


@pytest.fixture
def opened(file):
    def opened(key=bytes(32)):
        return SealedTemplates(TinyInventory(file), Vault(key), lambda tenant: CATALOG)

    return opened


async def test_in_the_file_they_are_sealed_and_in_memory_open(opened, file):
    kept = opened()
    await kept.put(TEMPLATE)
    assert SECRET not in file.read_text()
    assert kept.all() == opened().all() == [TEMPLATE]
    (stored,) = json.loads(file.read_text())["bootstrap"].values()
    assert stored["document"]["write"]["/0/3"] == {"5": {"key": "management"}}
    assert stored["document"]["write"]["/0/1"]["3"] == {"text": "{endpoint}"}, "what is no secret can be read"


async def test_what_was_in_clear_is_sealed_once_at_start(opened, file):
    await TinyInventory(file).put_bootstrap_template(TEMPLATE)
    assert SECRET in file.read_text()
    with structlog.testing.capture_logs() as logs:
        await opened().seal_clear()
    assert SECRET not in file.read_text()
    assert [line["configurations"] for line in logs] == [["meters"]]
    sealed = file.read_bytes()
    with structlog.testing.capture_logs() as logs:
        await opened().seal_clear()
    assert (file.read_bytes(), logs) == (sealed, [])
    assert opened().all() == [TEMPLATE]


async def test_with_another_key_they_cannot_be_opened(opened):
    await opened().put(TEMPLATE)
    with pytest.raises(SettingsError, match=r"'meters' of tenant 'main': credentials\.key_file"):
        opened(b"k" * 32).all()


@pytest.mark.parametrize("to", ["3", "8"])
async def test_moved_elsewhere_they_cannot_be_opened(opened, file, to):
    await opened().put(TEMPLATE)
    tables = json.loads(file.read_text())
    (stored,) = tables["bootstrap"].values()
    account = stored["document"]["write"]["/0/1"]
    account[to] = account.pop("5")
    file.write_text(json.dumps(tables))
    with pytest.raises(SettingsError, match="'meters'"):
        opened().all()


async def test_what_was_changed_cannot_be_opened(opened, file):
    await opened().put(TEMPLATE)
    tables = json.loads(file.read_text())
    (stored,) = tables["bootstrap"].values()
    stored["document"]["write"]["/0/1"]["5"] = {"sealed": "no base64"}
    file.write_text(json.dumps(tables))
    with pytest.raises(SettingsError, match="'meters'"):
        opened().all()


async def test_nobody_can_hand_in_what_looks_sealed(opened):
    kept = opened()
    templates = Templates(kept, lambda endpoint, name: b"", lambda tenant: CATALOG, lambda endpoint: "main")
    for resource in ("3", "5"):
        document = {
            "noSec": True,
            "write": {"/0/1": {"0": "coap://h", "1": True, "2": 3, resource: {"sealed": "YQ=="}}},
        }
        with pytest.raises(ExceptionGroup):
            await templates.put("main", "a", [], document)


async def test_what_is_no_configuration_is_left_alone(opened):
    broken = BootstrapTemplate("main", "a", ("a",), {"write": []})
    await opened().put(broken)
    assert opened().all() == [broken]
