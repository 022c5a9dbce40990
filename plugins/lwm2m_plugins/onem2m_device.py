"""oneM2M deviceInfo from the endpoint name and LwM2M Objects 3 (Device) and 6 (Location)."""

from __future__ import annotations

from collections.abc import Iterator

from lwm2m_engine import ENDPOINT, Catalog, Mapping, Rule, hookimpl


def geo(latitude: float, longitude: float) -> str | None:
    """A geo URI (RFC 5870) without exponents; ``None`` for what is no place on Earth."""
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    return f"geo:{decimal(latitude)},{decimal(longitude)}"


def decimal(degrees: float) -> str:
    """The shortest text that is this number, without an exponent: ``52.5``, ``-0.1278``, ``13``."""
    # Adding nothing makes a zero of a negative zero.
    text = repr(float(degrees) + 0.0).removesuffix(".0")
    return text if "e" not in text else format(degrees, ".15f").rstrip("0").rstrip(".")


def milliseconds(seconds: float) -> str:
    """Time as oneM2M's systemTime holds it here: milliseconds since 1970, as a text."""
    return str(round(seconds * 1000))


def seconds(text: object) -> int:
    """What ``milliseconds`` is made from; LwM2M counts time in whole seconds."""
    if not (isinstance(text, str) and text.isascii() and text.isdecimal()):
        raise ValueError("it is milliseconds since 1970, as a text")
    return int(text) // 1000


@hookimpl
def lwm2m_mappings(catalog: Catalog) -> Iterator[Mapping]:
    yield Mapping(
        "m2m:deviceInfo",
        name="device-info",
        read_at_register=True,
        rules=[
            Rule(ENDPOINT, "deviceLabel"),
            Rule("/3/0/manufacturer", "deviceName"),
            Rule("/3/0/firmware_version", "fwVersion"),
            Rule("/3/0/current_time", "systemTime", convert=milliseconds, write=seconds),
            Rule(("/6/0/latitude", "/6/0/longitude"), "location", convert=geo),
        ],
        examples=[
            ({ENDPOINT: "device001"}, {"deviceLabel": "device001"}),
            (
                {"/3/0/0": "My Demo Device", "/3/0/3": "1.0.0", "/3/0/13": 1752761133},
                {"deviceName": "My Demo Device", "fwVersion": "1.0.0", "systemTime": "1752761133000"},
            ),
            ({"/6/0/0": 52.5, "/6/0/1": 13.4}, {"location": "geo:52.5,13.4"}),
        ],
        commands=[({"systemTime": "1752761133000"}, ["PUT /3/0/13 1752761133000"])],
    )
