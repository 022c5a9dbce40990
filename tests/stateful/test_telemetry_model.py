"""What devices told against dictionaries: commits that fail, folding, history in small chunks, restarts and
kills, and values in any order of time."""

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lwm2m_engine.entries import Entry
from lwm2m_engine.paths import Path as LwPath
from lwm2m_server.settings import TelemetrySettings
from lwm2m_server.store import ripening, series, values
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource
from lwm2m_server.store.reports import SECOND, report
from lwm2m_server.telemetry.keeping import Keeper

NOW = 1_800_000_000
NODES = (11, 1011)
PLACES = ("3303/0/5700", "3303/1/5700", "3/0/9")
LONG, ROWS, POINTS = values.LONG, values.ROWS, series.POINTS


class Breaking(sqlite3.Connection):
    until_failure = -1

    def execute(self, sql, *arguments):
        if sql == "COMMIT" and Breaking.until_failure >= 0:
            Breaking.until_failure -= 1
            if Breaking.until_failure < 0:
                raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *arguments)


def connect(file):
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Breaking)


nodes, places = st.sampled_from(NODES), st.sampled_from(PLACES)
numbers = st.one_of(st.integers(-300, 300), st.floats(allow_nan=False), st.booleans(), st.text(max_size=3))
samples = st.lists(st.tuples(places, numbers, st.none() | st.integers(-40, 40)), min_size=1, max_size=8)


class Model:
    def __init__(self):
        self.points = {}
        self.latest = {}

    def tell(self, node, came, told):
        for place, value, time in told:
            at = came if time is None else NOW + time
            self.points.setdefault((node, place), {})[at * SECOND] = value
            known = self.latest.get((node, place))
            if known is None or min(at, came) >= known[0]:
                self.latest[node, place] = min(at, came), at * SECOND, value

    def delete(self, node, place, since, until):
        for key in [key for key in self.points if key[0] == node and place in (None, key[1])]:
            gone = [at for at in self.points[key] if since <= at < until]
            for at in gone:
                del self.points[key][at]
            if key in self.latest and since <= self.latest[key][1] < until:
                del self.latest[key]


class TelemetryMachine(RuleBasedStateMachine):
    @initialize(power_safe=st.booleans(), long=st.integers(1, 600), points=st.integers(1, 6))
    def open(self, power_safe, long, points):
        values.LONG, values.ROWS = long, 1
        series.POINTS = ripening.POINTS = points
        Breaking.until_failure = -1
        self.power_safe, self.directory = power_safe, Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.model, self.came, self.waiting = Model(), NOW, []
        self.start()
        for node in NODES:
            row = Resource(node, "main", 1, f"d{node}", 14, "m2m:nod", {"ni": f"d{node}"}, 0)
            self.ledger.run(lambda transaction, row=row: transaction.put(row))

    def start(self):
        file = self.directory / "ledger.db"
        self.ledger = SqliteLedger(file, power_safe=self.power_safe, connect=connect)
        self.keeper = Keeper(self.ledger, TelemetrySettings())

    @rule(node=nodes, told=samples, later=st.integers(0, 2))
    def tell(self, node, told, later):
        self.came += later
        entries = [
            Entry(LwPath(place), value, None if time is None else float(NOW + time))
            for place, value, time in told
        ]
        line = report(float(self.came), "send", entries)
        came = self.came
        self.waiting.append(
            (lambda model: model.tell(node, came, told), lambda tx: tx.add_values(node, line))
        )

    @rule(node=nodes, told=samples, breaks=st.integers(-1, 3))
    def tell_and_settle(self, node, told, breaks):
        self.tell(node, told, 1)
        self.commit()
        self.settle(node, breaks)

    @precondition(lambda self: self.waiting)
    @rule()
    def commit(self):
        self.run(self.commits())
        for on_model, _ in self.waiting:
            on_model(self.model)
        self.waiting = []

    @precondition(lambda self: self.waiting)
    @rule()
    def fail(self):
        Breaking.until_failure = 0
        assert {type(one) for one in self.run(self.commits())} == {CommitFailed}
        self.waiting = []

    async def commits(self):
        futures = [self.ledger.commit(operation) for _, operation in self.waiting]
        return await asyncio.gather(*futures, return_exceptions=True)

    @rule(count=st.integers(0, 3))
    def fold(self, count):
        self.ledger.run(lambda transaction: transaction.fold_values(count))

    @rule(node=nodes, breaks=st.integers(-1, 3))
    def settle(self, node, breaks):
        Breaking.until_failure = breaks
        with contextlib.suppress(CommitFailed):
            self.run(self.keeper.settle(node))
        Breaking.until_failure = -1

    @rule(node=nodes, place=st.none() | places, since=st.integers(-50, 50), length=st.integers(0, 90))
    def delete(self, node, place, since, length):
        begin = (NOW + since) * SECOND
        chosen = None if place is None else [place]
        self.run(self.keeper.delete(node, chosen, begin, begin + length * SECOND))
        self.model.delete(node, place, begin, begin + length * SECOND)

    @rule()
    def restart(self):
        self.ledger.close()
        self.start()

    @rule()
    def kill(self):
        copy = Path(tempfile.mkdtemp())
        for file in self.directory.iterdir():
            if file.suffix != ".db-shm":
                shutil.copy(file, copy / file.name)
        self.ledger.close()
        shutil.rmtree(self.directory)
        self.directory = copy
        self.start()

    def run(self, work):
        return self.loop.run_until_complete(work)

    @invariant()
    def all_is_found(self):
        read = self.ledger.reader
        for node in NODES:
            latest = {place: (told.at, told.value) for place, told in read.latest_values(node).items()}
            known = {key[1]: fact[1:] for key, fact in self.model.latest.items() if key[0] == node}
            assert repr(sorted(latest.items())) == repr(sorted(known.items()))
            for place in PLACES:
                known = sorted(self.model.points.get((node, place), {}).items())
                found = [point for chunk in read.points(node, place) for point in chunk]
                assert repr(found) == repr(known)
                found = [point for chunk in read.points(node, place, newest_first=True) for point in chunk]
                assert repr(found) == repr(known[::-1])
                begin, end = (NOW - 5) * SECOND, (NOW + 9) * SECOND
                found = [
                    point for chunk in read.points(node, place, since=begin, until=end) for point in chunk
                ]
                assert repr(found) == repr([point for point in known if begin <= point[0] < end])
                spans = read.spans(node, place)
                assert all(one.until < other.since for one, other in pairwise(spans))

    def teardown(self):
        values.LONG, values.ROWS = LONG, ROWS
        series.POINTS = ripening.POINTS = POINTS
        Breaking.until_failure = -1
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.loop.close()
            shutil.rmtree(self.directory)


TelemetryMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
test_telemetry = TelemetryMachine.TestCase
