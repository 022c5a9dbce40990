"""Rows of onboarding requests and of what device groups lead to."""

import attrs
import pytest

from lwm2m_server.onem2m.behaviours.nodes import provision_node, put_node
from lwm2m_server.settings import MessageSettings
from lwm2m_server.store.ids import NodeIds
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import OnboardingItem, Resource, Tenant

ITEMS = [OnboardingItem(7, place, f'{{"a":{place}}}', f'{{"long":{place}}}', b"sealed") for place in range(5)]


@pytest.fixture
def ledger(tmp_path):
    opened = SqliteLedger(tmp_path / "ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def node(ledger):
    ids = NodeIds(100)
    new = provision_node(ids, Tenant(1, "main"), 2, "dev", "urn:x", (), MessageSettings())
    ledger.run(lambda tx: put_node(tx, new))
    return ids


def test_items_are_read_in_order_and_settled(ledger):
    ledger.run(lambda tx: (tx.open_onboarding(7), tx.put_onboarding_items(ITEMS)))
    assert ledger.reader.open_onboardings() == [7]
    assert ledger.reader.onboarding_items(7, limit=2) == ITEMS[:2]
    assert ledger.reader.onboarding_items(7, after=1, limit=10) == ITEMS[2:]
    assert ledger.reader.onboarding_text(7, long=False) == '{"a":0},{"a":1},{"a":2},{"a":3},{"a":4}'
    assert ledger.reader.onboarding_text(7, long=True).startswith('{"long":0},')
    ledger.run(lambda tx: (tx.settle_onboarding_item(ITEMS[3], "no"), tx.close_onboarding(7)))
    (settled,) = ledger.reader.onboarding_items(7, after=2, limit=1)
    assert settled == attrs.evolve(ITEMS[3], sealed=None, outcome="no")
    assert ledger.reader.open_onboardings() == []


def test_items_are_removed_a_few_at_a_time(ledger):
    others = [attrs.evolve(item, request=8) for item in ITEMS]
    ledger.run(lambda tx: tx.put_onboarding_items([*ITEMS, *others]))
    left = []
    while ledger.run(lambda tx: tx.remove_onboarding_items(7, 2)):
        left.append(len(ledger.reader.onboarding_items(7, limit=10)))
    assert left == [3, 1, 0]
    assert len(ledger.reader.onboarding_items(8, limit=10)) == 5


def test_routes_are_walked_in_order_and_go_with_the_node(ledger, node):
    pairs = [(node.node, 5), (node.node, 6), (300, 5), (400, 5)]
    ledger.run(lambda tx: [tx.put_route(9, *pair) for pair in [*pairs, *pairs]])
    assert ledger.reader.routed_groups() == [9]
    assert ledger.reader.routes(9, limit=2) == pairs[:2]
    assert ledger.reader.routes(9, after=pairs[1], limit=10) == pairs[2:]
    assert ledger.reader.routes_between(9, 200, 300) == [(300, 5)]
    ledger.run(lambda tx: (tx.remove_route(9, 300, 5), tx.remove(node.node)))
    assert ledger.reader.routes(9, limit=10) == [(400, 5)]


def test_what_is_below_a_container_without_a_row_goes_with_its_parent(ledger, node):
    """A node's containers have no rows of their own; a subscription below one has."""
    subscription = Resource(500, "main", node.received, "sub", 23, "m2m:sub", {}, 500)
    ledger.run(lambda tx: tx.put(subscription))
    assert ledger.reader.child(node.received, "sub") == subscription
    assert ledger.reader.children(node.received) == [subscription]
    ledger.run(lambda tx: tx.remove(node.communication))
    assert ledger.reader.resource(500) is None
