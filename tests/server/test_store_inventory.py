"""The inventory: typed documents in one file, durable when a change returns, never half written."""

import asyncio
import json
import os
import threading

import attrs
import pytest
import tinydb

from lwm2m_engine.errors import SettingsError
from lwm2m_server.store import inventory as module
from lwm2m_server.store import jsonfile
from lwm2m_server.store.definitions import DeviceProfile, Package
from lwm2m_server.store.errors import CommitFailed, Conflict
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.records import ApiClient, Application, Model, Tenant

MAIN = Tenant(1000, "main")
APP = Application(2000, "main", "app", "N.test", "CAdmin", {"rr": True, "poa": ["http://x"]}, 2000)
MODEL = Model(3, "1.1", "models/xml/3_1_1.xml", "user")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "inventory.json"


@pytest.fixture
def inventory(path):
    return TinyInventory(path)


@pytest.fixture
def full_disk(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    return monkeypatch


async def test_documents_are_found_by_every_key(inventory):
    other = attrs.evolve(APP, id=2001, name="other", aei="COther")
    elsewhere = attrs.evolve(APP, id=2002, tenant="acme")
    await inventory.add_tenant(MAIN)
    await inventory.add_tenant(Tenant(1001, "acme", "short"))
    for application in (APP, other, elsewhere):
        await inventory.put_application(application)
    assert inventory.tenants() == [MAIN, Tenant(1001, "acme", "short")]
    assert inventory.tenant("main") == MAIN
    assert inventory.applications("main") == [APP, other]
    assert inventory.application("main", "other") == other
    assert inventory.application_by_aei("acme", "CAdmin") == elsewhere
    assert inventory.application_by_id(2000) == APP
    assert inventory.highest_id == 2002


def test_what_is_not_there_is_none(inventory):
    assert inventory.tenants() == inventory.applications("main") == inventory.models() == []
    assert inventory.tenant("main") is inventory.application("main", "app") is None
    assert inventory.application_by_id(1) is inventory.application_by_aei("main", "C") is None
    assert inventory.highest_id == 0


async def test_a_change_is_on_disk_when_it_returns(inventory, path):
    await inventory.add_tenant(MAIN)
    await inventory.put_application(APP)
    await inventory.set_models([MODEL])
    again = TinyInventory(path)
    assert (again.tenants(), again.applications("main"), again.models()) == ([MAIN], [APP], [MODEL])


async def test_replacing_leaves_nothing_of_the_old(inventory):
    await inventory.put_application(APP)
    changed = attrs.evolve(APP, name="new", attributes={"lbl": ["x"]}, modified=9)
    await inventory.put_application(changed)
    assert inventory.applications("main") == [changed]
    assert inventory.application("main", "app") is None


async def test_removing(inventory, path):
    await inventory.put_application(APP)
    await inventory.remove_application(APP.id)
    await inventory.remove_application(APP.id)
    assert inventory.application_by_id(APP.id) is None
    assert TinyInventory(path).applications("main") == []


async def test_taken_names_are_conflicts_within_a_tenant(inventory):
    await inventory.add_tenant(MAIN)
    await inventory.put_application(APP)
    with pytest.raises(Conflict, match="main"):
        await inventory.add_tenant(Tenant(1001, "main"))
    with pytest.raises(Conflict):
        await inventory.put_application(attrs.evolve(APP, id=2001, aei="COther"))
    with pytest.raises(Conflict):
        await inventory.put_application(attrs.evolve(APP, id=2001, name="other"))
    assert inventory.applications("main") == [APP]


async def test_the_model_index_is_replaced_and_written_only_when_it_differs(inventory, path):
    await inventory.set_models([MODEL, attrs.evolve(MODEL, version="1.2")])
    before = path.stat().st_ino
    await inventory.set_models(inventory.models())
    assert path.stat().st_ino == before
    await inventory.set_models([MODEL])
    assert inventory.models() == TinyInventory(path).models() == [MODEL]


async def test_stock_tinydb_opens_the_file(inventory, path):
    await inventory.add_tenant(MAIN)
    await inventory.put_application(APP)
    await inventory.set_models([MODEL])
    with tinydb.TinyDB(path) as stock:
        assert stock.table("tenants").get(tinydb.where("name") == "main").doc_id == 1000
        assert stock.table("applications").get(doc_id=2000)["aei"] == "CAdmin"
        assert stock.table("models").all()[0]["file"] == "models/xml/3_1_1.xml"


async def test_an_edit_made_while_stopped_is_there_after_start(inventory, path):
    await inventory.add_tenant(MAIN)
    with tinydb.TinyDB(path) as stock:
        stock.table("tenants").update({"names": "short"}, tinydb.where("name") == "main")
        stock.table("tenants").insert({"name": "added"})
    again = TinyInventory(path)
    assert again.tenants() == [attrs.evolve(MAIN, names="short"), Tenant(1001, "added")]


async def test_a_person_can_read_the_file(inventory, path):
    await inventory.add_tenant(MAIN)
    assert '    "1000": {\n      "name": "main",\n' in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_change_that_cannot_be_written_did_not_happen(inventory, path, full_disk):
    before = path.read_bytes()
    with pytest.raises(CommitFailed, match=r"inventory\.json: No space left"):
        await inventory.add_tenant(MAIN)
    assert inventory.tenants() == []
    assert path.read_bytes() == before
    full_disk.undo()
    await inventory.put_application(APP)
    assert TinyInventory(path).tenants() == []
    assert TinyInventory(path).applications("main") == [APP]


async def test_readers_see_only_what_is_durable(inventory, monkeypatch):
    writing, go_on = threading.Event(), threading.Event()

    def slow(file, tables):
        writing.set()
        go_on.wait(5)
        jsonfile.replace(file, tables)

    monkeypatch.setattr(module, "replace", slow)
    change = asyncio.create_task(inventory.add_tenant(MAIN))
    await asyncio.to_thread(writing.wait, 5)
    assert inventory.tenants() == []
    go_on.set()
    await change
    assert inventory.tenants() == [MAIN]


async def test_a_cancelled_change_ends_before_the_next_begins(inventory, path, monkeypatch):
    at_once, most = 0, 0

    def counting(file, tables):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        jsonfile.replace(file, tables)
        at_once -= 1

    monkeypatch.setattr(module, "replace", counting)
    change = asyncio.create_task(inventory.add_tenant(MAIN))
    await asyncio.sleep(0)
    change.cancel()
    await asyncio.gather(*[inventory.add_tenant(Tenant(id, f"t{id}")) for id in range(5)])
    assert most == 1
    assert len(TinyInventory(path).tenants()) == len(inventory.tenants()) == 6


async def test_many_changes_at_once_all_arrive(inventory, path):
    applications = [attrs.evolve(APP, id=id, name=f"a{id}", aei=f"C{id}") for id in range(2000, 2050)]
    await asyncio.gather(*map(inventory.put_application, applications))
    assert TinyInventory(path).applications("main") == inventory.applications("main") == applications


# --- files that somebody else wrote ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b'{\n  "tenants": {,', r"inventory\.json:2:15: not JSON"),
        (b'{"tenants": "\xff"}', r"inventory\.json: byte 13 is not UTF-8"),
        (b"[1]", r"inventory\.json: not an object of tables"),
        (b'{"tenants": []}', "table 'tenants' is not an object"),
        (b'{"tenants": {"x": {}}}', "table 'tenants': 'x' is not a number"),
        (b'{"tenants": {}}', "no schema version"),
        (b'{"meta": {"1": {"schema": 2}}}', "has schema version 2, this program knows 1"),
        (
            b'{"meta": {"1": {"schema": 1}}, "tenants": {"7": {"nam": "x"}}}',
            "table 'tenants', document 7: .*nam",
        ),
        (
            b'{"meta": {"1": {"schema": 1}}, "tenants": {"7": {"name": "x", "names": "tall"}}}',
            "document 7: .*names",
        ),
    ],
)
def test_an_unusable_file_is_refused_with_its_place_and_left_alone(path, text, complaint):
    path.write_bytes(text)
    with pytest.raises(SettingsError, match=complaint):
        TinyInventory(path)
    assert path.read_bytes() == text
    assert [file.name for file in path.parent.iterdir()] == ["inventory.json"]


