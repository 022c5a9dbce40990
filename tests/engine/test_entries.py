"""``latest``: the newest of each path."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lwm2m_engine.entries import Entry, latest
from lwm2m_engine.paths import Path

A, B = Path("/3/0/9"), Path("/3/0/10")
times = st.none() | st.integers(0, 5)


def test_newest_by_time_whatever_the_order() -> None:
    entries = [Entry(A, 1, 10.0), Entry(B, 2, 5.0), Entry(A, 3, 20.0), Entry(A, 4, 15.0)]
    assert latest(entries) == {A: Entry(A, 3, 20.0), B: Entry(B, 2, 5.0)}


def test_no_time_means_now() -> None:
    assert latest([Entry(A, 1), Entry(A, 2, 2e9)])[A].value == 1
    assert latest([Entry(A, 1, 2e9), Entry(A, 2)])[A].value == 2


def test_of_equals_the_last() -> None:
    assert latest([Entry(A, 1, 7.0), Entry(A, 2, 7.0)])[A].value == 2
    assert latest([Entry(A, 1), Entry(A, 2)])[A].value == 2


@given(st.lists(st.builds(Entry, st.sampled_from([A, B]), st.integers(), times)))
def test_nothing_newer_is_lost(entries: list[Entry]) -> None:
    newest = latest(entries)
    assert set(newest) == {entry.path for entry in entries}
    for entry in entries:
        kept = newest[entry.path].time
        assert kept is None or (entry.time is not None and entry.time <= kept)
