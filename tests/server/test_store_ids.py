"""Ids and the texts made from them."""

import threading
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lwm2m_server.store.ids import (
    TYPE_TAGS,
    Ids,
    NodeIds,
    ResourceIds,
    id_of_name,
    parse_timestamp,
    timestamp,
    uuid_name,
)

ids = st.integers(0, 2**32 * 1_000_000 - 1)
tags = st.text("0123456789abcdef", min_size=10, max_size=10)


def test_an_id_is_the_clock_in_microseconds():
    assert Ids(lambda: 1733389745.25).next() == 1733389745_250000


def test_ids_rise_when_the_clock_stands_still_or_falls():
    moments = iter([100.0, 100.0, 50.0, 101.0])
    allocate = Ids(lambda: next(moments))
    assert [allocate.next() for _ in range(4)] == [100_000000, 100_000001, 100_000002, 101_000000]


def test_ids_start_above_what_the_stores_hold():
    assert Ids(lambda: 1.0, floor=5_000_000).next() == 5_000_001


def test_a_block_is_reserved_whole():
    allocate = Ids(lambda: 1.0)
    first = allocate.next(NodeIds.COUNT)
    assert allocate.next() == first + 9


def test_threads_never_share_an_id():
    allocate, seen = Ids(lambda: 1.0), []
    workers = [
        threading.Thread(target=lambda: seen.extend([allocate.next() for _ in range(500)])) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(seen)) == 2000


@given(ids, st.sampled_from(sorted(TYPE_TAGS)), tags)
def test_ri_is_24_lower_case_hex_digits_and_reversible(id, type, tag):
    resources = ResourceIds(tag)
    text = resources.ri(id, type)
    assert len(text) == 24
    assert set(text) <= set("0123456789abcdef")
    assert resources.parse(text) == (id, type)


def test_ri_of_another_installation_or_no_ri_at_all():
    here, there = ResourceIds("0123456789"), ResourceIds("abcdef0123")
    good = here.ri(1733389745_250000, 14)
    assert there.parse(good) is None
    for bad in ("", good[:-1], good + "0", good.upper().replace("5", "G"), " " + good[1:], "-" + good[1:]):
        assert here.parse(bad) is None
    assert here.parse(good[:18] + "f" + good[19:]) is None, "a type nobody has"
    assert here.parse(good[:19] + "fffff") is None, "more microseconds than a second has"


def test_type_tags_fit_one_digit_and_differ():
    assert len(set(TYPE_TAGS.values())) == len(TYPE_TAGS)
    assert all(0 <= tag < 16 for tag in TYPE_TAGS.values())


@pytest.mark.parametrize("tag", ["", "012345678", "012345678G", "ABCDEF0123"])
def test_a_wrong_installation_tag_is_refused(tag):
    with pytest.raises(ValueError, match="10 lower-case hex digits"):
        ResourceIds(tag)


def test_the_nine_ids_of_a_node():
    ids = NodeIds(1000)
    names = [
        "node",
        "credentials",
        "device_info",
        "communication",
        "outgoing",
        "sent",
        "received",
        "errors",
        "logs",
    ]
    assert [getattr(ids, name) for name in names] == list(range(1000, 1009))


def test_timestamp_has_the_onem2m_shape():
    assert timestamp(1733389745_807001) == "20241205T090905,807001"


@given(st.integers(0, 4_000_000_000_000_000))
def test_timestamp_is_reversible(moment):
    assert parse_timestamp(timestamp(moment)) == moment


def test_a_timestamp_may_have_a_short_fraction_or_none():
    assert parse_timestamp("20241205T090905") == 1733389745_000000
    assert parse_timestamp("20241205T090905,5") == 1733389745_500000


@pytest.mark.parametrize(
    "text",
    ["", "20241205", "2024-12-05T09:09:05", "20241305T090905", "20241205T090905,", "20241205T090905,1x"],
)
def test_what_is_no_timestamp(text):
    with pytest.raises(ValueError, match=r"."):
        parse_timestamp(text)


@given(ids)
def test_a_generated_name_is_a_uuid4_that_gives_its_id_back(id):
    parsed = uuid.UUID(uuid_name(id))
    assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)
    assert str(parsed) == uuid_name(id)
    assert id_of_name(uuid_name(id)) == id


def test_neighbours_have_unlike_names():
    first, second = uuid_name(1733389745_250000), uuid_name(1733389745_250001)
    assert sum(a != b for a, b in zip(first, second, strict=True)) > 16


@given(st.uuids(version=4) | st.text(max_size=40))
def test_other_names_hold_no_id(name):
    assert id_of_name(str(name)) is None
