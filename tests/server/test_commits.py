"""Between a failed transaction and the news of it, nothing may be built on what it took along."""

import asyncio
import sqlite3

import pytest

from lwm2m_engine.engine import Step
from lwm2m_server.commits import Commits
from lwm2m_server.store.errors import CommitFailed
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.records import Resource


class Breaking(sqlite3.Connection):
    failures = 0

    def execute(self, sql, *arguments):
        if sql == "COMMIT" and Breaking.failures:
            Breaking.failures -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *arguments)


def breaking(file):
    return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Breaking)


def put(id):
    return [lambda tx: tx.put(Resource(id, "t", 0, f"r{id}", 13, "m2m:dvi", {}, 1))]


async def test_a_commit_in_the_turn_of_the_failure_fails_too(tmp_path):
    ledger, healed, late = SqliteLedger(tmp_path / "ledger.db", connect=breaking), [], []
    commits = Commits(ledger, healed.append, lambda tenant, step: None)
    loop, tell = asyncio.get_running_loop(), ledger.on_failure

    def add(id):
        done = loop.create_future()

        def settled(result, error):
            done.set_result(result) if error is None else done.set_exception(error)

        commits.add("t", Step(), {"device"}, put(id), settled)
        return done

    def failed():
        # Runs before the callbacks of the failed futures, as a datagram may.
        loop.call_soon(lambda: late.append(add(2)))
        tell()

    ledger.on_failure = failed
    Breaking.failures = 1
    with pytest.raises(CommitFailed):
        await add(1)
    await asyncio.sleep(0.05)
    with pytest.raises(CommitFailed):
        await late[0]
    assert ledger.reader.resource(2) is None
    assert healed == ["device"]
    await add(3)
    assert ledger.reader.resource(3) is not None
    ledger.close()
