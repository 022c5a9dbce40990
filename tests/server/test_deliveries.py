"""Notices on their way: in order, at least once, and nobody slows anybody else."""

import asyncio
import time

import attrs
import pytest

from lwm2m_server.settings import DeliverySettings
from lwm2m_server.sinks.bundler import Bundling
from lwm2m_server.sinks.carrier import PATIENCE, WINDOW
from lwm2m_server.sinks.protocols import Refused, Retry
from lwm2m_server.sinks.runner import Deliveries
from lwm2m_server.sinks.targets import Targets
from lwm2m_server.store.ids import Ids
from lwm2m_server.store.inventory import TinyInventory
from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.outbox import FULL, Bounds
from lwm2m_server.store.records import Application, Lane, Tenant

QUICK = DeliverySettings(first_retry=0.01, longest_retry=0.05)


class FakeSink:
    """Takes what it is given, unless ``answer`` of its test says otherwise."""

    limit = 1

    def __init__(self, world, endpoint):
        self._world, self.endpoint = world, endpoint
        self.closed = False

    async def deliver(self, batch):
        self._world.under_way += 1
        self._world.most_under_way = max(self._world.most_under_way, self._world.under_way)
        try:
            for notice in batch:
                self._world.attempts += 1
                answer = self._world.answer(notice)
                if asyncio.iscoroutine(answer):
                    answer = await answer
                else:
                    await asyncio.sleep(0)
                if answer is not None:
                    raise answer
                self._world.delivered.append(notice)
        finally:
            self._world.under_way -= 1

    async def close(self):
        self.closed = True


class World:
    def __init__(self, path, power_safe=False):
        self._path, self._power_safe = path, power_safe
        self.delivered, self.sinks = [], []
        self.attempts = self.under_way = self.most_under_way = 0
        self.answer = lambda notice: None
        self.bundling = Bundling()
        self.applications = {}

    async def start(self, settings=QUICK):
        self.ledger = SqliteLedger(self._path / "ledger.db", power_safe=self._power_safe)
        self.inventory = TinyInventory(self._path / "inventory.json")
        if self.inventory.tenant("main") is None:
            await self.inventory.add_tenant(Tenant(1, "main"))
        self.ids = Ids()

        def make(endpoint):
            self.sinks.append(FakeSink(self, endpoint))
            return self.sinks[-1]

        self.deliveries = Deliveries(
            self.ledger,
            Targets(self.inventory, self.ledger.installation),
            {"WebHook": make},
            settings,
            lambda subscription: self.bundling,
        )
        self.deliveries.start()

    async def stop(self):
        await self.deliveries.close()
        self.ledger.close()

    async def add(self, count=1, subscription=1, target="https://sink.example/", own=0, first=0):
        lane = Lane("main", target, own)

        def store(write):
            for number in range(first, first + count):
                write.add_notice(lane, subscription, None, f'{{"m2m:sgn":{number}}}')

        await self.ledger.commit(store)

    async def until(self, condition, seconds=20):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - any of a dozen things may have changed
                await asyncio.sleep(0.002)

    @property
    def waiting(self):
        return sum(load.notices for load in self.ledger.outbox.lanes.values())

    def bodies(self, subscription=1):
        found = [notice for notice in self.delivered if notice.subscription == subscription]
        return [int(notice.body[11:-1]) for notice in found]

    def dead(self):
        return self.ledger.reader.dead_letters("main", limit=1000)


@pytest.fixture
async def world(tmp_path, request):
    world = World(tmp_path, getattr(request, "param", False))
    await world.start()
    yield world
    await world.stop()


@pytest.mark.parametrize("world", [False, True], ids=["inline", "threaded"], indirect=True)
async def test_in_order_of_each_subscription_and_then_nothing_is_left(world):
    for first in range(0, 500, 50):
        await world.add(50, subscription=1, first=first)
        await world.add(50, subscription=2, first=first)
    await world.until(lambda: world.waiting == 0)
    assert world.bodies(1) == world.bodies(2) == list(range(500))


async def test_several_subscriptions_side_by_side_up_to_a_bound(world):
    world.answer = lambda notice: asyncio.sleep(0.005)
    for subscription in range(40):
        await world.add(3, subscription)
    await world.until(lambda: world.waiting == 0)
    assert 1 < world.most_under_way <= QUICK.at_once
    assert all(world.bodies(subscription) == [0, 1, 2] for subscription in range(40))


async def test_what_is_not_taken_is_tried_again_and_nothing_overtakes_it(world):
    failures = iter([Retry("500")] * (PATIENCE + 2))
    world.answer = lambda notice: next(failures, None)
    await world.add(20)
    await world.until(lambda: world.waiting == 0)
    assert world.bodies() == list(range(20))
    assert world.attempts == 20 + PATIENCE + 2


