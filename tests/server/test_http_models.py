"""``/api/v1/models``: what is uploaded, by whom, and what becomes of it."""

import asyncio
import gzip
import io
import shutil
import tarfile
import time
import zipfile
from pathlib import Path as File

import httpx
import pytest

from lwm2m_engine import hookimpl
from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Registration
from lwm2m_engine.mapping.rules import Mapping, Rule
from lwm2m_engine.model.ddf import MAX_BYTES
from lwm2m_engine.model.sources import bundled_directory
from lwm2m_engine.plugins.loading import Candidate
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.access.callers import OPEN, Caller, Role
from lwm2m_server.http.app import create_http
from lwm2m_server.http.models import ModelApi
from lwm2m_server.library import models
from lwm2m_server.library.archives import label
from lwm2m_server.library.files import ModelFiles
from lwm2m_server.library.library import Library
from lwm2m_server.library.models import Models
from lwm2m_server.library.shelf import Shelf
from lwm2m_server.library.usage import Usage
from lwm2m_server.settings import ModelSettings
from lwm2m_server.store.definitions import DeviceProfile
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource, Tenant

MODELS = "/api/v1/models"
CALLERS = {
    "open": OPEN,
    "root": Caller("root", None, Role.SYSTEM, None),
    "boss": Caller("boss", "main", Role.ADMIN, None),
    "app": Caller("app", "main", Role.OPERATE, None),
    "eye": Caller("eye", "main", Role.READ, None),
    "stranger": Caller("stranger", "other", Role.ADMIN, None),
}
LIVE = Liveness(Peer("192.0.2.1", 5683, "coap"), seen_at=1.0, expires_at=2.0)


def xml(id=33333, version="1.0", name="Tank", type="Float", resource="Fill Level"):
    return f"""\
<LWM2M><Object ObjectType="MODefinition">
<Name>{name}</Name><ObjectID>{id}</ObjectID><ObjectURN>urn:oma:lwm2m:x:{id}:{version}</ObjectURN>
<LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>{version}</ObjectVersion>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources><Item ID="1"><Name>{resource}</Name><Operations>R</Operations>
<MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory>
<Type>{type}</Type><RangeEnumeration>0..1</RangeEnumeration><Units>m3</Units>
<Description>How much.</Description></Item></Resources></Object></LWM2M>
""".encode()


