"""Shedding: everybody's share under load, and nobody's concern otherwise."""

from __future__ import annotations

import ipaddress
import random
import socket
import sys

import pytest

from lwm2m_server.coap.shedding import CEILING, CROWD, SOURCES, Queue, Shedder, queue_of

LIMIT = 1_000_000
CALM, FULL = Queue(0, LIMIT, 0), Queue(LIMIT * 2 // 3, LIMIT, 0)


def packed(text):
    return ipaddress.ip_address(text).packed


class Scene:
    """A shedder, a clock and a queue to turn at will."""

    def __init__(self, *, floor: float = 2.0) -> None:
        self.now, self.queue, self.under_way = 100.0, CALM, 0
        self.shedder = Shedder(lambda: self.queue, lambda: self.under_way, floor=floor)

    def pass_time(self, seconds: float, step: float = 0.01) -> None:
        for _ in range(round(seconds / step)):
            self.now += step
            self.shedder.turn(self.now)

    def strain(self) -> None:
        """Until the share is as small as it gets."""
        self.queue = FULL
        self.pass_time(1.0)

    def admitted(self, source: bytes, count: int, seconds: float) -> int:
        """Of so many datagrams spread over this time."""
        found = 0
        for _ in range(count):
            self.now += seconds / count
            found += self.shedder.admits(source, self.now)
        self.shedder.shed += count - found
        return found


@pytest.fixture
def scene():
    return Scene()


def test_nothing_is_held_back_while_the_queue_is_short(scene):
    scene.pass_time(10)
    assert not scene.shedder.strained


def test_a_long_queue_cuts_the_share_to_the_floor(scene):
    scene.strain()
    assert scene.shedder.strained
    assert scene.shedder.share == 2.0


def test_datagrams_lost_in_the_kernel_are_strain_too(scene):
    scene.shedder.turn(scene.now)
    scene.queue = Queue(0, LIMIT, 7)
    scene.shedder.turn(scene.now)
    assert scene.shedder.strained


def test_requests_without_answers_are_strain_too(scene):
    scene.under_way = CROWD
    assert not scene.shedder.is_wanted
    scene.under_way = CROWD + 1
    assert scene.shedder.is_wanted
    scene.pass_time(1)
    assert scene.shedder.share == 2.0


def test_a_crowd_that_gets_smaller_is_given_time(scene):
    scene.under_way = 3 * CROWD
    scene.pass_time(0.03)
    share = scene.shedder.share
    for _ in range(50):
        scene.under_way -= 20
        scene.pass_time(0.02)
    assert scene.shedder.share == share < CEILING


def test_who_floods_is_clipped_to_the_share_and_others_are_heard(scene):
    scene.strain()
    assert scene.admitted(packed("127.1.0.1"), 1000, 10) in range(22, 26)
    # A device that says something every second notices nothing.
    assert scene.admitted(packed("127.1.0.2"), 20, 20) == 20


def test_a_small_burst_is_admitted_whole(scene):
    scene.strain()
    assert [scene.shedder.admits(b"a   ", scene.now) for _ in range(12)] == [True] * 2 + [False] * 10


def test_shares_grow_again_and_then_nobody_is_held_back(scene):
    scene.strain()
    scene.queue = CALM
    scene.pass_time(3)
    assert 8 < scene.shedder.share < 32
    scene.pass_time(8)
    assert not scene.shedder.strained
    assert scene.shedder.share == CEILING


def test_after_a_long_silence_nobody_is_held_back(scene):
    scene.strain()
    scene.queue = CALM
    scene.now += 1e6
    scene.shedder.turn(scene.now)
    assert not scene.shedder.strained


def test_a_flood_settles_at_what_can_be_done():
    """1,000 sources send 50 datagrams a second each; to read one takes 3 us, to deal with it 200 us."""
    scene, rng, flood = Scene(), random.Random(4711), 50_000
    waiting, done, heard, asked = 0.0, 0, 0, 0
    while scene.now < 110:
        scene.queue = Queue(min(int(waiting), 5000) * 768, 5000 * 768, 0)
        scene.shedder.turn(scene.now)
        began = scene.now
        for _ in range(min(64, int(waiting))):
            scene.now += 3e-6
            waiting -= 1
            source = bytes([127, 1, rng.randrange(4), rng.randrange(250)])
            if not scene.shedder.strained or scene.shedder.admits(source, scene.now):
                done += 1
                scene.now += 2e-4
        scene.now += 1e-4
        waiting = min(5000, waiting + flood * (scene.now - began))
        if asked < scene.now - 100:
            asked += 1
            heard += scene.shedder.admits(packed("127.2.0.1"), scene.now)
    assert heard == asked >= 10
    assert done > 25_000
    assert scene.shedder.share > 2


def test_memory_and_work_are_bounded(scene):
    scene.strain()
    for number in range(5 * SOURCES):
        scene.shedder.admits(number.to_bytes(4, "big"), scene.now)
        if number % 64 == 0:
            scene.shedder.turn(scene.now)
    assert len(scene.shedder._young) + len(scene.shedder._old) <= 2 * SOURCES + 64
    # Still: the ones heard of lately are held to their share.
    recent = (5 * SOURCES - 1).to_bytes(4, "big")
    assert sum(scene.shedder.admits(recent, scene.now) for _ in range(20)) == 1


def test_debts_survive_the_turn_of_generations(scene):
    scene.strain()
    assert scene.admitted(b"a   ", 1000, 4.9) < 22
    scene.pass_time(0.2)
    assert scene.admitted(b"a   ", 1000, 1.0) < 5


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("fe80::1", "fe80::2", False),
    ],
)
def test_what_counts_as_one_source(scene, one, other, same):
    scene.strain()
    for _ in range(20):
        scene.shedder.admits(packed(one), scene.now)
    assert scene.shedder.admits(packed(other), scene.now) is not same


def test_where_the_kernel_does_not_tell_requests_under_way_do():
    scene = Scene()
    scene.queue = None
    scene.pass_time(1)
    assert not scene.shedder.strained
    scene.under_way = CROWD + 1
    scene.pass_time(1)
    assert scene.shedder.strained


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_kernel_tells_what_waits_and_what_was_lost():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
        bound.bind(("127.0.0.1", 0))
        before = queue_of(bound)
        for _ in range(100):
            sender.sendto(bytes(500), bound.getsockname())
        after = queue_of(bound)
    assert before.used == before.dropped == 0
    assert after.used > after.limit // 4
    assert after.dropped > 0
    assert queue_of(sender) is None


def test_a_flood_is_told_once_a_minute(scene, capsys, caplog):
    scene.strain()
    for _ in range(100):
        scene.admitted(b"a   ", 100, 1)
        scene.shedder.turn(scene.now)
    lines = (capsys.readouterr().out + caplog.text).splitlines()
    assert sum("too many datagrams" in line for line in lines) == 2
