"""The hub's view of the tree after a restart."""

import json

from lwm2m_engine import Engine
from lwm2m_engine.plugins.manager import PluginManager
from lwm2m_server.bus import Bus
from lwm2m_server.hub import Hub
from lwm2m_server.onem2m.notify.notices import open_notices
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.onem2m.projection import Nodes
from lwm2m_server.onem2m.projector import Projector
from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.store import Credentials
from lwm2m_server.security.vault import Vault
from lwm2m_server.settings import Settings
from lwm2m_server.sinks.outlets import open_outlets
from lwm2m_server.store.ids import Ids, NodeIds, ResourceIds
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Message, Tenant


async def test_a_waiting_message_that_cannot_be_read_any_more_ends_in_error_msg(tmp_path, catalog):
    ledger, inventory = SqliteLedger(tmp_path / "ledger.db"), TinyInventory(tmp_path / "inventory.json")
    ids, settings = Ids(), Settings()
    await inventory.add_tenant(Tenant(ids.next(), "main"))
    credentials = Credentials(ledger, Vault(bytes(32)), CertificateNames())
    notices = open_notices(ledger, inventory, settings, credentials)
    projector = Projector(ids, ResourceIds(ledger.installation), settings, notices)
    nodes = Nodes(projector, inventory, ledger.reader, ids, settings.messages)
    hub = Hub(ledger, nodes, Bus())
    plugins = PluginManager.default()
    engine = Engine(catalog, plugins, table=plugins.table(catalog))
    hub.add_tenant("main", engine)
    outlets = open_outlets(ledger, inventory, settings.deliveries)
    await Onem2m(inventory, ledger, hub, ids, settings, credentials, notices, outlets).prepare()
    ref, write = nodes.admit("main", "device001")
    await ledger.commit(write)
    own = NodeIds(ref.node)
    for text in ("GET /3/0/9", "FETCH what no version knows"):
        id = ids.next()
        message = Message(id, own.outgoing, None, "CApp", 0, text, None, len(text))
        await ledger.commit(lambda transaction, message=message: transaction.add_message(message))

    hub.resume(hub.restore())
    await hub.close()

    assert [waiting.content for waiting in ledger.reader.messages(own.outgoing)] == ["GET /3/0/9"]
    assert [engine.presence(endpoint).waiting for endpoint in engine.endpoints()] == [1]
    (error,) = [json.loads(message.content) for message in ledger.reader.messages(own.errors)]
    assert error["reason"] == "refused"
    assert "FETCH" in error["detail"]
    ledger.close()
