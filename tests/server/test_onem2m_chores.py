"""Work in the background: in turns, each in its turn, repeated when the store fails."""

import asyncio

import pytest

from lwm2m_server.onem2m import chores as module
from lwm2m_server.onem2m.chores import Chores
from lwm2m_server.store.errors import CommitFailed


@pytest.fixture
async def chores():
    made = Chores()
    yield made
    await made.close()


async def test_each_gets_its_turn(chores):
    order = []

    def work(name, turns):
        async def begin():
            for turn in range(turns):
                order.append((name, turn))
                yield

        return begin

    await asyncio.gather(chores.add("long", work("long", 4)), chores.add("short", work("short", 2)))
    assert order == [("long", 0), ("short", 0), ("long", 1), ("short", 1), ("long", 2), ("long", 3)]


async def test_added_again_while_under_way_it_is_begun_once_more(chores):
    begun = []

    async def begin():
        begun.append(len(begun))
        yield
        if len(begun) == 1:
            chores.add("key", begin)
            chores.add("key", begin)

    await chores.add("key", begin)
    assert begun == [0, 1]


async def test_what_the_store_cannot_keep_is_begun_anew_later(chores, monkeypatch):
    monkeypatch.setattr(module, "RETRY_AFTER", 0.01)
    attempts = []

    async def begin():
        attempts.append(len(attempts))
        yield
        if len(attempts) < 3:
            raise CommitFailed("disk full")

    await chores.add("key", begin)
    assert attempts == [0, 1, 2]


async def test_a_fault_in_one_ends_no_other(chores):
    async def broken():
        yield
        raise ZeroDivisionError

    async def fine():
        for _ in range(5):
            yield

    await asyncio.gather(chores.add("broken", broken), chores.add("fine", fine))
    await chores.add("next", fine)


async def test_closed_it_leaves_nothing_behind():
    chores = Chores()

    async def endless():
        while True:
            yield

    waiting = chores.add("endless", endless)
    await asyncio.sleep(0)
    await chores.close()
    assert waiting.cancelled()
