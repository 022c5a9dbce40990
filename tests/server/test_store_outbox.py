"""Notices in the ledger: they come with the change they tell of, and leave once."""

import pytest

from lwm2m_server.store.ledger import SqliteLedger
from lwm2m_server.store.outbox import FULL, Bounds
from lwm2m_server.store.records import Lane, Resource

LANE, OTHER = Lane("main", "CApp"), Lane("main", "https://sink.example/")


@pytest.fixture(params=[False, True], ids=["inline", "threaded"])
def power_safe(request):
    return request.param


@pytest.fixture
def start(tmp_path, power_safe):
    opened = []

    def start(**bounds):
        ledger = SqliteLedger(tmp_path / "ledger.db", power_safe=power_safe, bounds=Bounds(**bounds))
        opened.append(ledger)
        return ledger

    yield start
    for ledger in opened:
        ledger.close()


def add(ledger, lane, *bodies):
    ledger.run(lambda write: [write.add_notice(lane, 7, "device001", body) for body in bodies])


def waiting(ledger, lane, **more):
    load = ledger.outbox.lanes.get(lane)
    found = ledger.reader.notices(lane, load.number, **{"after": 0, "limit": 100, "size": 10**6, **more})
    return [notice.body for notice in found]


def test_notices_wait_in_their_lanes_in_the_order_they_came(start):
    ledger = start()
    add(ledger, LANE, "1", "2")
    add(ledger, OTHER, "3")
    add(ledger, LANE, "4")
    assert waiting(ledger, LANE) == ["1", "2", "4"]
    assert waiting(ledger, OTHER) == ["3"]
    assert waiting(ledger, LANE, limit=2) == ["1", "2"]


def test_what_is_read_at_once_is_bounded_by_size_too(start):
    ledger = start()
    add(ledger, LANE, "12345", "67890", "abcde")
    assert waiting(ledger, LANE, size=7) == ["12345", "67890"]


def test_lanes_are_counted_over_a_restart(start):
    ledger = start()
    add(ledger, LANE, "12345", "67890")
    number = ledger.outbox.lanes[LANE].number
    (first, *_) = ledger.reader.notices(LANE, number, after=0, limit=1, size=100)
    ledger.run(lambda write: write.remove_notices([first]))
    ledger.close()
    load = start().outbox.lanes[LANE]
    assert (load.number, load.notices, load.bytes) == (number, 1, 5)


def test_a_lane_is_counted_right_whoever_is_quicker(start):
    ledger = start()
    add(ledger, LANE, "12345", "67890")
    (first, *_) = ledger.reader.notices(LANE, ledger.outbox.lanes[LANE].number, after=0, limit=1, size=100)
    ledger.run(lambda write: write.remove_notices([first]))
    ledger.run(lambda write: write.bury_notices([first], "too late"))
    assert ledger.outbox.lanes[LANE].notices == 1


def test_a_write_that_fails_leaves_no_notice(start):
    ledger = start()

    def fail(write):
        write.add_notice(LANE, 7, None, "1")
        raise LookupError("no")

    with pytest.raises(LookupError):
        ledger.run(fail)
    add(ledger, LANE, "2")
    assert waiting(ledger, LANE) == ["2"]


def test_buried_notices_are_dead_letters_until_somebody_takes_them_away(start):
    ledger = start()
    add(ledger, LANE, "1", "2")
    found = ledger.reader.notices(LANE, ledger.outbox.lanes[LANE].number, after=0, limit=9, size=100)
    ledger.run(lambda write: write.bury_notices(found[:1], "nobody there"))
    assert waiting(ledger, LANE) == ["2"]
    (letter,) = ledger.reader.dead_letters("main", limit=9)
    assert (letter.notice, letter.reason) == (found[0], "nobody there")
    assert ledger.reader.dead_letters("other", limit=9) == []
    ledger.run(lambda write: write.remove_dead_letters([letter.notice.id]))
    assert ledger.reader.dead_letter(letter.notice.id) is None
    assert ledger.outbox.dead.notices == 0


