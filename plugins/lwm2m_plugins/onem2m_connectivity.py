"""Networks of a device in oneM2M: from LwM2M Objects 4 (Connectivity Monitoring) and 7 (Statistics)."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Map

from lwm2m_engine import Action, Catalog, Mapping, Rule, hookimpl

CELLULAR = range(8)
"""Network Bearers that cellularNetworkBearer counts alike: GSM to NB-IoT."""
AREA_NETWORKS = {21: "WLAN", 22: "Bluetooth", 23: "IEEE 802.15.4", 41: "Ethernet", 42: "DSL", 43: "PLC"}


def cellular(bearer: int) -> int | None:
    return bearer if bearer in CELLULAR else None


def first(instances: Map[int, str]) -> str:
    """oneM2M has room for one."""
    return next(iter(instances.values()))


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "dcfg:mnwk",
        name="mobile-network",
        rules=[
            Rule("/4/0/network_bearer", "cellularNetworkBearer", convert=cellular),
            Rule("/4/0/radio_signal_strength", "radioSignalStrength"),
            Rule("/4/0/link_quality", "linkQuality"),
            Rule("/4/0/ip_addresses/*", "ipAddresses"),
            Rule("/4/0/router_ip_addresses/*", "routerIPAddresses"),
            Rule("/4/0/apn/*", "apn", convert=first),
            Rule("/4/0/cell_id", "cellID"),
            Rule("/4/0/smnc", "smnc"),
            Rule("/4/0/smcc", "smcc"),
            Rule("/4/0/lac", "lac"),
            Rule("/4/0/coverage_enhancement_level", "coverageEnhancementLevel"),
        ],
        examples=[
            (
                {
                    "/4/0/0": 6,
                    "/4/0/2": -92,
                    "/4/0/3": 2,
                    "/4/0/4/0": "192.0.2.7",
                    "/4/0/4/1": "2001:db8::7",
                    "/4/0/5/0": "192.0.2.1",
                    "/4/0/7/0": "internet",
                    "/4/0/8": 12345,
                    "/4/0/9": 1,
                    "/4/0/10": 262,
                    "/4/0/12": 678,
                    "/4/0/13": 0,
                },
                {
                    "cellularNetworkBearer": 6,
                    "radioSignalStrength": -92,
                    "linkQuality": 2,
                    "ipAddresses": ["192.0.2.7", "2001:db8::7"],
                    "routerIPAddresses": ["192.0.2.1"],
                    "apn": "internet",
                    "cellID": 12345,
                    "smnc": 1,
                    "smcc": 262,
                    "lac": 678,
                    "coverageEnhancementLevel": 0,
                },
            ),
            ({"/4/0/0": 21}, {}),
        ],
    )
    yield Mapping(
        "m2m:areaNwkInfo",
        name="area-network",
        rules=[Rule("/4/0/network_bearer", "areaNwkType", convert=AREA_NETWORKS.get)],
        examples=[({"/4/0/0": 21}, {"areaNwkType": "WLAN"}), ({"/4/0/0": 6}, {})],
    )
    yield Mapping(
        "lwm2m:connectivityStatistics",
        name="connectivity-statistics",
        rules=[
            Rule("/7/0/sms_tx_counter", "smsSent"),
            Rule("/7/0/sms_rx_counter", "smsReceived"),
            Rule("/7/0/tx_data", "kilobytesSent"),
            Rule("/7/0/rx_data", "kilobytesReceived"),
            Rule("/7/0/max_message_size", "maxMessageSize"),
            Rule("/7/0/average_message_size", "averageMessageSize"),
            Rule("/7/0/collection_period", "collectionPeriod", write=True),
        ],
        actions=[Action("/7/0/start", "start"), Action("/7/0/stop", "stop")],
        examples=[
            (
                {
                    "/7/0/0": 1,
                    "/7/0/1": 2,
                    "/7/0/2": 300,
                    "/7/0/3": 400,
                    "/7/0/4": 1024,
                    "/7/0/5": 120,
                    "/7/0/8": 3600,
                },
                {
                    "smsSent": 1,
                    "smsReceived": 2,
                    "kilobytesSent": 300,
                    "kilobytesReceived": 400,
                    "maxMessageSize": 1024,
                    "averageMessageSize": 120,
                    "collectionPeriod": 3600,
                },
            )
        ],
        commands=[
            ({"collectionPeriod": 60, "start": True}, ["PUT /7/0/8 60", "POST /7/0/6"]),
            ({"stop": True}, ["POST /7/0/7"]),
        ],
    )
