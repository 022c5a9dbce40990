"""``OscoreContexts`` on a real ledger: what was derived outlives the process, not the credentials."""

import pytest
from aiocoap.oscore import ContextUnavailable

from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.contexts import NUMBERS, PER_SECOND, OscoreContexts
from lwm2m_server.security.credentials import Oscore
from lwm2m_server.security.store import Credentials
from lwm2m_server.security.vault import Vault
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource

KEYS = Oscore(b"\xfe\xdc", b"\x01", b"1234567890", b"0987654321", b"given")
NODE = Resource(10, "main", 1, "dev10", 14, "m2m:nod", {"ni": "urn:dev:10"}, 10)
AGREED = b"number-2number-3"


class Site:
    def __init__(self, path):
        self.path = path
        self.open()

    def open(self):
        self.ledger = SqliteLedger(self.path)
        self.credentials = Credentials(self.ledger, Vault(bytes(32), "test"), CertificateNames())
        self.of = {}
        for side in ("management", "bootstrap"):
            identities = self.credentials.identities(side)
            self.of[side] = OscoreContexts(identities, side, self.ledger, lambda: 1000.0)
            self.credentials.on_change(side, self.of[side].forget)

    def restart(self):
        self.ledger.close()
        self.open()

    async def put(self, keys, side="management"):
        device = self.ledger.reader.device(10)
        commit = self.ledger.commit(lambda tx: self.credentials.write(tx, device, side, keys))
        await self.credentials.kept(10, commit)

    def adopt(self, side="management"):
        contexts = self.of[side]
        before = contexts.of_endpoint("dev10")
        contexts.adopt(contexts.derived("dev10", AGREED), instead_of=before)
        return before


@pytest.fixture
async def site(tmp_path):
    site = Site(tmp_path / "ledger.db")
    site.ledger.run(lambda tx: tx.put(NODE))
    await site.put(KEYS)
    yield site
    site.ledger.close()


def id_context(site, side="management"):
    return site.of[side].of_endpoint("dev10").id_context


async def test_what_was_derived_outlives_the_process(site):
    await site.put(KEYS, "bootstrap")
    before = site.adopt()
    after = site.of["management"].of_endpoint("dev10")
    assert (before.id_context, after.id_context) == (b"given", AGREED)
    assert after.recipient_replay_window.is_initialized(), "nobody has used it before"
    site.restart()
    assert (id_context(site), id_context(site, "bootstrap")) == (AGREED, b"given")
    # But what of it was used, nobody knows any more: the device will be asked for an Echo.
    assert not site.of["management"].of_endpoint("dev10").recipient_replay_window.is_initialized()
    assert site.of["management"].endpoint_of(b"\xfe\xdc") == "dev10"


async def test_it_ends_with_the_credentials(site):
    site.adopt()
    await site.put(KEYS)
    assert id_context(site) == b"given"
    site.restart()
    assert id_context(site) == b"given"


async def test_what_rests_on_older_credentials_is_not_adopted(site):
    contexts = site.of["management"]
    before, derived = contexts.of_endpoint("dev10"), contexts.derived("dev10", AGREED)
    number = contexts.nonces.new("dev10")
    await site.put(KEYS)
    assert not contexts.nonces.begin("dev10", number + b"number-3")
    contexts.of_endpoint("dev10")
    with pytest.raises(ContextUnavailable, match="another security context"):
        contexts.adopt(derived, instead_of=before)
    site.restart()
    assert id_context(site) == b"given"


async def test_what_cannot_be_kept_is_not_adopted(site, monkeypatch):
    contexts = site.of["management"]
    number = contexts.nonces.new("dev10")

    def fail(write):
        raise CommitFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(SqliteLedger, "run", lambda self, write: fail(write))
        with pytest.raises(ContextUnavailable, match="disk is full"):
            site.adopt()
    assert id_context(site) == b"given"
    assert contexts.nonces.begin("dev10", number + b"number-3"), "the device may try once more"
    site.adopt()
    assert not contexts.nonces.begin("dev10", number + b"number-3")


async def test_no_number_is_used_twice(site):
    contexts = site.of["management"]
    taken = [contexts.of_endpoint("dev10").new_sequence_number() for _ in range(NUMBERS + 1)]
    site.adopt()
    taken.append(contexts.of_endpoint("dev10").new_sequence_number())
    site.restart()
    taken.append(site.of["management"].of_endpoint("dev10").new_sequence_number())
    assert taken == sorted(set(taken))
    assert taken[0] == 1000 * PER_SECOND


async def test_without_credentials_there_is_nothing(site):
    contexts = site.of["bootstrap"]
    assert contexts.is_empty
    assert (contexts.endpoint_of(b"\xfe\xdc"), contexts.of_endpoint("dev10")) == (None, None)
    with pytest.raises(ContextUnavailable, match="no OSCORE credentials"):
        contexts.derived("dev10", AGREED)