class Api:
    """The API on real stores, without devices that speak."""

    def __init__(self, folder, plugins=None, folders=(), **limits):
        self.folder, self.limits = folder, ModelSettings(**limits)
        self.inventory = TinyInventory(folder / "inventory.json")
        self.ledger = SqliteLedger(folder / "ledger.db")
        self.files = ModelFiles(folder / "models")
        plugins = plugins or PluginManager([])
        self.models = Models(plugins, folders, Shelf(self.files), self.inventory.uploads.all)
        self.swaps = 0
        self.models.swapped = self._swapped
        usage = Usage(self.inventory, self.ledger)
        self.library = Library(self.inventory, self.models, self.files, usage, self.limits)
        api = ModelApi(self.library, self.inventory, self.limits, "main").routes()
        transport = httpx.ASGITransport(create_http(api=api, door=self._door), raise_app_exceptions=True)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://server")

    async def _swapped(self, former):
        self.swaps += 1

    def _door(self, app):
        def serve(scope, receive, send):
            name = dict(scope["headers"]).get(b"x-caller", b"open").decode()
            scope["caller"] = CALLERS[name]
            return app(scope, receive, send)

        return serve

    async def ask(self, method, path="", who="open", **more):
        headers = {"x-caller": who, **more.pop("headers", {})}
        return await self.client.request(method, MODELS + path, headers=headers, **more)

    async def get(self, path="", **more):
        answer = await self.ask("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def upload(self, data, query="", method="POST", who="open", media_type="application/xml", path=""):
        return await self.ask(
            method, f"{path}?{query}", who, content=data, headers={"content-type": media_type}
        )

    async def parts(self, *files, query="", who="open"):
        return await self.ask("POST", f"?{query}", who, files=[("file", file) for file in files])

    def register(self, number, tenant="main", objects=None, version="1.1"):
        name = f"dev{number:02}"
        record = Registration(
            f"r{number}",
            name,
            version,
            300,
            "U",
            False,
            "/",
            objects or {33333: "1.0"},
            (),
            (),
            (),
            None,
            {},
            1.0,
        )

        def write(transaction):
            transaction.put(Resource(number + 100, tenant, 1, name, 14, "m2m:nod", {}, 1))
            transaction.put_registration(number + 100, record, LIVE, 1.0)

        self.ledger.run(write)

    async def close(self):
        await self.client.aclose()
        self.ledger.close()


@pytest.fixture
def registry_of_seven(tmp_path_factory, monkeypatch):
    """A bundled registry that is read in no time."""
    folder = tmp_path_factory.mktemp("bundled")
    for file in bundled_directory().glob("[3-6]_1_?.xml"):
        shutil.copy(file, folder)
    monkeypatch.setattr(models, "bundled_directory", lambda: folder)


@pytest.fixture
async def opened(tmp_path, monkeypatch, registry_of_seven):
    """``await opened(…)`` gives an ``Api``; another one over the same folder is another start."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    apis = []

    async def opened(plugins=None, folders=(), **limits):
        api = Api(tmp_path, plugins, folders, **limits)
        if not api.inventory.tenants():
            await api.inventory.add_tenant(Tenant(1, "main"))
            await api.inventory.add_tenant(Tenant(2, "other"))
        apis.append(api)
        return api

    yield opened
    for api in apis:
        await api.close()


@pytest.fixture
async def api(opened):
    return await opened()


# --- upload, list, show, download --------------------------------------------------------------------


async def test_a_file_is_kept_as_it_was_uploaded(api):
    answer = await api.parts(("3_1_2.xml", xml(3, "1.2", "Device")))
    assert answer.status_code == 201
    (file,) = answer.json()["files"]
    assert (file["fileName"], file["outcome"], file["overrides"]) == ("3_1_2.xml", "stored", ["bundled"])
    (shown,) = (await api.get("?level=tenant"))["models"]
    assert shown.pop("uploadedAt") == pytest.approx(time.time() * 1000, abs=60_000)
    assert shown == {
        "name": "Device",
        "objectId": 3,
        "objectVersion": "1.2",
        "key": "3_1.2",
        "resourceType": "LWM2M_MODEL",
        "level": "tenant",
        "fileName": "3_1_2.xml",
        "inForce": True,
        "usedBy": {"profiles": 0, "devices": 0},
        "fault": None,
    }
    answer = await api.ask("GET", "/3/1.2/file")
    assert answer.content == xml(3, "1.2", "Device")
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["content-disposition"] == 'attachment; filename="3_1_2.xml"'


async def test_what_a_model_defines(api):
    await api.upload(xml(), "fileName=tank.xml")
    shown = await api.get("/33333/1.0")
    assert (shown["fileName"], shown["urn"]) == ("tank.xml", "urn:oma:lwm2m:x:33333:1.0")
    assert shown["resources"] == [
        {
            "id": 1,
            "name": "Fill Level",
            "operations": "R",
            "type": "Float",
            "multiple": False,
            "mandatory": True,
            "units": "m3",
            "range": "0..1",
            "keyName": "fillLevel",
        }
    ]
    reboot = (await api.get("/3/1.1"))["resources"][4]
    assert (reboot["name"], reboot["operations"], reboot["keyName"]) == ("Reboot", "E", None)


async def test_filters_and_pages(api):
    await api.upload(xml())
    assert [row["objectVersion"] for row in (await api.get("?object=3"))["models"]] == ["1.0", "1.1", "1.2"]
    found = await api.get("?name=TANK&level=tenant")
    assert [row["objectId"] for row in found["models"]] == [33333]
    for text, wanted in (("33333", {33333}), ("tank", {33333}), ("LWM2M:X:33333", {33333}), ("3", {3})):
        assert {row["objectId"] for row in (await api.get(f"?q={text}"))["models"]} == wanted
    first = await api.get("?limit=10")
    rest = await api.get(f"?limit=10&offset={first['nextOffset']}")
    assert (first["total"], len(first["models"]), len(rest["models"])) == (12, 10, 2)
    assert "nextOffset" not in rest
    for query in ("level=none", "object=x", "limit=-1"):
        assert (await api.ask("GET", f"?{query}")).status_code == 400
    for path in ("/33333/1.1", "/x/1.0", "/99999999/1.0", "/3/1.0?level=tenant"):
        assert (await api.ask("GET", path)).status_code == 404


async def test_each_file_is_kept_whole_or_not_at_all(api):
    two = xml().replace(b"</LWM2M>", b"") + xml(33334)[len("<LWM2M>") :].replace(b"Float", b"Flot")
    answer = await api.parts(
        ("good.xml", xml(33335)), ("two.xml", two), ("odd.xml", xml(33336).replace(b"R<", b"<"))
    )
    assert answer.status_code == 207
    good, bad, odd = answer.json()["files"]
    assert (good["outcome"], good["problems"]) == ("stored", [])
    assert (bad["outcome"], bad["models"]) == ("refused", [])
    (problem,) = bad["problems"]
    assert problem["severity"] == "error"
    assert "did you mean 'Float'?" in problem["reason"]
    assert problem["line"] > 10
    assert odd["outcome"] == "stored"
    assert [row["key"] for row in (await api.get("?level=tenant"))["models"]] == ["33335_1.0", "33336_1.0"]


async def test_nothing_kept_is_a_problem_with_the_report(api):
    answer = await api.upload(b"<LWM2M>\n<oops></LWM2M>", "fileName=bad.xml")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].startswith("nothing is stored: bad.xml:2: ")
    assert answer.json()["files"][0]["outcome"] == "refused"
    for body in (b"", b"<DDFList/>", b'<!DOCTYPE LWM2M [<!ENTITY a "b">]><LWM2M/>', b"x" * (MAX_BYTES + 1)):
        assert (await api.upload(body)).status_code == 400
    assert (await api.upload(xml(), media_type="text/html")).status_code == 415
    assert (await api.ask("POST", "", files={"file": ("a.xml", b"")})).status_code == 400
    assert (await api.ask("POST", "", data={"a": "b"}, files={"file": xml()})).status_code == 400
    for media_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        assert (await api.upload(xml(), media_type=media_type)).status_code == 400
    assert api.swaps == 0
    assert list(api.files.folder.glob("*")) == []


async def test_what_is_there_is_replaced_on_request_only(api):
    assert (await api.upload(xml())).status_code == 201
    answer = await api.upload(xml())
    assert (answer.status_code, answer.json()["files"][0]["outcome"]) == (200, "unchanged")
    answer = await api.upload(xml(type="Integer"))
    assert answer.status_code == 400
    assert "33333_1.0 is uploaded already, and is something else" in answer.json()["detail"]
    answer = await api.upload(xml(type="Integer"), "replace=true")
    assert (answer.status_code, answer.json()["files"][0]["outcome"]) == (200, "replaced")
    assert (await api.get("/33333/1.0"))["resources"][0]["type"] == "Integer"
    assert len(list(api.files.folder.glob("*"))) == 1


async def test_put_is_about_one_version(api):
    path = "/33333/1.0"
    assert (await api.upload(xml(), method="PUT", path=path)).status_code == 201
    assert (await api.upload(xml(type="Integer"), method="PUT", path=path)).status_code == 200
    answer = await api.upload(xml(33334), method="PUT", path=path)
    assert answer.status_code == 400
    assert "it defines 33334/1.0, not 33333/1.0" in answer.json()["detail"]
    assert (await api.get(path))["resources"][0]["type"] == "Integer"


async def test_two_definitions_in_one_upload_that_differ(api):
    answer = await api.parts(("a.xml", xml()), ("b.xml", xml(type="Integer")), ("c.xml", xml()))
    assert [file["outcome"] for file in answer.json()["files"]] == ["stored", "refused", "stored"]
    assert "differs from that in a.xml" in answer.json()["files"][1]["problems"][0]["reason"]
    assert (await api.get("?level=tenant"))["total"] == 1


# --- archives ----------------------------------------------------------------------------------------


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def tarred(files, *links):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for link in links:
            archive.addfile(link)
    return packed.getvalue()


@pytest.mark.parametrize("pack", [zipped, tarred])
async def test_an_archive(api, pack):
    files = {"lib/a.xml": xml(), "lib/b.XML": xml(33334), "README.md": b"#", "__MACOSX/._a.xml": b"x"}
    answer = await api.upload(pack(files), media_type="application/octet-stream")
    assert answer.status_code == 201
    outcomes = {file["fileName"]: file["outcome"] for file in answer.json()["files"]}
    assert outcomes == {"a.xml": "stored", "b.XML": "stored", "README.md": "skipped", "._a.xml": "skipped"}


@pytest.mark.parametrize("pack", [zipped, tarred])
async def test_names_in_archives_are_labels(api, pack, tmp_path):
    names = ["../../evil.xml", "/etc/passwd.xml", "..\\..\\c.xml", "a\x00\x07/b\x1b.xml"]
    files = {name: xml(33000 + place) for place, name in enumerate(names)}
    answer = await api.upload(pack(files), media_type="application/zip")
    assert answer.status_code == 201
    assert {"evil.xml", "passwd.xml", "c.xml"} < {file["fileName"] for file in answer.json()["files"]}
    stored = {file.parent for file in tmp_path.rglob("*.xml")}
    assert stored == {api.files.folder}


async def test_links_and_devices_in_an_archive_are_not_followed(api):
    link = tarfile.TarInfo("link.xml")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    pipe = tarfile.TarInfo("pipe.xml")
    pipe.type = tarfile.FIFOTYPE
    answer = await api.upload(tarred({"a.xml": xml()}, link, pipe), media_type="application/gzip")
    assert [file["fileName"] for file in answer.json()["files"]] == ["a.xml"]


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (lambda: zipped({"a.xml": bytes(1_900_000)}), "unpacks to more than 1000000 bytes"),
        (lambda: tarred({"a.xml": bytes(1_900_000)}), "unpacks to more than 1000000 bytes"),
        (lambda: gzip.compress(bytes(3_000_000)), "there is no file in it"),
        (lambda: zipped({}), "there is no file in it"),
        (lambda: zipped({f"{number}.xml": xml() for number in range(21)}), "more than 20 files"),
        (lambda: zipped({f"{number}.txt": b"" for number in range(50)}), "more than 40 entries"),
        (lambda: tarred({f"{number}.xml": b"" for number in range(21)}), "more than 20 files"),
        (lambda: zipped({"a.xml": xml()})[:-30], "cannot be read"),
        (lambda: tarred({"a.xml": xml()})[:-30], "cannot be read"),
        (lambda: gzip.compress(b"<LWM2M/>"), "cannot be read"),
        (lambda: b"PK\x03\x04" + bytes(100), "cannot be read"),
    ],
)
async def test_hostile_archives(opened, archive, reason):
    api = await opened(upload_files=20, unpacked_size=5_000_000)
    answer = await api.upload(archive(), media_type="application/zip")
    assert answer.status_code == 400, answer.text
    assert reason in answer.json()["detail"]
    assert (await api.get("?level=tenant"))["total"] == 0


async def test_files_of_an_archive_that_cannot_be_read(api):
    big = zipped({"big.xml": xml() + b" " * MAX_BYTES, "a.xml": xml()}, zipfile.ZIP_STORED)
    bzip = zipped({"a.xml": xml()}, zipfile.ZIP_BZIP2)
    secret = bytearray(zipped({"a.xml": xml()}))
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        flags = secret.index(mark) + (6 if mark.endswith(b"\x04") else 8)
        secret[flags] |= 1
    answer = await api.upload(big, media_type="application/zip")
    assert [file["outcome"] for file in answer.json()["files"]] == ["refused", "stored"]
    for archive, reason in ((bzip, "packed in another way"), (bytes(secret), "it is encrypted")):
        answer = await api.upload(archive, media_type="application/zip")
        assert answer.status_code == 400
        assert reason in answer.json()["detail"]


def test_labels():
    assert label("C:\\models\\3_1_2.xml") == "3_1_2.xml"
    assert len(label("x" * 999)) == 255


async def test_sizes_are_bounded(opened):
    api = await opened(upload_size=2000, uploads=2)
    assert (await api.upload(xml() + b" " * 2000)).status_code == 413
    assert (await api.parts(("a.xml", xml() + b" " * 2000))).status_code == 413
    for id in (33333, 33334):
        assert (await api.upload(xml(id))).status_code == 201
    answer = await api.upload(xml(33335))
    assert "there are 2 models already" in answer.json()["detail"]
    assert (await api.upload(xml(33334, type="Integer"), "replace=true")).status_code == 200
    assert (await api.upload(xml(33335), "level=system")).status_code == 201


async def test_what_a_tenant_may_keep_is_bounded(opened):
    api = await opened(uploads_size=2 * len(xml()))
    answer = await api.parts(*((f"{id}.xml", xml(id)) for id in (33333, 33334, 33335)))
    assert [file["outcome"] for file in answer.json()["files"]] == ["stored", "stored", "refused"]
    assert "(models.uploads_size)" in answer.json()["files"][2]["problems"][0]["reason"]
    assert (await api.upload(xml(33335), "tenant=other")).status_code == 201


# --- levels and tenants ------------------------------------------------------------------------------


async def test_a_tenants_model_wins_over_the_systems_and_that_over_folders(opened, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "tank.xml").write_bytes(xml(type="String"))
    api = await opened(folders=(folder,))

    async def types():
        return [
            (await api.get(f"/33333/1.0?tenant={name}"))["resources"][0]["type"] for name in ("main", "other")
        ]

    assert await types() == ["String", "String"]
    await api.upload(xml(type="Integer"), "level=system")
    assert await types() == ["Integer", "Integer"]
    answer = await api.upload(xml(type="Float"))
    assert answer.json()["files"][0]["overrides"] == ["folder", "system"]
    assert await types() == ["Float", "Integer"]
    rows = (await api.get("?object=33333"))["models"]
    assert [(row["level"], row["inForce"]) for row in rows] == [
        ("folder", False), ("system", False), ("tenant", True)
    ]  # fmt: skip
    assert {row["fileName"] for row in rows} == {"tank.xml", "model.xml"}
    answer = await api.ask("GET", "/33333/1.0/file?level=folder")
    assert answer.content == xml(type="String")
    assert (await api.ask("DELETE", "/33333/1.0")).json()["inForce"]["level"] == "system"
    assert await types() == ["Integer", "Integer"]
    assert (await api.ask("DELETE", "/33333/1.0?level=system")).json()["inForce"]["level"] == "folder"


async def test_tenants_without_uploads_share_one_catalog(api):
    common = api.models.of("other")
    await api.upload(xml())
    assert api.models.of("other") is common is api.models.force.common
    assert 33333 in api.models.of("main").catalog
    await api.ask("DELETE", "/33333/1.0")
    assert api.models.of("main") is common


async def test_who_may_do_what(api):
    for who, status in {"boss": 201, "app": 403, "eye": 403, "root": 201, "stranger": 403}.items():
        level = "system" if who == "root" else "tenant"
        answer = await api.upload(xml(), f"tenant=main&level={level}", who=who)
        assert answer.status_code == status, who
    for who in ("boss", "stranger"):
        assert (await api.upload(xml(), "level=system", who=who)).status_code == 403
        assert (await api.ask("DELETE", "/33333/1.0?level=system", who)).status_code == 403
    assert (await api.upload(xml(), "tenant=main&level=tenant", who="root")).status_code == 403
    assert (await api.ask("GET", "?tenant=main", "root")).status_code == 403
    assert (await api.ask("GET", "?tenant=nobody")).status_code == 404
    assert (await api.upload(xml(), "level=folder")).status_code == 400
    rows = {who: await api.get("?object=33333", who=who) for who in ("root", "eye", "stranger")}
    assert {who: [row["level"] for row in found["models"]] for who, found in rows.items()} == {
        "root": ["system"], "eye": ["system", "tenant"], "stranger": ["system"]
    }  # fmt: skip
    assert rows["root"]["tenant"] is None
    assert (await api.ask("DELETE", "/33333/1.0", "stranger")).status_code == 404
    assert (await api.ask("DELETE", "/33333/1.0", "root")).status_code == 200


# --- who uses it -------------------------------------------------------------------------------------


async def test_a_model_in_use_is_not_taken_away_by_accident(api):
    await api.upload(xml())
    for number in range(25):
        api.register(number)
    api.register(30, objects={3: "1.0"})
    api.register(31, tenant="other")
    document = {"observeAttr": {"keyName": {"/33333_1.0/0/1": "level"}, "observe": ["/33333_1.0/0/1"]}}
    await api.inventory.profiles.add(DeviceProfile("main", "tanks", document))
    await api.inventory.profiles.add(DeviceProfile("main", "any", {"observe": ["/33333/*/1"]}))
    await api.inventory.profiles.add(DeviceProfile("main", "else", {"observe": ["/33333_2.0/0/1"]}))
    await api.inventory.profiles.add(DeviceProfile("other", "others", document))
    (row,) = (await api.get("?level=tenant"))["models"]
    assert row["usedBy"] == {"profiles": 2, "devices": 25}
    (plain,) = (await api.get("?level=tenant&usage=false"))["models"]
    assert row.keys() - plain.keys() == {"usedBy"}
    assert row.keys() | {"resources"} < (await api.get("/33333/1.0")).keys()
    assert "users" not in await api.get("/33333/1.0?usage=false")
    answer = await api.ask("DELETE", "/33333/1.0")
    assert answer.status_code == 409
    assert answer.json()["detail"].startswith("it is used by 2 device profiles and 25 devices")
    users = {
        "tenant": "main",
        "profiles": {"count": 2, "names": ["any", "tanks"]},
        "devices": {"count": 25, "names": [f"dev{number:02}" for number in range(20)]},
    }
    assert answer.json()["users"] == [users]
    assert (await api.get("/33333/1.0"))["users"] == [users]
    assert (await api.get("?level=tenant"))["total"] == 1
    answer = await api.ask("DELETE", "/33333/1.0?force=true")
    assert (answer.status_code, answer.json()) == (200, {"inForce": None})
    assert list(api.files.folder.glob("*")) == []


async def test_a_device_uses_the_nearest_version_there_is(api):
    await api.upload(xml(version="1.1"))
    api.register(1, objects={33333: "1.2"})
    assert (await api.ask("DELETE", "/33333/1.1")).status_code == 409
    await api.upload(xml(version="1.2"))
    (old, new) = (await api.get("?level=tenant"))["models"]
    assert [row["usedBy"]["devices"] for row in (old, new)] == [0, 1]
    assert (await api.ask("DELETE", "/33333/1.1")).status_code == 200


async def test_an_override_is_missed_by_nobody(api):
    await api.upload(xml(), "level=system")
    await api.upload(xml(type="Integer"))
    api.register(1)
    api.register(2, tenant="other")
    answer = await api.ask("DELETE", "/33333/1.0")
    assert (answer.status_code, answer.json()["inForce"]["level"]) == (200, "system")
    answer = await api.ask("DELETE", "/33333/1.0?level=system", "root")
    nobody = {"count": 1, "names": []}
    assert [one["tenant"] for one in answer.json()["users"]] == ["main", "other"]
    assert [one["devices"] for one in answer.json()["users"]] == [nobody, nobody]
    (row,) = (await api.get("?level=system", who="root"))["models"]
    assert row["usedBy"] == {"profiles": 0, "devices": 2}


# --- mappings ----------------------------------------------------------------------------------------


class TankPlugin:
    """Maps a Resource that has to be there, and has to be a number."""

    @staticmethod
    @hookimpl
    def lwm2m_mappings(catalog):
        if 33333 not in catalog:
            return
        yield Mapping(
            "m2m:battery", name="tank", rules=[Rule("/33333/0/fill_level", "btl", convert=float)],
            examples=[({"/33333/0/1": 0.5}, {"btl": 0.5})],
        )  # fmt: skip


def tank_plugin(strict):
    return PluginManager([Candidate("tank", "here", "tank.py", TankPlugin)], strict=strict)


async def test_each_tenant_has_mappings_of_its_models(opened):
    api = await opened(tank_plugin(strict=False))
    await api.upload(xml())
    assert [api.models.of(name).table.kind("tank") for name in ("main", "other")] == ["m2m:battery", ""]
    answer = await api.upload(xml(resource="Contents"), "replace=true")
    assert answer.status_code == 200
    (reason,) = answer.json()["mappings"]
    assert reason.startswith("plugin tank: ")
    assert api.models.of("main").table.kind("tank") == ""


async def test_what_strict_mappings_refuse_is_not_stored(opened):
    api = await opened(tank_plugin(strict=True))
    answer = await api.parts(("a.xml", xml(resource="Contents")), ("b.xml", xml(33334)))
    assert answer.status_code == 409
    assert "plugin tank: " in answer.json()["detail"]
    assert (await api.get("?level=tenant"))["total"] == 0
    assert list(api.files.folder.glob("*")) == []
    assert (await api.upload(xml())).status_code == 201


# --- keeping -----------------------------------------------------------------------------------------


async def test_they_are_there_after_a_restart(opened):
    first = await opened()
    await first.upload(xml())
    await first.upload(xml(33334), "level=system")
    second = await opened()
    assert 33333 in second.models.of("main").catalog
    assert 33333 not in second.models.of("other").catalog
    assert 33334 in second.models.of("other").catalog


async def test_a_file_that_is_damaged_is_told(opened):
    first = await opened()
    await first.upload(xml())
    await first.upload(xml(33334))
    one, other = sorted(first.files.folder.glob("*.xml"))
    one.write_bytes(b"<LWM2M/>")
    other.unlink()
    second = await opened()
    rows = (await second.get("?level=tenant"))["models"]
    assert [row["inForce"] for row in rows] == [False, False]
    assert all(row["fault"] for row in rows)
    assert (await second.ask("GET", "/33333/1.0")).status_code == 200
    assert (await second.ask("GET", "/33333/1.0/file")).status_code == 404
    assert (await second.ask("DELETE", "/33333/1.0")).status_code == 200


async def test_what_the_index_does_not_take_is_not_in_force(api, monkeypatch):
    async def fail(rows):
        raise CommitFailed("no space left")

    monkeypatch.setattr(api.inventory.uploads, "put_all", fail)
    answer = await api.upload(xml())
    assert answer.status_code == 503
    assert (api.swaps, list(api.files.folder.glob("*"))) == (0, [])


async def test_who_gives_up_leaves_nothing_half_done(api, monkeypatch):
    put_all, began, go_on = api.inventory.uploads.put_all, asyncio.Event(), asyncio.Event()

    async def slowly(rows):
        began.set()
        await go_on.wait()
        await put_all(rows)

    monkeypatch.setattr(api.inventory.uploads, "put_all", slowly)
    upload = asyncio.ensure_future(api.upload(xml()))
    await began.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    go_on.set()
    async with api.models.changing:
        assert 33333 in api.models.of("main").catalog
    assert len(list(api.files.folder.glob("*"))) == 1


async def test_orphans_are_swept(api):
    await api.upload(xml())
    (kept,) = api.files.folder.glob("*")
    for name in ("0" * 64 + ".xml", "1" * 64 + ".new"):
        (api.files.folder / name).write_bytes(b"x")
    assert api.files.sweep({row.digest for row in api.inventory.uploads.all()}) == 2
    assert list(api.files.folder.glob("*")) == [kept]


async def test_a_tenant_that_is_gone_leaves_nothing_to_the_next_of_its_name(api):
    await api.upload(xml(), "tenant=other")
    await api.inventory.remove_tenant("other")
    api.models.forget("other")
    await api.inventory.add_tenant(Tenant(3, "other"))
    assert (await api.get("?tenant=other&object=33333"))["total"] == 0
    assert 33333 not in api.models.of("other").catalog


async def test_uploads_at_once(api):
    answers = await asyncio.gather(*(api.upload(xml(33000 + number)) for number in range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert (await api.get("?level=tenant"))["total"] == 8
    assert {33000 + number for number in range(8)} <= {spec.id for spec in api.models.of("main").catalog}


# --- the whole registry ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registry():
    folder = File(__file__).resolve().parents[3] / "shared" / "data" / "oma-registry"
    if not folder.is_dir():
        pytest.skip("no copy of the OMA registry beside the checkout")
    return {file.name: file.read_bytes() for file in folder.glob("*")}


async def test_the_registry_in_one_archive(opened, registry):
    api, worst = await opened(), 0.0

    async def watch():
        nonlocal worst
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.001)
            worst = max(worst, time.thread_time() - began)

    archive = tarred(registry)
    watcher = asyncio.get_running_loop().create_task(watch())
    answer = await api.upload(archive, "level=system", media_type="application/gzip")
    watcher.cancel()
    assert answer.status_code == 201
    outcomes = [file["outcome"] for file in answer.json()["files"]]
    assert (outcomes.count("stored"), outcomes.count("refused")) == (424, 0)
    assert (await api.get("?level=system"))["total"] == 424
    assert len(api.models.catalog) == 327
    # What the loop itself has to do at a time; that it has to wait for others is the machine's business.
    assert worst < 0.05