def test_an_empty_file_is_a_new_inventory(path):
    path.touch()
    assert TinyInventory(path).tenants() == []
    assert json.loads(path.read_text()) == {"meta": {"1": {"schema": 1}}}


async def test_an_older_file_is_copied_and_migrated(inventory, path):
    await inventory.add_tenant(MAIN)
    old = path.read_bytes()

    def shorten(tables):
        tenants = {id: document | {"names": "short"} for id, document in tables["tenants"].items()}
        return tables | {"tenants": tenants}

    newer = TinyInventory(path, migrations=(shorten,))
    assert newer.tenants() == [attrs.evolve(MAIN, names="short")]
    assert path.with_name("inventory.v1.json").read_bytes() == old
    assert json.loads(path.read_text())["meta"] == {"1": {"schema": 2}}
    with pytest.raises(SettingsError, match="version 2"):
        TinyInventory(path)


async def test_clients(tmp_path):
    file = tmp_path / "inventory.json"
    inventory = TinyInventory(file)
    await inventory.add_tenant(Tenant(1, "main"))
    app = ApiClient("app", "main", "operate", "a hash", 5, ("CApp",))
    await inventory.add_client(app)
    await inventory.add_client(ApiClient("root", None, "system", "a hash", 6))
    with pytest.raises(Conflict, match="'app'"):
        await inventory.add_client(ApiClient("app", None, "system", "another", 7))
    again = TinyInventory(file)
    assert again.client("app") == app
    assert [client.id for client in again.clients()] == ["app", "root"]
    await again.remove_client("root")
    assert again.client("root") is None


