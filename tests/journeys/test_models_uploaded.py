"""Object models that are uploaded over HTTP while devices that announce them are registered."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import tarfile

import httpx
import pytest

from lwm2m_engine import ContentFormat

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

XML = """<?xml version="1.0" encoding="UTF-8"?>
<LWM2M><Object ObjectType="MODefinition">
<Name>Greenhouse</Name><ObjectID>{id}</ObjectID><ObjectURN>urn:oma:lwm2m:x:{id}</ObjectURN>
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
RAW, TYPED = {"33333/0/0": "dG9tYXRv", "33333/0/1": "PQ=="}, {"33333/0/0": "tomato", "33333/0/1": 61}
MODELS = "/api/v1/models"
AS_XML = {"content-type": "application/xml"}


def greenhouse():
    from lwm2m_engine import ResourceType
    from lwm2m_server.simulator.tree import Resource, SimulatedObject

    crop = Resource(ResourceType.STRING, "tomato", "RW")
    humidity = Resource(ResourceType.INTEGER, 61)
    return SimulatedObject(33333, {0: {0: crop, 1: humidity}})


@pytest.fixture
async def client():
    async with httpx.AsyncClient(timeout=20.0) as client:
        yield client


def many():
    """Two hundred Objects in an archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for id in range(33400, 33600):
            data = XML.format(id=id).encode()
            member = tarfile.TarInfo(f"{id}.xml")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


async def killed_while_uploading(server, client, eventually):
    """Whatever the moment, files and index agree afterwards."""
    rows = f"{server.http}{MODELS}?level=tenant"
    known = (await client.get(rows)).json()["total"]
    folder = server.data / "models"
    files = len(list(folder.iterdir()))

    async def upload():
        with contextlib.suppress(httpx.HTTPError):
            await client.post(rows, content=many(), headers={"content-type": "application/gzip"})

    async def begun():
        return len(list(folder.iterdir())) > files

    uploading = asyncio.ensure_future(upload())
    await eventually(begun)
    await asyncio.sleep(random.uniform(0, 0.3))
    server.kill()
    await uploading
    server.restart()
    found = (await client.get(rows)).json()["models"]
    assert len(found) in (known, known + 200)
    assert [row for row in found if row["fault"] is not None or not row["inForce"]] == []
    assert len(list(folder.iterdir())) == files + (200 if len(found) > known else 0)


async def test_a_registered_device_has_an_uploaded_model_at_once(serve, connect, device, client, eventually):
    server = serve("--unknown-devices", "create")
    api = connect(server)
    one = await device(server, "device001", objects=[greenhouse()], version="1.0")

    async def values():
        return (await api.ask("device001", "GET /33333"))["dataValue"]

    async def model():
        (found,) = [
            row
            for row in (await client.get(f"{server.http}/api/v1/devices/device001")).json()["objects"]
            if row["id"] == 33333
        ]
        return found["modelVersion"]

    async def told():
        """What the server has kept, without asking the device; and how much of it are no values."""
        answer = (await client.get(f"{server.http}/api/v1/devices/device001/values?paths=/33333")).json()
        found = [(one["key"], one["type"], one["value"]) for one in answer["values"]]
        return found, len(answer["undecoded"])

    assert (await values(), await model()) == (RAW, None)
    assert (await client.post(f"{server.http}/api/v1/tenants", json={"name": "other"})).status_code == 201
    undecoded = [
        {"contentFormat": ContentFormat.TLV, "raw": "dG9tYXRv"},
        {"contentFormat": ContentFormat.TLV, "raw": "PQ=="},
    ]
    unknown = list(zip(("/33333/0/0", "/33333/0/1"), (None, None), undecoded, strict=True))
    known = [("crop", "String", "tomato"), ("humidity", "Integer", 61)]
    for tenant, kept, expected in (("other", unknown, (RAW, None)), ("main", known, (TYPED, "1.0"))):
        where, body = f"{server.http}{MODELS}?tenant={tenant}", XML.format(id=33333)
        assert (await client.post(where, content=body, headers=AS_XML)).status_code == 201
        assert await told() == (kept, 0)
        assert (await values(), await model()) == expected

    path = f"{server.http}{MODELS}/33333/1.0"
    wrong = XML.format(id=33333).replace("<Type>String", "<Type>Float")
    assert (await client.put(path, content=wrong, headers=AS_XML)).status_code == 200
    assert "rawPayload" in await api.ask("device001", "GET /33333/0/0")
    assert (await told())[1] == 1
    assert (await client.put(path, content=body, headers=AS_XML)).status_code == 200

    async def read_again():
        return await told() == (known, 0)

    await eventually(read_again)

    await killed_while_uploading(server, client, eventually)
    assert (await values(), await model()) == (TYPED, "1.0")

    answer = await client.delete(path)
    assert answer.status_code == 409
    assert answer.json()["users"][0]["devices"] == {"count": 1, "names": ["device001"]}
    assert (await values(), await model()) == (TYPED, "1.0")
    assert (await client.delete(path, params={"force": "true"})).status_code == 200
    assert (await values(), await model()) == (RAW, None)
    assert one.registrations == 1
