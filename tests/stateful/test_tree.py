"""The tree against a small model: containers, contentInstances and flexContainers in one another come,
change, end and go, over restarts of the ledger."""

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

import attrs
import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_server.access.callers import OPEN
from lwm2m_server.onem2m.addresses import Address
from lwm2m_server.onem2m.errors import OneM2MError
from lwm2m_server.onem2m.notify.notices import open_notices
from lwm2m_server.onem2m.platform import Onem2m
from lwm2m_server.onem2m.primitives import Primitive
from lwm2m_server.onem2m.queries import NO_QUERY, RETRIEVE_CONTENT, parse_query
from lwm2m_server.security.certificates import CertificateNames
from lwm2m_server.security.store import Credentials
from lwm2m_server.security.vault import Vault
from lwm2m_server.settings import Settings
from lwm2m_server.sinks.outlets import open_outlets
from lwm2m_server.store import removals
from lwm2m_server.store.ids import SECOND, Ids, timestamp
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Tenant

HOUR = 3600
EVERYTHING = parse_query("rcn=4&lvl=50&ty=3+4+28", RETRIEVE_CONTENT)
CONTAINER, INSTANCE, FLEXIBLE = 3, 4, 28
KEYS = {CONTAINER: "m2m:cnt", INSTANCE: "m2m:cin", FLEXIBLE: "acme:box"}
AT_ONCE = removals.AT_ONCE

names = st.sampled_from("abc")
indices = st.integers(0, 30)
limits = st.none() | st.integers(0, 3)
values = st.none() | st.integers(0, 3) | st.just([{"deep": "x"}])


@attrs.define
class Box:
    """A container or flexContainer, or an instance, as it has to be."""

    type: int
    children: dict = attrs.field(factory=dict)
    instances: dict = attrs.field(factory=dict)
    """By name, in order; the content."""
    state_tag: int = 0
    limit: int = 10_000
    own: dict = attrs.field(factory=dict)
    end: float | None = None

    def trim(self):
        while len(self.instances) > self.limit:
            del self.instances[next(iter(self.instances))]

    def expire(self, now):
        for kept in (self.children, self.instances):
            for name in [name for name, one in kept.items() if one.end is not None and one.end <= now]:
                del kept[name]
        for child in self.children.values():
            child.expire(now)


class Clock:
    """Goes on by itself, and in leaps."""

    def __init__(self):
        self.leapt = 0

    def __call__(self):
        return time.time() + self.leapt


class Store:
    """What remains of devices where there are none."""

    def __init__(self, ledger):
        self.change = ledger.commit


