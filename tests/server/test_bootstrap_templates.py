"""Which client is to have what: kept, found by name or pattern, filled in."""

from __future__ import annotations

import stat

import pytest

from lwm2m_engine import Catalog, Path
from lwm2m_engine.bootstrap.config import values_of
from lwm2m_engine.coap import Code, Peer
from lwm2m_engine.errors import RequestError, SettingsError
from lwm2m_engine.messages.bootstrap import BootstrapRequest
from lwm2m_server.bootstrap.keys import Keys
from lwm2m_server.bootstrap.sealing import SealedTemplates
from lwm2m_server.bootstrap.templates import Templates
from lwm2m_server.security.vault import Vault
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.records import Tenant

CATALOG = Catalog.bundled()
PEER = Peer("10.0.0.1", 1, "coap-bs")


def document(short_id=1, **more):
    account = {"0": "coaps://dm", "1": False, "2": 0, "3": {"text": "{endpoint}"}, "5": {"key": "management"}}
    server = {"0": short_id, "1": 300, "6": True, "7": "U"}
    return {"write": {"/0/1": account | {"10": short_id}, "/1/0": server}, **more}


def tenant_of(endpoint):
    return "other" if endpoint.startswith("other") else "main"


@pytest.fixture
def opened(tmp_path):
    def opened(models=lambda tenant: CATALOG, inventory=None):
        keys = Keys(tmp_path / "bootstrap.key")
        inventory = inventory or TinyInventory(tmp_path / "inventory.json")
        return Templates(SealedTemplates(inventory, Vault(bytes(32)), models), keys.key, models, tenant_of)

    return opened


def short_id(templates, endpoint):
    config = templates.config(BootstrapRequest(endpoint), PEER)
    return values_of(config.writes[1].entries)[0]


async def test_by_name_by_the_longest_pattern_or_not_at_all(opened):
    templates = opened()
    await templates.put("main", "all", ["*"], document(1))
    await templates.put("main", "sensors", ["sensor-*"], document(2))
    await templates.put("main", "sensor-1", [], document(3))
    assert [short_id(templates, name) for name in ("x", "sensor-2", "sensor-1")] == [1, 2, 3]
    await templates.remove("main", "all")
    with pytest.raises(RequestError) as refused:
        short_id(templates, "x")
    assert refused.value.code == Code.BAD_REQUEST


async def test_they_are_kept(opened):
    await opened().put("main", "sensors", ["sensor-*"], document(2))
    templates = opened()
    assert short_id(templates, "sensor-7") == 2
    assert templates.named("main", "sensors").endpoints == ("sensor-*",)
    assert templates.named("other", "sensors") is None


async def test_no_two_for_one_client(opened):
    templates = opened()
    await templates.put("main", "a", ["dev1", "x*"], document())
    for endpoints in (["dev1"], ["x*"]):
        with pytest.raises(Conflict):
            await templates.put("main", "b", endpoints, document())
    await templates.put("main", "a", ["dev1"], document(5))
    assert short_id(templates, "dev1") == 5


async def test_tenants_are_apart(opened):
    templates = opened()
    await templates.put("main", "all", ["*", "other-2"], document(1))
    await templates.put("other", "all", ["*"], document(2))
    assert [short_id(templates, name) for name in ("x", "other-1", "other-2")] == [1, 2, 2]
    mine, theirs = templates.named("main", "all"), templates.named("other", "all")
    assert [templates.is_for(mine, name) for name in ("x", "other-2")] == [True, False]
    assert [templates.is_for(theirs, name) for name in ("x", "other-2")] == [False, True]
    await templates.remove("other", "all")
    with pytest.raises(RequestError):
        short_id(templates, "other-2")


async def test_a_tenant_that_is_gone_takes_its_templates_along(opened, tmp_path):
    inventory = TinyInventory(tmp_path / "inventory.json")
    await inventory.add_tenant(Tenant(1, "other"))
    templates = opened(inventory=inventory)
    await templates.put("other", "all", ["*"], document())
    assert short_id(templates, "other-1") == 1
    await inventory.remove_tenant("other")
    assert templates.template("other-1") is None


async def test_what_does_not_hold_together_is_not_kept(opened):
    templates = opened()
    with pytest.raises(ExceptionGroup):
        await templates.put("main", "a", [], document(read=["/3"]))
    assert templates.all("main") == []


async def test_each_client_has_its_own_key_for_ever(opened):
    await opened().put("main", "all", ["*"], document())

    def key(endpoint):
        config = opened().config(BootstrapRequest(endpoint), PEER)
        return next(one.value for one in config.writes[0].entries if one.path == Path("/0/1/5"))

    assert key("a") == key("a") != key("b")
    assert len(key("a")) == 16


async def test_a_configuration_is_written_with_the_models_of_its_tenant(opened, tmp_path):
    other = Catalog.bundled()
    inventory = TinyInventory(tmp_path / "inventory.json")
    await inventory.add_tenant(Tenant(1, "other"))
    templates = opened(lambda tenant: {"main": CATALOG, "other": other}[tenant], inventory)
    for tenant in ("main", "other"):
        await templates.put(tenant, "all", ["*"], document())
    configs = [templates.config(BootstrapRequest(name), PEER) for name in ("one", "other-1")]
    assert [config.models for config in configs] == [CATALOG, other]


async def test_what_is_the_same_for_all_is_worked_out_once_and_anew_when_it_changes(opened):
    catalogs = [CATALOG]
    templates = opened(lambda tenant: catalogs[-1])
    same = {"write": {"/1/0": {"0": 1, "1": 300, "6": True, "7": "U"}}}
    await templates.put("main", "all", ["*"], same)
    first = templates.config(BootstrapRequest("a"), PEER)
    assert templates.config(BootstrapRequest("b"), PEER) is first
    catalogs.append(Catalog.bundled())
    assert templates.config(BootstrapRequest("b"), PEER) is not first
    await templates.put("main", "all", ["*"], same | {"retries": 1})
    assert templates.config(BootstrapRequest("b"), PEER).retries == 1


async def test_a_secret_that_is_not_shown_stays(opened):
    templates = opened()
    written = document()
    written["write"]["/0/1"]["5"] = {"hex": "00" * 16}
    await templates.put("main", "a", [], written)
    written["write"]["/0/1"]["5"] = "***"
    written["write"]["/1/0"]["1"] = 60
    kept = (await templates.put("main", "a", [], written)).document
    assert kept["write"]["/0/1"]["5"] == {"hex": "00" * 16}
    assert kept["write"]["/1/0"]["1"] == 60


def test_keys_of_names_that_run_together_differ(tmp_path):
    keys = Keys(tmp_path / "key")
    assert len({keys.key("ab", "c"), keys.key("a", "bc"), keys.key("abc", ""), keys.key("1:a", "")}) == 4
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_key_file_that_is_none(tmp_path):
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(SettingsError, match="32 bytes"):
        Keys(tmp_path / "key")
    with pytest.raises(SettingsError):
        Keys(tmp_path / "nowhere" / "key")