@pytest.mark.parametrize("world", [False, True], ids=["inline", "threaded"], indirect=True)
async def test_a_stuck_subscription_holds_up_no_other_of_its_target(world):
    stuck = True
    world.answer = lambda notice: Retry("no") if stuck and notice.subscription == 7 else None
    await world.add(30, subscription=7)
    for first in range(100):
        await world.add(1, subscription=8, first=first)
        await world.add(1, subscription=9, first=first)
    await world.until(lambda: len(world.bodies(8)) == len(world.bodies(9)) == 100)
    assert world.bodies(7) == []
    stuck = False
    await world.until(lambda: world.waiting == 0)
    assert world.bodies(7) == list(range(30))
    assert world.bodies(8) == list(range(100))


@pytest.mark.parametrize("world", [False, True], ids=["inline", "threaded"], indirect=True)
async def test_a_dead_target_is_left_alone_and_waits_on_disk_only(world):
    dead = True
    world.answer = lambda notice: Retry("refused") if dead else None
    await world.add(2000)
    told = []
    world.deliveries.listen(lambda lane, reason, dead: told.append((lane.target, reason, dead)))
    await world.until(lambda: world.attempts >= PATIENCE + 2)
    assert [(reason, dead) for _, reason, dead in told] == [("refused", 0)]
    (worker,) = world.deliveries._workers.values()
    assert worker._in_memory <= WINDOW
    before = world.attempts
    await asyncio.sleep(0.2)
    # Not more often than the ceiling allows, halved at random, with some slack for a busy machine.
    assert world.attempts - before <= 0.2 / (QUICK.longest_retry / 2) + 5
    dead = False
    await world.until(lambda: world.waiting == 0)
    assert world.bodies() == list(range(2000))


@pytest.mark.parametrize("world", [False, True], ids=["inline", "threaded"], indirect=True)
async def test_what_finds_no_room_is_told_with_its_target(world):
    world.ledger.outbox._bounds = Bounds(notices=2, dead_letters=2)
    world.answer = lambda notice: Retry("refused")
    full, dropped = [], []
    world.deliveries.listen(
        lambda lane, reason, dead: full.append((lane.target, dead)) if reason == FULL else None,
        dropped.append,
    )
    await world.add(2)
    await world.add(3)
    await world.until(lambda: full and dropped)
    assert (full, dropped) == ([("https://sink.example/", 3)], [1])
    assert world.deliveries.totals().dead == 3


async def test_a_hundred_dead_targets_slow_no_living_one(world):
    async def hang(notice):
        await asyncio.sleep(0.5)
        return Retry("hangs")

    world.answer = lambda notice: None if "alive" in notice.lane.target else hang(notice)
    for number in range(100):
        await world.add(50, subscription=number, target=f"https://dead-{number}.example/")
    begun = time.monotonic()
    for first in range(0, 1000, 100):
        await world.add(100, subscription=1000, target="https://alive.example/", first=first)
    await world.until(lambda: len(world.bodies(1000)) == 1000, seconds=10)
    assert world.bodies(1000) == list(range(1000))
    assert time.monotonic() - begun < 5
    assert world.waiting >= 100 * 50


@pytest.mark.parametrize("world", [False, True], ids=["inline", "threaded"], indirect=True)
async def test_after_a_restart_it_goes_on_where_it_was(world):
    world.answer = lambda notice: Retry("down") if len(world.delivered) >= 10 else None
    await world.add(50)
    await world.until(lambda: len(world.delivered) >= 10 and world.under_way == 0)
    await world.stop()
    world.answer = lambda notice: None
    await world.start()
    await world.until(lambda: world.waiting == 0)
    assert sorted(set(world.bodies())) == list(range(50))


async def test_what_a_sink_refuses_is_a_dead_letter_at_once_and_the_next_goes_on(world):
    told = []
    world.deliveries.listen(lambda lane, reason, dead: told.append((reason, dead)))
    world.answer = lambda notice: Refused("too large") if notice.body == '{"m2m:sgn":1}' else None
    await world.add(4)
    await world.until(lambda: world.waiting == 0)
    assert world.bodies() == [0, 2, 3]
    ((letter),) = world.dead()
    assert letter.reason == "too large"
    assert told == [("too large", 1)]


@pytest.mark.parametrize("count", [1, 3])
async def test_what_came_while_the_first_was_refused_goes_on_too(world, count):
    """Also when the target has taken nothing yet, and nothing comes after it."""
    refused = asyncio.Event()

    async def refuse():
        await refused.wait()
        return Refused("not you")

    world.answer = lambda notice: refuse() if notice.body == '{"m2m:sgn":0}' else None
    await world.add(1)
    await world.until(lambda: world.under_way == 1)
    await world.add(count, first=1)
    refused.set()
    await world.until(lambda: world.waiting == 0, seconds=5)
    assert world.bodies() == list(range(1, count + 1))
    assert len(world.dead()) == 1


async def test_after_long_enough_it_is_a_dead_letter_and_can_be_replayed(tmp_path):
    world = World(tmp_path)
    await world.start(attrs.evolve(QUICK, give_up_after=0.3))
    try:
        down = True
        world.answer = lambda notice: Retry("down") if down else None
        await world.add(600)
        await world.until(lambda: len(world.dead()) == 600 and world.waiting == 0)
        assert {letter.reason for letter in world.dead()} == {"down"}
        down = False
        await world.add(1, first=600)
        await world.until(lambda: world.bodies() == [600])
        await world.deliveries.replay(world.dead())
        await world.until(lambda: world.waiting == 0 and not world.dead())
        assert world.bodies() == [600, *range(600)]
    finally:
        await world.stop()