async def test_a_tenant_goes_with_its_clients_but_not_with_its_applications(tmp_path):
    inventory = TinyInventory(tmp_path / "inventory.json")
    await inventory.add_tenant(Tenant(1, "main"))
    await inventory.add_tenant(Tenant(2, "other"))
    await inventory.add_client(ApiClient("app", "other", "read", "a hash", 5))
    await inventory.put_application(Application(3, "other", "app", "Napp", "Capp", {}, 3))
    with pytest.raises(Conflict, match="has applications"):
        await inventory.remove_tenant("other")
    await inventory.remove_application(3)
    await inventory.remove_tenant("other")
    assert [tenant.name for tenant in inventory.tenants()] == ["main"]
    assert inventory.clients() == []


async def test_a_collection(path):
    inventory = TinyInventory(path)
    profiles, meter = inventory.profiles, DeviceProfile("main", "meter", {"observe": ["/3/0/9"]})
    before = profiles.all()
    await profiles.add(meter)
    with pytest.raises(Conflict):
        await profiles.add(DeviceProfile("main", "meter", {}))
    common = DeviceProfile(None, "meter", {})
    await profiles.add(common)
    assert profiles.all() is not before
    assert profiles.of("main") == [meter]
    assert profiles.of(None) == [common]
    changed = attrs.evolve(meter, document={})
    await profiles.put_all((changed, DeviceProfile("main", "tracker", {})))
    again = TinyInventory(path).profiles
    assert again.get("main", "meter") == changed
    assert {(one.tenant, one.name) for one in again.all()} == {
        (None, "meter"),
        ("main", "meter"),
        ("main", "tracker"),
    }
    await profiles.remove("main", "meter")
    assert profiles.get("main", "meter") is None
    assert profiles.get(None, "meter") == common


async def test_what_a_failed_change_of_a_collection_leaves(inventory, full_disk):
    with pytest.raises(CommitFailed):
        await inventory.profiles.put(DeviceProfile("main", "meter", {}))
    assert inventory.profiles.all() == []


async def test_other_collections_are_not_read_again(inventory):
    await inventory.profiles.put(DeviceProfile("main", "meter", {}))
    before = inventory.profiles.all()
    await inventory.packages.add(Package("main", "fw", "1.1.10", "firmware", "fw.bin", "00" * 32, 16, 1))
    assert inventory.profiles.all() is before


async def test_a_tenant_goes_with_its_definitions(inventory):
    await inventory.add_tenant(MAIN)
    common = DeviceProfile(None, "meter", {})
    await inventory.profiles.put_all((DeviceProfile("main", "meter", {}), common))
    await inventory.remove_tenant("main")
    assert inventory.profiles.all() == [common]
