"""What mypy makes of typed objects: a mistake in each line with an ``ignore``, and nowhere else."""

from typing import assert_type

import attrs

from lwm2m_engine import Catalog, Entry, Path, objects
from lwm2m_engine.objects import Device, Device_1_0, Device_1_2, Location_6, LwM2MServer

catalog = Catalog.bundled()
entries = [Entry(Path("/3/0/9"), 42)]

device = catalog.structure(entries, at=Path("/3/0"), into=Device)
assert_type(device, Device)
assert_type(device.battery_level, int | None)
assert_type(device.available_power_sources, dict[int, int] | None)
assert_type(device.current_time, int | float | None)
device.battery_level = 43
device.battery_level = "43"  # type: ignore[assignment]
device.batery_level = 43  # type: ignore[attr-defined]

same: Device_1_2 = device
old = catalog.structure(entries, at=Path("/3/0"), into=Device_1_0)
other: Device = old  # type: ignore[assignment]

servers = catalog.structure([], at=Path("/1"), into=dict[int, LwM2MServer])
assert_type(servers, dict[int, LwM2MServer])

location = Location_6(latitude=52.5)
Location_6(latitude="north")  # type: ignore[arg-type]
Device(reboot=1)  # type: ignore[call-arg]  # is executed, has no value

assert_type(attrs.evolve(device, battery_level=1), Device)
assert_type(catalog.unstructure(device, at=Path("/3/0")), list[Entry])
assert_type(catalog.unstructure(servers, at=Path("/1")), list[Entry])

objects.Device_9_9  # type: ignore[attr-defined]  # noqa: B018
