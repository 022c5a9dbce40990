"""Object definitions that come, change and go while devices are registered; no restart."""

from __future__ import annotations

import json
import subprocess
import sys

XML = """<?xml version="1.0" encoding="UTF-8"?>
<LWM2M><Object ObjectType="MODefinition">
<Name>Greenhouse</Name><ObjectID>33333</ObjectID><ObjectURN>urn:oma:lwm2m:x:33333</ObjectURN>
<LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0</ObjectVersion>
<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources>
<Item ID="0"><Name>Crop</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>String</Type><RangeEnumeration/><Units/></Item>
<Item ID="1"><Name>Humidity</Name><Operations>R</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration>0..100</RangeEnumeration>
<Units>%RH</Units></Item>
</Resources></Object></LWM2M>
"""


def greenhouse():
    from lwm2m_engine import ResourceType
    from lwm2m_server.simulator.tree import Resource, SimulatedObject

    crop = Resource(ResourceType.STRING, "tomato", "RW")
    humidity = Resource(ResourceType.INTEGER, 61)
    return SimulatedObject(33333, {0: {0: crop, 1: humidity}})


async def test_a_dropped_model_types_the_next_message(serve, connect, device, eventually):
    # Base64 of the raw bytes: what TLV says without a model.
    raw, typed = {"33333/0/0": "dG9tYXRv", "33333/0/1": "PQ=="}, {"33333/0/0": "tomato", "33333/0/1": 61}
    server = serve("--unknown-devices", "create")
    api = connect(server)
    one = await device(server, "device001", objects=[greenhouse()], version="1.0")
    assert (await api.ask("device001", "GET /33333"))["dataValue"] == raw

    folder = server.cwd / "models" / "xml"
    folder.mkdir(parents=True)
    (folder / "greenhouse.xml").write_text(XML)

    def values_are(expected):
        async def look():
            return (await api.ask("device001", "GET /33333"))["dataValue"] == expected

        return look

    await eventually(values_are(typed), 3)
    (folder / "broken.xml").write_text(XML.replace("<ObjectID>33333", "<ObjectID>many"))
    check = [sys.executable, "-m", "lwm2m_server.launcher", "models", "check", folder, "--json"]
    report = subprocess.run(check, capture_output=True, text=True, timeout=20)  # noqa: ASYNC221
    assert report.returncode == 1
    broken = [row for row in json.loads(report.stdout) if "broken.xml" in row["file"]]
    assert len(broken) == 1
    (folder / "greenhouse.xml").unlink()
    await eventually(values_are(raw), 3)
    assert one.registrations == 1
