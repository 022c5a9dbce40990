"""Whatever is uploaded and taken away, whenever the server starts: layers, files and index agree."""

import asyncio
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import Sources, bundled_directory
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.library import models as models_module
from lwm2m_server.library.archives import File
from lwm2m_server.library.files import ModelFiles, digest_of
from lwm2m_server.library.library import Library
from lwm2m_server.library.models import Models
from lwm2m_server.library.shelf import Shelf
from lwm2m_server.library.usage import Usage
from lwm2m_server.settings import ModelSettings
from lwm2m_server.store.errors import Gone
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Tenant

TYPES = ("Integer", "Float", "String")
KEYS = ((33333, "1.0"), (33333, "1.1"), (3, "1.1"))
TENANTS = ("main", "other")


def xml(key, type):
    return f"""<LWM2M><Object ObjectType="MODefinition"><Name>{type}</Name><ObjectID>{key[0]}</ObjectID>
<ObjectURN/><ObjectVersion>{key[1]}</ObjectVersion><MultipleInstances>Single</MultipleInstances>
<Mandatory>Optional</Mandatory><Resources><Item ID="1"><Name>Level</Name><Operations>R</Operations>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory><Type>{type}</Type>
<RangeEnumeration/><Units/></Item></Resources></Object></LWM2M>""".encode()


OWNERS = st.sampled_from([None, *TENANTS])
FILE = st.tuples(st.sampled_from(KEYS), st.sampled_from(TYPES))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("upload"), OWNERS, st.lists(FILE, min_size=1, max_size=3), st.booleans()),
        st.tuples(st.just("remove"), OWNERS, st.sampled_from(KEYS)),
        st.tuples(st.just("restart")),
    ),
    max_size=12,
)


class World:
    """The library, and beside it what is uploaded as a dict."""

    def __init__(self, folder, bundled):
        self.folder, self.bundled = folder, bundled
        self.uploads = {}
        self.ledger = SqliteLedger(folder / "ledger.db")
        self.start()

    def start(self):
        self.inventory = TinyInventory(self.folder / "inventory.json")
        self.files = ModelFiles(self.folder / "models")
        self.files.sweep({row.digest for row in self.inventory.uploads.all()})
        self.models = Models(PluginManager([]), (), Shelf(self.files), self.inventory.uploads.all)
        usage = Usage(self.inventory, self.ledger)
        self.library = Library(self.inventory, self.models, self.files, usage, ModelSettings())

    async def upload(self, owner, files, replace):
        parts = [File(f"{place}.xml", xml(*file)) for place, file in enumerate(files)]
        report = await self.library.upload(owner, parts, replace=replace)
        before, first = dict(self.uploads), {}
        for (key, type), verdict in zip(files, report.files, strict=True):
            known, chosen = before.get((owner, key)), first.get(key, type)
            refused = chosen != type or (known not in (None, type) and not replace)
            assert (verdict.outcome == "refused") == refused
            first.setdefault(key, type)
            if not refused:
                self.uploads[owner, key] = type

    async def remove(self, owner, key):
        if (owner, key) in self.uploads:
            await self.library.remove(owner, key)
            del self.uploads[owner, key]
            return
        with pytest.raises(Gone):
            await self.library.remove(owner, key)

    def check(self):
        for tenant in TENANTS:
            catalog = self.models.of(tenant).catalog
            for key in KEYS:
                wanted = self.uploads.get((tenant, key)) or self.uploads.get((None, key))
                if wanted is None:
                    assert (key in catalog) == (key in self.bundled)
                    assert key not in catalog or catalog[key] == self.bundled[key]
                else:
                    assert catalog[key][1].type.value == wanted
            shown = {(one.object, one.version): one.level for one in self.library.all(tenant) if one.in_force}
            for key in KEYS:
                if (tenant, key) in self.uploads:
                    assert shown[key] == "tenant"
                elif (None, key) in self.uploads:
                    assert shown[key] == "system"
        names = {digest_of(xml(key, type)) for (_, key), type in self.uploads.items()}
        assert {file.stem for file in self.files.folder.glob("*")} == names


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_layers_files_and_index_agree(steps):
    async def run(folder):
        few = folder / "few"
        few.mkdir()
        (few / "3_1_1.xml").write_bytes((bundled_directory() / "3_1_1.xml").read_bytes())
        nowhere = folder / "nowhere"
        with patch.multiple(
            models_module, bundled_directory=lambda: few, user_directory=lambda: nowhere, SYSTEM=nowhere
        ):
            await play(folder)

    async def play(folder):
        world = World(folder, Catalog.of(Sources([folder / "few"])))
        for tenant in TENANTS:
            await world.inventory.add_tenant(Tenant(len(tenant), tenant))
        for step, *arguments in steps:
            if step == "restart":
                world.start()
            else:
                await getattr(world, step)(*arguments)
            world.check()
        world.ledger.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))
