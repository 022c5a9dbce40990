"""Message IDs, counted for each peer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_server.coap.blocks import EXCHANGE_LIFETIME
from lwm2m_server.coap.message_ids import MODULUS, MessageIds


def test_each_peer_has_its_own_counter_from_a_random_number_on() -> None:
    ids = MessageIds(lambda: 0.0)
    first = {peer: ids.next(peer) for peer in range(100)}
    assert len(set(first.values())) > 50, "random"
    assert all(ids.next(peer) == (first[peer] + 1) % MODULUS for peer in range(100))


def test_all_numbers_are_used_before_one_comes_back() -> None:
    ids = MessageIds(lambda: 0.0)
    assert {ids.next("peer") for _ in range(MODULUS)} == set(range(MODULUS))


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, EXCHANGE_LIFETIME)), max_size=60))
def test_no_number_comes_back_within_the_lifetime_of_an_exchange(sent: list[tuple[str, float]]) -> None:
    now = 0.0
    ids = MessageIds(lambda: now)
    last: dict[str, tuple[int, float]] = {}
    for peer, pause in sent:
        now += pause
        mid = ids.next(peer)
        if peer in last and now - last[peer][1] <= EXCHANGE_LIFETIME:
            assert mid == (last[peer][0] + 1) % MODULUS
        last[peer] = mid, now


def test_memory_is_bounded_by_number_and_by_time() -> None:
    now = 0.0
    ids = MessageIds(lambda: now, peers=100)
    for peer in range(1000):
        ids.next(peer)
    assert len(ids) <= 200
    for _ in range(2):
        now += EXCHANGE_LIFETIME + 1
        ids.next(f"another {now}")
    assert len(ids) == 2
