"""What is noted against a dictionary: equal ones once, counted right, never more than the bounds; whatever
strangers make up, commits that fail, restarts."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lwm2m_server.problems import book
from lwm2m_server.problems.book import MORE, Problems
from lwm2m_server.store import problems
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.problems import ProblemFilter

BOUNDS = {"ROUND": 1, "KEPT": 12, "KEPT_OF_DEVICE": 4, "KEPT_OF_NOBODY": 5}
RATION = {"DIFFERENT": 3, "PENDING": 8, "AT_ONCE": 3, "SUBJECTS": 6, "STRANGERS": 7}


class Breaking(sqlite3.Connection):
    breaks = False

    def execute(self, sql, *arguments):
        if sql == "COMMIT" and Breaking.breaks:
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *arguments)


def connect(file):
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Breaking)


class ProblemsMachine(RuleBasedStateMachine):
    @initialize()
    def open(self):
        self.directory, self.now, Breaking.breaks = Path(tempfile.mkdtemp()), 1_800_000_000.0, False
        self.loop, self.stack = asyncio.new_event_loop(), contextlib.ExitStack()
        for module, values in ((problems, BOUNDS), (book, RATION)):
            self.stack.enter_context(mock.patch.multiple(module, **values))
        self.noted: Counter[tuple[int, str, str]] = Counter()
        self.evicts = False
        self.start()

    def start(self):
        self.ledger = SqliteLedger(self.directory / "ledger.db", connect=connect)
        self.problems = Problems(self.ledger, lambda: self.now)

    @rule(
        node=st.integers(0, 5),
        tenant=st.sampled_from(["main", "other"]),
        kind=st.sampled_from(["mapping", "registration"]),
        same=st.text(max_size=2),
        by=st.sampled_from(["", "10.0.0.1", "10.0.0.2"]),
        times=st.integers(1, 6),
    )
    def note(self, node, tenant, kind, same, by, times):
        async def note():
            for _ in range(times):
                text = f"{same}\ud800 is wrong"
                self.problems.note(kind, text, tenant=tenant, same=same, node=node, by=by, payload=b"\xff")

        self.loop.run_until_complete(note())
        self.noted[tenant, kind] += times

    @rule(seconds=st.sampled_from([1.0, 61.0, -100.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule()
    def flush(self):
        self.loop.run_until_complete(self.problems.flush())

    @rule()
    def fail_once(self):
        Breaking.breaks = True
        self.loop.run_until_complete(self.problems.flush())
        Breaking.breaks = False
        self.loop.run_until_complete(asyncio.sleep(0))

    @rule()
    def restart(self):
        async def stop():
            self.problems.close()

        self.loop.run_until_complete(stop())
        self.ledger.close()
        self.start()

    @invariant()
    def bounds_hold(self):
        assert len(self.problems._pending) <= RATION["PENDING"] + 2 * 2
        kept = [row.problem for row in self.ledger.reader.problems(ProblemFilter(), limit=1_000)]
        assert len({one.key for one in kept}) == len(kept)
        assert all(one.first <= one.last and one.count >= 1 for one in kept)
        by_tenant = Counter(one.tenant for one in kept)
        by_device = Counter((one.tenant, one.node) for one in kept if one.node)
        by_kind = Counter((one.tenant, one.kind) for one in kept if not one.node)
        assert max(by_tenant.values(), default=0) <= BOUNDS["KEPT"]
        assert max(by_device.values(), default=0) <= BOUNDS["KEPT_OF_DEVICE"]
        assert max(by_kind.values(), default=0) <= BOUNDS["KEPT_OF_NOBODY"]

    @invariant()
    def nothing_is_counted_twice(self):
        counted: Counter[tuple[str, str]] = Counter()
        stored = [row.problem for row in self.ledger.reader.problems(ProblemFilter(), limit=1_000)]
        for one in (*stored, *self.problems._pending.values()):
            counted[one.tenant, one.kind] += one.count
        assert all(counted[key] <= self.noted[key] for key in counted)

    def teardown(self):
        self.stack.close()
        self.ledger.close()
        self.loop.close()
        shutil.rmtree(self.directory)


TestProblems = ProblemsMachine.TestCase
TestProblems.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)


def test_all_are_counted_while_there_is_room(tmp_path):
    """A thousand of one kind from twenty devices: twenty rows that count them, in a few commits."""

    async def flood():
        for number in range(1_000):
            noted.note("mapping", "odd", tenant="main", same="rule", node=1 + number % 20)
        await noted.flush()

    ledger = SqliteLedger(tmp_path / "ledger.db")
    noted = Problems(ledger)
    asyncio.run(flood())
    kept = ledger.reader.problems(ProblemFilter(), limit=99)
    assert [row.problem.count for row in kept] == [50] * 20
    assert ledger.figures.operations < 12
    ledger.close()


def test_a_stranger_with_many_names_is_told_as_one(tmp_path):
    async def flood():
        for number in range(5_000):
            noted.note("registration", "who?", tenant="main", same=f"name {number}", by="10.0.0.1")
        await noted.flush()

    ledger = SqliteLedger(tmp_path / "ledger.db")
    noted = Problems(ledger)
    asyncio.run(flood())
    kept = [row.problem for row in ledger.reader.problems(ProblemFilter(), limit=99)]
    assert len(kept) == book.DIFFERENT + 1
    assert {one.same: one.count for one in kept}[MORE] == 5_000 - book.DIFFERENT
    ledger.close()


def test_many_strangers_are_told_as_one_and_known_devices_all_the_same(tmp_path):
    """Addresses of datagrams can be made up."""

    async def flood():
        for number in range(2_000):
            host = f"10.0.{number // 250}.{number % 250}"
            noted.note("registration", "who?", tenant="main", same=host, by=host)
        noted.note("registration", "old", tenant="main", same="version", node=5, by="10.9.9.9")
        await noted.flush()

    ledger = SqliteLedger(tmp_path / "ledger.db")
    noted = Problems(ledger)
    asyncio.run(flood())
    kept = [row.problem for row in ledger.reader.problems(ProblemFilter(), limit=2_000)]
    assert len(kept) == book.STRANGERS + 2
    assert {one.same: one.count for one in kept}[MORE] == 2_000 - book.STRANGERS
    assert [one.text for one in kept if one.node] == ["old"]
    ledger.close()
