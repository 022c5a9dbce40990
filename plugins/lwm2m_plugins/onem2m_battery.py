"""oneM2M battery from LwM2M Object 3 (Device). Off by default."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import Catalog, Mapping, Rule, hookimpl

OFF_BY_DEFAULT = True


def battery_status(status: int) -> int:
    """oneM2M counts from 1 what LwM2M counts from 0: normal, charging, charge complete …"""
    return status + 1


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "m2m:battery",
        name="battery",
        read_at_register=True,
        rules=[
            Rule("/3/0/battery_level", "batteryLevel"),
            Rule("/3/0/battery_status", "batteryStatus", convert=battery_status),
        ],
        examples=[
            ({"/3/0/9": 72, "/3/0/20": 1}, {"batteryLevel": 72, "batteryStatus": 2}),
            ({"/3/0/20": 6}, {"batteryStatus": 7}),
        ],
    )