def test_what_a_full_lane_does_not_take_is_a_dead_letter_that_says_so(start):
    ledger = start(notices=2)
    for body in ("1", "2", "3"):
        add(ledger, LANE, body)
    add(ledger, OTHER, "4")
    assert waiting(ledger, LANE) == ["1", "2"]
    assert waiting(ledger, OTHER) == ["4"]
    assert [(one.notice.body, one.reason) for one in ledger.reader.dead_letters("main", limit=9)] == [
        ("3", FULL)
    ]


def test_dead_letters_are_bounded_and_their_loss_is_counted(start, caplog):
    ledger = start(notices=0, dead_letters=2)
    add(ledger, LANE, "1")
    for body in ("2", "3", "4"):
        add(ledger, LANE, body)
    assert ledger.outbox.dropped == 1
    assert "1 dead letters dropped" in caplog.text


def test_who_waits_for_notices_hears_of_them_when_they_are_durable(start):
    ledger = start()
    heard = []
    ledger.outbox.on_new = lambda new: heard.append(([one.body for one in new], waiting(ledger, LANE)))
    add(ledger, LANE, "1")
    assert heard == [(["1"], ["1"])]


def test_what_finds_no_room_is_told_once_it_is_durable(start):
    ledger = start(notices=1, dead_letters=2)
    full, dropped = [], []
    ledger.outbox.on_full, ledger.outbox.on_dropped = full.append, dropped.append
    add(ledger, LANE, "1")
    assert (full, dropped) == ([], [])
    add(ledger, LANE, "2", "3", "4")
    (waits,) = ledger.reader.notices(LANE, ledger.outbox.lanes[LANE].number, after=0, limit=9, size=9)
    ledger.run(lambda write: write.bury_notices([waits], "refused"))
    assert full == [{LANE: 3}]
    assert dropped == [1, 1]


def subscription(id, parent):
    return Resource(id, "main", parent, f"sub{id}", 23, "m2m:sub", {"nu": ["CApp"]}, id)


def container(id, parent=1):
    return Resource(id, "main", parent, f"box{id}", 3, "m2m:cnt", {}, id)


def test_who_subscribed_is_known_from_the_commit_on(start):
    ledger = start()
    ledger.run(lambda write: (write.put(container(10)), write.put(subscription(11, 10))))
    ledger.run(lambda write: write.put(subscription(12, 10)))
    assert [one.id for one in ledger.watched[10]] == [11, 12]
    assert ledger.watched[10][0].document is ledger.watched[10][1].document
    ledger.run(lambda write: write.change(11, {"nu": ["COther"]}, 20))
    assert {one.id: one.document for one in ledger.watched[10]}[11] == '{"nu":["COther"]}'
    ledger.close()
    ledger = start()
    assert {one.id for one in ledger.watched[10]} == {11, 12}
    ledger.run(lambda write: write.remove(12))
    assert [one.id for one in ledger.watched[10]] == [11]
    ledger.run(lambda write: write.remove(10))
    assert ledger.watched == {}


def test_all_of_a_tenant_is_forgotten_and_nothing_of_others(start):
    ledger = start()
    other = Lane("other", "CApp")
    add(ledger, LANE, "1", "2")
    add(ledger, other, "3", "4")
    for lane in (LANE, other):
        found = ledger.reader.notices(lane, ledger.outbox.lanes[lane].number, after=0, limit=1, size=9)
        ledger.run(lambda write, found=found: write.bury_notices(found, "why not"))
    ledger.run(lambda write: write.forget_notices("other"))
    assert (waiting(ledger, LANE), waiting(ledger, other)) == (["2"], [])
    assert ledger.outbox.lanes[other].notices == 0
    assert [len(ledger.reader.dead_letters(tenant, limit=9)) for tenant in ("main", "other")] == [1, 0]
    assert ledger.outbox.dead.notices == 1
    add(ledger, other, "5")
    assert waiting(ledger, other) == ["5"]
