"""Who subscribed to what: thousands to one resource are no more work than a few."""

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from counting import calls
from lwm2m_server.onem2m.notify.notices import Notices, open_notices
from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.store import Credentials
from lwm2m_server.security.vault import Vault
from lwm2m_server.settings import Settings
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Lane, Resource, Tenant
from lwm2m_server.store.transaction import Transaction

BOX = 10
MANY = 3_000


@attrs.frozen
class Bench:
    ledger: SqliteLedger
    notices: Notices

    def make(self, *subscriptions: Resource) -> None:
        def write_all(write: Transaction) -> None:
            for one in subscriptions:
                write.put(one)
                self.notices.created(write, BOX, one)

        self.ledger.run(write_all)

    def change(self, subscription: Resource) -> None:
        changed = {**subscription.attributes, "lbl": ["other"]}
        self.ledger.run(lambda write: write.change(subscription.id, changed, 99))

    def delete(self, subscription: Resource) -> None:
        def write_both(write: Transaction) -> None:
            self.notices.deleted(write, subscription)
            write.remove(subscription.id)

        self.ledger.run(write_both)

    def heard(self, target: str) -> int:
        load = self.ledger.outbox.lanes.get(Lane("main", target))
        return load.notices if load is not None else 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Bench]]:
    opened = []

    def start() -> Bench:
        ledger = SqliteLedger(tmp_path / "ledger.db", power_safe=False)
        opened.append(ledger)
        inventory = TinyInventory(tmp_path / "inventory.json")
        credentials = Credentials(ledger, Vault(bytes(32)), CertificateNames())
        return Bench(ledger, open_notices(ledger, inventory, Settings(), credentials))

    yield start
    for ledger in opened:
        ledger.close()


@pytest.fixture
async def bench(start: Callable[[], Bench], tmp_path: Path) -> Bench:
    await TinyInventory(tmp_path / "inventory.json").add_tenant(Tenant(1, "main"))
    made = start()
    made.ledger.run(lambda write: write.put(Resource(BOX, "main", 1, "box", 3, "m2m:cnt", {}, BOX)))
    return made


def subscription(id: int, **wanted: object) -> Resource:
    attributes = {"nu": [f"C{id}"], "cr": "CApp", "enc": {"net": [3, 4], **wanted}}
    return Resource(id, "main", BOX, f"sub{id}", 23, "m2m:sub", attributes, id)


async def test_one_more_subscription_costs_the_same_beside_thousands(bench: Bench) -> None:
    def costs(one: Resource) -> dict[str, int]:
        return {
            "make": calls(lambda: bench.make(one)),
            "change": calls(lambda: bench.change(one)),
            "delete": calls(lambda: bench.delete(one)),
        }

    bench.make(subscription(BOX + 1))
    costs(subscription(100_001))
    few = costs(subscription(100_002))
    bench.make(*map(subscription, range(1_000, 1_000 + MANY)))
    assert len(bench.ledger.watched[BOX]) == MANY + 1
    many = costs(subscription(100_003))
    # Its place among the others is searched for by halves.
    assert {work: count - few[work] for work, count in many.items() if count - few[work] > 40} == {}
    middle = subscription(1_000 + MANY // 2)
    assert calls(lambda: bench.delete(middle)) < few["delete"] + 40
    assert middle.id not in {one.id for one in bench.ledger.watched[BOX]}


async def test_those_of_a_resource_are_in_order_whatever_happens_to_them(bench: Bench) -> None:
    subscriptions = [subscription(id) for id in (20, 30, 40)]
    bench.make(*subscriptions)
    bench.change(subscriptions[0])
    bench.delete(subscriptions[1])
    bench.make(subscription(35))
    assert [one.id for one in bench.ledger.watched[BOX]] == [20, 35, 40]
    assert '"lbl"' in bench.ledger.watched[BOX][0].document


async def test_who_asks_for_subscriptions_hears_of_them_and_nobody_else_does(
    start: Callable[[], Bench], bench: Bench
) -> None:
    bench.make(subscription(20), subscription(21, chty=[4, 23]), subscription(22, lbl=['"chty"']))
    bench.make(subscription(23))
    assert [bench.heard(f"C{id}") for id in (20, 21, 22)] == [0, 1, 0]
    bench.ledger.close()
    again = start()
    assert [one.id for one in again.ledger.watched_closely[BOX]] == [21]
    again.delete(subscription(23))
    assert [again.heard(f"C{id}") for id in (20, 21, 22)] == [0, 2, 0]
    again.delete(subscription(21, chty=[4, 23]))
    assert again.ledger.watched_closely == {}