async def test_a_target_that_says_when_is_not_asked_before(world):
    moments = []

    def answer(notice):
        moments.append(time.monotonic())
        return Retry("429", after=0.5) if len(moments) == 1 else None

    world.answer = answer
    await world.add()
    await world.until(lambda: world.waiting == 0)
    assert moments[1] - moments[0] >= 0.5


async def test_a_sink_that_has_a_fault_is_tried_again(world):
    faults = iter([True, True])

    def answer(notice):
        if next(faults, False):
            raise ZeroDivisionError

    world.answer = answer
    await world.add(3)
    await world.until(lambda: world.waiting == 0)
    assert world.bodies() == [0, 1, 2]


async def test_an_application_may_come_and_move(world):
    await world.add(target="main/App")
    statistics = {}

    def failed():
        statistics.update({lane.target: seen for lane, _, seen in world.deliveries.lanes("main")})
        return "main/App" in statistics and statistics["main/App"].failed

    await world.until(failed)
    assert statistics["main/App"].last_error == "there is no application main/App"
    application = Application(9, "main", "App", "NApp", "CApp", {"poa": ["https://one.example/"]}, 9)
    await world.inventory.put_application(application)
    await world.until(lambda: world.waiting == 0)
    moved = attrs.evolve(application, attributes={"poa": ["https://two.example/"]})
    await world.inventory.put_application(moved)
    await world.add(target="main/App")
    await world.until(lambda: len(world.delivered) == 2 and world.waiting == 0)
    assert [sink.endpoint.addresses for sink in world.sinks] == [
        ("https://one.example/",),
        ("https://two.example/",),
    ]
    await world.until(lambda: world.sinks[0].closed)
    assert not world.sinks[1].closed


async def test_an_application_without_an_address_keeps_what_it_gets(world):
    application = Application(9, "main", "App", "NApp", "CApp", {}, 9)
    await world.inventory.put_application(application)
    await world.add(3, target="CApp")
    await world.until(lambda: next(iter(world.deliveries.lanes("main")))[2].failed)
    assert "PollingChannel" in next(iter(world.deliveries.lanes("main")))[2].last_error
    await world.inventory.put_application(
        attrs.evolve(application, attributes={"poa": ["https://x.example/"]})
    )
    await world.until(lambda: world.waiting == 0)
    assert world.bodies() == [0, 1, 2]


async def test_enough_notices_go_together(world):
    world.bundling = Bundling(True, number=3, seconds=60)
    await world.add(7, own=5)
    await world.until(lambda: len(world.delivered) == 2)
    assert [notice.body for notice in world.delivered] == [
        '{"m2m:agn":{"m2m:sgn":[0,1,2]}}',
        '{"m2m:agn":{"m2m:sgn":[3,4,5]}}',
    ]
    await world.add(2, own=5, first=7)
    await world.until(lambda: world.waiting == 0)
    assert world.delivered[-1].body == '{"m2m:agn":{"m2m:sgn":[6,7,8]}}'


async def test_a_batch_goes_when_its_first_has_waited_long_enough(world):
    world.bundling = Bundling(True, number=100, seconds=0.2)
    await world.add(2, own=5)
    await asyncio.sleep(0.05)
    assert world.delivered == []
    await world.until(lambda: world.waiting == 0)
    assert [notice.body for notice in world.delivered] == ['{"m2m:agn":{"m2m:sgn":[0,1]}}']


async def test_of_a_batch_only_the_newest_if_that_is_wanted(world):
    world.bundling = Bundling(True, number=3, seconds=60, newest=True)
    await world.add(3, own=5)
    await world.until(lambda: world.waiting == 0)
    assert world.bodies() == [2]


async def test_after_a_break_only_the_newest_if_that_is_wanted(world):
    world.bundling = Bundling(forgets=True)
    down = True
    world.answer = lambda notice: Retry("down") if down else None
    await world.add(5, own=5)
    await world.until(lambda: world.attempts >= 2)
    down = False
    await world.until(lambda: world.waiting == 0)
    await world.add(1, own=5, first=5)
    await world.until(lambda: world.waiting == 0)
    assert world.bodies() == [4, 5]


async def test_what_was_taken_away_while_it_was_stuck_does_not_stop_the_rest(world):
    down = True
    world.answer = lambda notice: Retry("no") if down else None
    await world.add(1, subscription=1)
    await world.until(lambda: world.attempts == 1)
    await world.ledger.commit(lambda write: write.forget_notices("main"))
    await world.add(5, subscription=2)
    await world.until(lambda: world.attempts >= 2 * PATIENCE)
    down = False
    await world.until(lambda: world.waiting == 0)
    assert world.bodies(2) == list(range(5))
