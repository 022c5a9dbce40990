"""oneM2M memory from LwM2M Object 3 (Device), in kilobytes as there. Off by default."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import Catalog, Mapping, Rule, hookimpl

OFF_BY_DEFAULT = True


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "m2m:memory",
        name="memory",
        read_at_register=True,
        rules=[Rule("/3/0/memory_free", "memAvailable"), Rule("/3/0/memory_total", "memTotal")],
        examples=[({"/3/0/10": 75108, "/3/0/21": 129024}, {"memAvailable": 75108, "memTotal": 129024})],
    )
