"""De-duplication within bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_server.coap.blocks import EXCHANGE_LIFETIME
from lwm2m_server.coap.recent import Recent

messages = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 1)), max_size=60)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(messages)
def test_the_last_eight_of_each_peer_are_remembered_and_nothing_new_is_swallowed(
    arrived: list[tuple[int, int, int]],
) -> None:
    recent = Recent(Clock())
    seen: dict[int, list[tuple[int, int]]] = {}
    for peer, mid, content in arrived:
        known = seen.setdefault(peer, [])
        is_new = recent.is_new(peer, mid, content)
        if (mid, content) in known[-8:]:
            assert not is_new
        if (mid, content) not in known:
            assert is_new
        if is_new:
            seen[peer] = [one for one in known if one[0] != mid] + [(mid, content)]


def test_an_answer_belongs_to_its_message() -> None:
    recent = Recent(Clock())
    assert recent.is_new("a", 1, 0)
    assert recent.answer("a", 1) is None
    recent.answered("a", 1, b"answer")
    recent.answered("b", 1, b"nobody asked")
    assert recent.answer("a", 1) == b"answer"
    assert recent.answer("b", 1) is None


def test_a_message_is_forgotten_after_the_exchange_lifetime_or_on_demand() -> None:
    clock = Clock()
    recent = Recent(clock)
    recent.is_new("a", 1, 0)
    recent.is_new("a", 2, 0)
    recent.forget("a", 2)
    assert recent.is_new("a", 2, 0)
    clock.now = EXCHANGE_LIFETIME
    assert not recent.is_new("a", 1, 0)
    clock.now += 0.1
    assert recent.is_new("a", 1, 0)


def test_the_peers_heard_of_least_recently_go_first() -> None:
    recent = Recent(Clock(), peers=4)
    for peer in ("a", "b", "a", "c", "a", "d", "e"):
        recent.is_new(peer, 1, 0)
    assert not recent.is_new("a", 1, 0)
    assert not recent.is_new("d", 1, 0)
    assert recent.is_new("b", 1, 0)


@given(st.lists(st.integers(0, 9), max_size=60))
def test_half_of_the_peers_it_has_room_for_are_remembered_for_certain(arrived: list[int]) -> None:
    recent = Recent(Clock(), peers=6)
    latest: list[int] = []
    for peer in arrived:
        is_new = recent.is_new(peer, 1, 0)
        if peer in latest[-3:]:
            assert not is_new
        latest = [other for other in latest if other != peer] + [peer]
