"""Keys of devices between the bootstrap server and the credentials store."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from lwm2m_engine import Catalog
from lwm2m_engine.bootstrap.template import config_of
from lwm2m_server.bootstrap.keys import Keys
from lwm2m_server.bootstrap.provisioning import Provisioning
from lwm2m_server.security.credentials import NoSec, Psk
from lwm2m_server.security.identities import KnownIdentities
from lwm2m_server.security.material import Material
from lwm2m_server.store.errors import CommitFailed

CATALOG = Catalog.bundled()
ACCOUNT = {
    "0": "coaps://dm",
    "1": False,
    "2": 0,
    "3": {"text": "{endpoint}"},
    "5": {"key": "management"},
    "10": 1,
}


class Store:
    """Credentials and devices: one that is known, ``dev1``."""

    def __init__(self, present=None):
        self.present, self.broken = present, False

    def identities(self, side):
        return KnownIdentities(None, lambda der: ())

    def find(self, node, side):
        return self.present if side == "management" and self.present is not None else NoSec()

    def row(self, node, side):
        return self.present

    def write(self, transaction, device, side, credential, endpoint):
        if self.broken:
            raise CommitFailed("the disk is full")
        self.present = credential

    async def kept(self, node, commit):
        return await commit

    def material(self, node):
        return None

    def device_of_endpoint(self, endpoint):
        return SimpleNamespace(node=1) if endpoint == "dev1" else None


@pytest.fixture
def given(tmp_path):
    """Bootstrap a device; what was logged."""

    async def given(store, endpoint="dev1", **more):
        async def change(write):
            return write(store)

        provisioning = Provisioning(Keys(tmp_path / "key"), store, Material(store, store), store, change)
        document = {"write": {"/0/1": ACCOUNT | more}}
        config = config_of(document, endpoint, lambda name: provisioning.key(endpoint, name), CATALOG)
        with capture_logs() as logs:
            provisioning(endpoint, config)
            await provisioning.finish()
        return [line["event"] for line in logs]

    return given


async def test_a_key_that_was_made_is_believed_from_then_on(given, tmp_path):
    store = Store()
    assert await given(store) == []
    assert store.present.psk_identity == "dev1"
    assert store.present.key == Keys(tmp_path / "key").key("dev1", "management")


async def test_a_key_that_is_there_is_the_one_that_is_given(given):
    store = Store(Psk("dev1", "c2VjcmV0"))
    assert await given(store) == []
    assert store.present == Psk("dev1", "c2VjcmV0")


async def test_what_cannot_work_is_told(given):
    assert await given(Store(Psk("other", "c2VjcmV0"))) == [
        "a device was given its key with another PSK identity"
    ]
    assert await given(Store(), "stranger") == ["a key was given to a device that is not known here"]
    store = Store()
    store.broken = True
    assert await given(store) == ["the key a device was given is not stored"]


async def test_keys_that_were_not_made_here_are_nobodys_business(given):
    store = Store()
    assert await given(store, **{"5": {"hex": "00" * 16}}) == []
    assert await given(store, **{"2": 3, "3": "", "5": ""}) == []
    assert store.present is None
