"""Device profiles come, are renamed, assigned and removed, groups change, the server restarts: each device
has the profile that a few lines say it has."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from fnmatch import fnmatch
from pathlib import Path

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lwm2m_engine.model.catalog import Catalog
from lwm2m_server.profiles.checks import versions_of
from lwm2m_server.profiles.document import read
from lwm2m_server.profiles.opening import open_profiles
from lwm2m_server.store.definitions import ProfileRule
from lwm2m_server.store.errors import Conflict
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource, Tenant

CATALOG = Catalog.bundled()
DATA = read({"bootstrap": []}, versions_of(CATALOG)).data
NAMES = st.sampled_from(["a", "b", "c"])
DEVICES = {100: "red-1", 200: "red-2", 300: "blue-1"}
NODES = st.sampled_from(sorted(DEVICES))
GROUPS = {20: "north", 30: "south"}
PATTERNS = st.sampled_from(["red-*", "*-1", "none"])
TENANT, FOLDER = Tenant(1, "main"), 10


@attrs.define
class Kept:
    """What a profile is for."""

    groups: list[str] = attrs.field(factory=list)
    rules: list[ProfileRule] = attrs.field(factory=list)
    is_default: bool = False


class ProfileMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.kept: dict[str, Kept] = {}
        self.own: dict[int, str | None] = dict.fromkeys(DEVICES)
        self.members: dict[str, list[str]] = {name: [] for name in GROUPS.values()}

    # --- the server ----------------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.open()

        def fill(write):
            write.put(Resource(FOLDER, "main", TENANT.id, "groups", 2, "m2m:ae", {}, 1))
            for id, name in GROUPS.items():
                write.put(Resource(id, "main", FOLDER, name, 28, "dtiot:devGr", {"nds": []}, 1))
            for node, name in DEVICES.items():
                write.put(Resource(node, "main", TENANT.id, name, 14, "m2m:nod", {"ni": name}, 1))

        self.ledger.run(fill)

    def open(self) -> None:
        path = Path(self.folder.name)
        self.ledger, inventory = SqliteLedger(path / "ledger.db"), TinyInventory(path / "inventory.json")
        self.stack = AsyncExitStack()

        async def opened():
            if inventory.tenant("main") is None:
                await inventory.add_tenant(TENANT)
            return await open_profiles(inventory, self.ledger, "groups", lambda tenant: CATALOG, self.stack)

        self.server = self.runner.run(opened())

    def close(self) -> None:
        self.runner.run(self.stack.aclose())
        self.ledger.close()

    @rule()
    def restart(self) -> None:
        self.close()
        self.open()

    def teardown(self) -> None:
        self.close()
        self.runner.close()
        self.folder.cleanup()

    # --- what is done --------------------------------------------------------------------------------

    def attempt(self, change):
        """What came of it; ``None`` for a conflict."""
        try:
            return self.runner.run(change)
        except Conflict:
            return None

    @rule(name=NAMES)
    def add(self, name: str) -> None:
        done = self.attempt(self.server.editor.add("main", name, DATA))
        # One that was somebody's name is free when all devices go by the new one.
        if done is not None:
            assert name not in self.kept
            self.kept[name] = Kept()

    @rule(name=NAMES, other=NAMES)
    def rename(self, name: str, other: str) -> None:
        if name not in self.kept:
            return
        done = self.attempt(self.server.editor.replace("main", name, other, DATA))
        if done is not None:
            assert other == name or other not in self.kept
            self.kept[other] = self.kept.pop(name)
            self.own = {node: other if own == name else own for node, own in self.own.items()}

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in self.kept:
            self.runner.run(self.server.editor.remove("main", name))
            del self.kept[name]
            self.own = {node: None if own == name else own for node, own in self.own.items()}

    @rule(node=NODES, name=st.none() | NAMES)
    def assign(self, node: int, name: str | None) -> None:
        if name is None or name in self.kept:
            device = self.ledger.reader.device(node)
            self.runner.run(self.server.editor.assign(device, name))
            self.own[node] = name

    @rule(
        name=NAMES,
        groups=st.lists(st.sampled_from(sorted(GROUPS.values())), unique=True),
        patterns=st.lists(st.tuples(st.integers(0, 2), PATTERNS), max_size=2),
        is_default=st.booleans(),
    )
    def appoint(
        self, name: str, groups: list[str], patterns: list[tuple[int, str]], is_default: bool
    ) -> None:
        if name not in self.kept:
            return
        rules = [ProfileRule(priority, pattern) for priority, pattern in patterns]
        done = self.attempt(self.server.editor.appoint("main", name, groups, rules, is_default))
        taken = any(set(groups) & set(one.groups) for other, one in self.kept.items() if other != name)
        assert (done is None) is taken
        if done is None:
            return
        if is_default:
            for one in self.kept.values():
                one.is_default = False
        self.kept[name] = Kept(groups, rules, is_default)

    @rule(
        id=st.sampled_from(sorted(GROUPS)),
        members=st.lists(st.sampled_from(sorted(DEVICES.values())), unique=True),
    )
    def regroup(self, id: int, members: list[str]) -> None:
        self.ledger.run(lambda write: write.change(id, {"nds": members}, 2))
        self.members[GROUPS[id]] = members

        async def told():
            self.server.editor.regrouped(id)

        self.runner.run(told())

    # --- what holds ----------------------------------------------------------------------------------

    @invariant()
    def each_device_has_the_profile_it_is_to_have(self) -> None:
        if not hasattr(self, "server"):
            return
        for node, name in DEVICES.items():
            found = self.server.profiles.assigned(self.ledger.reader.device(node))
            assert (None if found is None else (found.profile.name, found.by)) == self.wanted(node, name)

    def wanted(self, node: int, name: str) -> tuple[str, str] | None:
        if self.own[node] is not None:
            return self.own[node], "device"
        for group in sorted(self.members):
            for profile, one in self.kept.items():
                if group in one.groups and name in self.members[group]:
                    return profile, "group"
        ordered = sorted(
            (given.priority, profile, number, given)
            for profile, one in self.kept.items()
            for number, given in enumerate(one.rules)
        )
        for _, profile, _, one in ordered:
            if fnmatch(name, one.endpoint):
                return profile, "rule"
        return next(((profile, "default") for profile, one in self.kept.items() if one.is_default), None)


TestProfiles = ProfileMachine.TestCase
TestProfiles.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
