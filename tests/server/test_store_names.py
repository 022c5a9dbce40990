"""Names that lead to devices: none that is given is missed, now or after a restart."""

from contextlib import closing

import pytest

from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource, SealedCredential


def node(id, name, ni=None):
    return Resource(id, "main", 1, name, 14, "m2m:nod", {} if ni is None else {"ni": ni}, id)


GIVEN = {
    "its name": ("dev", lambda tx: tx.put(node(100, "dev"))),
    "a node id": ("urn:1", lambda tx: tx.put(node(100, "dev", "urn:1"))),
    "a node id in its other spelling": ("urn:gsma:imei:1", lambda tx: tx.put(node(100, "dev", "urn:imei:1"))),
    "a node id given later": (
        "urn:2",
        lambda tx: (tx.put(node(100, "dev", "urn:1")), tx.change(100, {"ni": "urn:2"}, 5)),
    ),
    "an endpoint name": ("ep", lambda tx: tx.put(node(100, "dev"), endpoint="ep")),
    "an endpoint name given later": (
        "ep",
        lambda tx: (tx.put(node(100, "dev")), tx.bind_endpoint(100, "ep")),
    ),
    "what credentials are for": (
        "ep",
        lambda tx: (
            tx.put(node(100, "dev")),
            tx.put_credential(SealedCredential(100, "management", "psk", "ep", b"id", {}, b"sealed")),
        ),
    ),
}


@pytest.mark.parametrize("way", GIVEN)
def test_a_device_goes_by_every_name_it_was_given(tmp_path, way):
    name, give = GIVEN[way]
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        assert ledger.reader.device_of_endpoint(name) is None
        ledger.run(give)
        assert ledger.reader.device_of_endpoint(name).node == 100
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        assert ledger.reader.device_of_endpoint(name).node == 100
        assert ledger.reader.device_of_endpoint(f"{name}-other") is None


def test_a_name_that_was_taken_away_leads_nowhere(tmp_path):
    with closing(SqliteLedger(tmp_path / "ledger.db")) as ledger:
        ledger.run(lambda tx: tx.put(node(100, "dev"), endpoint="ep"))
        ledger.run(lambda tx: tx.bind_endpoint(100, "other"))
        assert ledger.reader.device_of_endpoint("ep") is None
        ledger.run(lambda tx: tx.remove(100))
        assert ledger.reader.device_of_endpoint("dev") is None
