"""What else oneM2M's deviceInfo has room for, from Object 3 (TS-0005, 6.3.8). Off by default."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import Catalog, Mapping, Rule, hookimpl

OFF_BY_DEFAULT = True


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "m2m:deviceInfo",
        name="device-info",
        read_at_register=True,
        rules=[
            Rule("/3/0/manufacturer", "manufacturer"),
            Rule("/3/0/model_number", "model"),
            Rule("/3/0/device_type", "deviceType"),
            Rule("/3/0/hardware_version", "hwVersion"),
            Rule("/3/0/software_version", "swVersion"),
        ],
        examples=[
            (
                {
                    "/3/0/0": "My Demo Device",
                    "/3/0/1": "Model 500",
                    "/3/0/17": "Demo",
                    "/3/0/18": "1.0.1",
                    "/3/0/19": "1.0.2",
                },
                {
                    "manufacturer": "My Demo Device",
                    "model": "Model 500",
                    "deviceType": "Demo",
                    "hwVersion": "1.0.1",
                    "swVersion": "1.0.2",
                },
            ),
        ],
    )
