"""A data directory as a server leaves it after years: written through the stores. Run by ``serverload.py``.

    python tests/benchmarks/prefill.py data --devices 10000 --messages 100
    python tests/benchmarks/prefill.py data --devices 100000 --observations 2

Devices are named as ``cload`` names its clients, ``load-0`` and on. With ``--messages`` each has so many in
``received-msg``. With ``--observations`` each is registered, for a day from now, and observed so often.
With ``--mixed`` two of three are registered, one of four of these in queue mode, and they were heard at
different times in the last two hours.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path as File

import attrs

from lwm2m_engine.coap import Peer
from lwm2m_engine.engine.records import Liveness, Observation, Registration
from lwm2m_engine.links import parse_links
from lwm2m_engine.paths import Path
from lwm2m_server.onem2m.behaviours.nodes import provision_node, put_node
from lwm2m_server.onem2m.behaviours.roots import DEVICE_GROUPS, below, put_roots
from lwm2m_server.onem2m.routing import FLEX_CONTAINER, GROUP_KEY
from lwm2m_server.settings import Settings
from lwm2m_server.store.ids import Ids, NodeIds
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.lock import DataDirectory
from lwm2m_server.store.records import Message, Resource, Tenant
from lwm2m_server.store.transaction import Transaction

AT_ONCE = 50
"""Devices in one transaction."""
DAY = 86_400
FIRST_ADDRESS = int(IPv4Address("127.1.0.1"))
LINKS, _ = parse_links('</>;rt="oma.lwm2m";ct=112,</1/0>,</4/0>,</5/0>,</3303/0>')
CONTENT = (
    '{"nodeResourceName":"load-0","time":1795369850000,"messageType":"notification","resourcePath":"3303/0",'
    '"dataValue":{"3303/0/5601":20.0,"3303/0/5602":25.0,"3303/0/5603":-40.0,"3303/0/5700":23.0,'
    '"3303/0/5701":"Cel"},"responseCode":"2.05","operation":"notify","requestID":null}'
)
OBSERVED = (Path("/3303/0/5700"), Path("/3303/0/5601"), Path("/3303/0/5602"), Path("/3303/0/5603"))


class Writer:
    """One device after the other."""

    def __init__(self, ids: Ids, tenant: Tenant, root: Resource, options: argparse.Namespace) -> None:
        self._ids, self._tenant, self._root, self._options = ids, tenant, root, options
        self._now = time.time()

    def devices(self, numbers: range) -> Callable[[Transaction], None]:
        def write(transaction: Transaction) -> None:
            for number in numbers:
                self._device(transaction, number)

        return write

    def _device(self, transaction: Transaction, number: int) -> None:
        ids, name = NodeIds(self._ids.next(NodeIds.COUNT)), f"load-{number}"
        limits = Settings().messages
        put_node(transaction, provision_node(ids, self._tenant, self._root.id, name, name, (), limits))
        for _ in range(self._options.messages):
            transaction.add_message(self._message(ids.received))
        mixed = self._options.mixed
        if self._options.observations or (mixed and number % 3):
            registration = attrs.evolve(self._registration(name), queue_mode=mixed and number % 4 == 0)
            peer = Peer(str(IPv4Address(FIRST_ADDRESS + number)), 40_000)
            seen_at = self._now - (number * 7919 % 7200 if mixed else 0)
            liveness = Liveness(peer, seen_at, seen_at + DAY)
            transaction.put_registration(ids.node, registration, liveness, self._now)
            for observation in self._observations(number, registration):
                transaction.put_observation(ids.node, observation)

    def _message(self, container: int) -> Message:
        id, size = self._ids.next(), len(CONTENT)
        return Message(id, container, None, "CDevice-Provisioning", 0, CONTENT, "application/json:0", size)

    def _registration(self, name: str) -> Registration:
        return Registration(
            id=f"r{name}",
            endpoint=name,
            version="1.1",
            lifetime=DAY,
            binding="U",
            queue_mode=False,
            root="/",
            objects={1: "1.1", 4: "1.3", 5: "1.1", 3303: "1.1"},
            instances=(Path("/1/0"), Path("/4/0"), Path("/5/0"), Path("/3303/0")),
            links=LINKS,
            formats=(112,),
            sms=None,
            attributes={},
            registered_at=self._now,
        )

    def _observations(self, number: int, registration: Registration) -> Iterator[Observation]:
        for index, path in enumerate(OBSERVED[: self._options.observations]):
            token = (number * len(OBSERVED) + index).to_bytes(8, "big")
            name = registration.endpoint
            yield Observation(token, name, registration.id, (path,), False, None, self._now)


def put_group(
    ids: Ids, folder: Resource, number: int, options: argparse.Namespace, transaction: Transaction
) -> None:
    """One of ``options.members`` devices, spread over the fleet."""
    step = max(options.devices // max(options.members, 1), 1)
    members = [f"load-{(number + place * step) % options.devices}" for place in range(options.members)]
    id, name = ids.next(), f"group-{number:05}"
    attributes = {"nds": members, "aes": [], "st": 0}
    transaction.put(Resource(id, folder.tenant, folder.id, name, FLEX_CONTAINER, GROUP_KEY, attributes, id))


def fill(options: argparse.Namespace) -> None:
    with DataDirectory(options.directory) as directory:
        ids = Ids()
        tenant = Tenant(ids.next(), Settings().tenant)
        asyncio.run(TinyInventory(directory.inventory).add_tenant(tenant))
        ledger = SqliteLedger(directory.ledger)
        ledger.run(lambda transaction: put_roots(transaction, ids, tenant))
        root = below(ledger.reader, tenant, "device-communication")
        writer = Writer(ids, tenant, root, options)
        for first in range(0, options.devices, AT_ONCE):
            ledger.run(writer.devices(range(first, min(first + AT_ONCE, options.devices))))
        folder = below(ledger.reader, tenant, DEVICE_GROUPS)
        for number in range(options.groups):
            ledger.run(partial(put_group, ids, folder, number, options))
        ledger.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=File, help="of the stores; made")
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=0, help="in each device's received-msg")
    parser.add_argument("--observations", type=int, default=0, choices=range(len(OBSERVED) + 1))
    parser.add_argument("--mixed", action="store_true", help="some registered, some asleep")
    parser.add_argument("--groups", type=int, default=0, help="device groups")
    parser.add_argument("--members", type=int, default=1000, help="of each")
    fill(parser.parse_args())


if __name__ == "__main__":
    main()