class TreeMachine(RuleBasedStateMachine):
    @initialize(at_once=st.sampled_from([1, 8, AT_ONCE]))
    def open(self, at_once):
        removals.AT_ONCE = at_once
        self.directory = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.root = Box(5)
        self.loop.run_until_complete(self.start())

    async def start(self):
        self.ledger = SqliteLedger(self.directory / "ledger.db", clock=self.clock)
        inventory = TinyInventory(self.directory / "inventory.json", clock=self.clock)
        ids = Ids(floor=max(self.ledger.highest_id, inventory.highest_id))
        if inventory.tenant("main") is None:
            await inventory.add_tenant(Tenant(ids.next(), "main"))
        options = Settings(data=self.directory)
        credentials = Credentials(self.ledger, Vault(bytes(32)), CertificateNames())
        self.outlets = open_outlets(self.ledger, inventory, options.deliveries)
        self.platform = Onem2m(
            inventory,
            self.ledger,
            Store(self.ledger),
            ids,
            options,
            credentials,
            open_notices(self.ledger, inventory, options, credentials),
            self.outlets,
            self.clock,
        )
        await self.platform.prepare()
        await self.platform.resume()

    async def stop(self):
        await self.platform.close()
        await self.outlets.close()
        self.ledger.close()

    @rule()
    def restart(self):
        self.loop.run_until_complete(self.stop())
        self.loop.run_until_complete(self.start())

    @rule(hours=st.sampled_from([0.5, 2]))
    def leap(self, hours):
        self.clock.leapt += hours * HOUR
        self.root.expire(self.clock())

    # --- places in the tree --------------------------------------------------------------------------

    def places(self):
        """Ways to all boxes, and the boxes."""
        found = [((), self.root)]
        for way, box in found:
            found += [((*way, name), child) for name, child in box.children.items()]
        return found

    def ask(self, operation, way, *, ty=None, body=None, query=NO_QUERY):
        """RSC and attributes."""
        request = Primitive(
            operation, Address("main", way, False, ""), "CAdmin", query, OPEN, False, ty, body
        )
        try:
            answer = self.loop.run_until_complete(self.platform.answer(request))
        except OneM2MError as error:
            return error.rsc, {}
        body = orjson.loads(orjson.dumps(answer.body or {"": {}}))
        return answer.rsc, next(iter(body.values()))

    # --- what clients do -----------------------------------------------------------------------------

    def create(self, index, name, type, attributes, ends):
        way, parent = self.places()[index % len(self.places())]
        end = self.clock() + HOUR if ends else None
        ceilings = [box.end for _, box in self.line(way) if box.end is not None]
        if end is not None:
            attributes["et"] = timestamp(int(end * SECOND))
        if name is not None:
            attributes["rn"] = name
        rsc, made = self.ask("create", way, ty=type, body={KEYS[type]: attributes})
        end = min([*ceilings, *([] if end is None else [end])], default=None)
        return rsc, made, parent, end

    def line(self, way):
        box, line = self.root, []
        for name in way:
            box = box.children[name]
            line.append((name, box))
        return line

    @rule(index=indices, name=names, limit=limits, ends=st.booleans())
    def create_container(self, index, name, limit, ends):
        attributes = {} if limit is None else {"mni": limit}
        rsc, _, parent, end = self.create(index, name, CONTAINER, attributes, ends)
        if name in parent.children or name in parent.instances:
            assert rsc == 4105
        else:
            assert rsc == 2001
            limit = 10_000 if limit is None else limit
            parent.children[name] = Box(CONTAINER, limit=limit, end=end)

    @rule(index=indices, name=names, value=values, ends=st.booleans())
    def create_flexible(self, index, name, value, ends):
        own = {} if value is None else {"value": value}
        rsc, _, parent, end = self.create(index, name, FLEXIBLE, {"cnd": "a.b", **own}, ends)
        if name in parent.children or name in parent.instances:
            assert rsc == 4105
        else:
            assert rsc == 2001
            parent.children[name] = Box(FLEXIBLE, own=own, end=end)

    @rule(index=indices, name=st.none() | names, content=values, ends=st.sampled_from([False, False, True]))
    def create_instance(self, index, name, content, ends):
        content = "text" if content is None else content
        rsc, made, parent, end = self.create(index, name, INSTANCE, {"con": content}, ends)
        if parent.type != CONTAINER:
            assert rsc == 4108
        elif name in parent.children or name in parent.instances:
            assert rsc == 4105
        elif parent.limit == 0:
            assert rsc == 5207
        else:
            assert rsc == 2001
            parent.state_tag += 1
            parent.instances[made["rn"]] = Box(INSTANCE, own={"con": content}, end=end)
            parent.trim()

    @rule(index=indices, limit=limits, value=values)
    def update(self, index, limit, value):
        way, box = self.places()[index % len(self.places())]
        changes = {"mni": limit} if box.type == CONTAINER else {"value": value}
        rsc, changed = self.ask("update", way, body={KEYS.get(box.type, "m2m:cb"): changes})
        if not way:
            assert rsc == 4005
            return
        assert rsc == 2004
        box.state_tag += 1
        if box.type == CONTAINER:
            box.limit = 10_000 if limit is None else limit
            box.trim()
        else:
            box.own = {} if value is None else {"value": value}
        assert changed["st"] == box.state_tag

    @rule(index=indices, name=names)
    def delete(self, index, name):
        way, box = self.places()[index % len(self.places())]
        kept = box.children if name in box.children else box.instances
        rsc, _ = self.ask("delete", (*way, name))
        assert rsc == (2002 if name in kept else 4004)
        kept.pop(name, None)

    @rule(index=indices, end=st.sampled_from(["la", "ol"]))
    def delete_at_the_end(self, index, end):
        way, box = self.places()[index % len(self.places())]
        order = list(box.instances)
        rsc, _ = self.ask("delete", (*way, end))
        assert rsc == (2002 if order else 4004)
        if order:
            del box.instances[order[-1 if end == "la" else 0]]

    # --- what has to be true -------------------------------------------------------------------------

    @invariant()
    def the_tree_is_as_it_has_to_be(self):
        _, seen = self.ask("retrieve", (), query=EVERYTHING)
        platforms = [one["rn"] for one in seen["m2m:cnt"]]
        assert "device-communication" in platforms
        seen["m2m:cnt"] = [one for one in seen["m2m:cnt"] if one["rn"] != "device-communication"]
        self.compare(seen, self.root)

    def compare(self, seen, box):
        for type in (CONTAINER, FLEXIBLE):
            children = {one["rn"]: one for one in seen.get(KEYS[type], ())}
            assert children.keys() == {name for name, one in box.children.items() if one.type == type}
            for name, child in children.items():
                expected = box.children[name]
                assert child["st"] == expected.state_tag
                assert ("et" in child) == (expected.end is not None)
                assert {key: child[key] for key in ("value",) if key in child} == expected.own
                self.compare(child, expected)
        instances = [(one["rn"], one["con"]) for one in seen.get(KEYS[INSTANCE], ())]
        assert instances == [(name, one.own["con"]) for name, one in box.instances.items()]

    @precondition(lambda self: any(box.instances for _, box in self.places()))
    @rule()
    def ends_are_found(self):
        for way, box in self.places():
            if box.instances:
                order = list(box.instances)
                found = [self.ask("retrieve", (*way, end))[1]["rn"] for end in ("ol", "la")]
                assert found == [order[0], order[-1]]

    def teardown(self):
        removals.AT_ONCE = AT_ONCE
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.stop())
            self.loop.close()
            shutil.rmtree(self.directory)


TreeMachine.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_the_tree_agrees_with_its_model = TreeMachine.TestCase
