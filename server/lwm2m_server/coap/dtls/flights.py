"""Flights: what OpenSSL writes into memory, cut at the borders of records and put into datagrams."""

from __future__ import annotations

HEAD = 13
"""Bytes before the content of a record."""


def cut(flight: bytes) -> list[bytes]:
    """The records of a flight that a library of our own side has made."""
    records, at = [], 0
    while at < len(flight):
        end = at + HEAD + int.from_bytes(flight[at + 11 : at + HEAD], "big")
        records.append(flight[at:end])
        at = end
    return records


def packed(records: list[bytes], mtu: int) -> tuple[bytes, ...]:
    """As few datagrams as possible of at most ``mtu`` bytes; a longer record has one of its own."""
    datagrams = [b""]
    for record in records:
        if datagrams[-1] and len(datagrams[-1]) + len(record) > mtu:
            datagrams.append(record)
        else:
            datagrams[-1] += record
    return tuple(filter(None, datagrams))
