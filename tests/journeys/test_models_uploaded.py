"""Object models that are uploaded over HTTP while devices that announce them are registered."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import tarfile

import httpx
import pytest

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


async def test_a_registered_device_has_an_uploaded_model_at_once(serve, connect, device, client):
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

    assert (await values(), await model()) == (RAW, None)
    answer = await client.post(server.http + MODELS, content=XML.format(id=33333), headers=AS_XML)
    assert answer.status_code == 201
    assert (await values(), await model()) == (TYPED, "1.0")

    server.kill()
    server.restart()
    assert (await values(), await model()) == (TYPED, "1.0")

    path = f"{server.http}{MODELS}/33333/1.0"
    answer = await client.delete(path)
    assert answer.status_code == 409
    assert answer.json()["users"][0]["devices"] == {"count": 1, "names": ["device001"]}
    assert (await values(), await model()) == (TYPED, "1.0")
    assert (await client.delete(path, params={"force": "true"})).status_code == 200
    assert (await values(), await model()) == (RAW, None)
    assert one.registrations == 1


async def test_another_tenants_model_is_not_for_a_device(serve, connect, device, client):
    server = serve("--unknown-devices", "create")
    assert (await client.post(f"{server.http}/api/v1/tenants", json={"name": "other"})).status_code == 201
    api = connect(server)
    await device(server, "device001", objects=[greenhouse()], version="1.0")
    upload = {"content": XML.format(id=33333), "headers": AS_XML}
    for query, expected in (("tenant=other", RAW), ("level=system", TYPED)):
        answer = await client.post(f"{server.http}{MODELS}?{query}", **upload)
        assert answer.status_code == 201
        assert (await api.ask("device001", "GET /33333"))["dataValue"] == expected


async def test_whatever_moment_it_is_killed_at_files_and_index_agree(serve, client):
    server = serve()
    folder = server.data / "models"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for id in range(33000, 33200):
            data = XML.format(id=id).encode()
            member = tarfile.TarInfo(f"{id}.xml")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    async def upload():
        with contextlib.suppress(httpx.HTTPError):
            await client.post(
                server.http + MODELS, content=packed.getvalue(), headers={"content-type": "application/gzip"}
            )

    async def begun():
        while not folder.is_dir():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.001)

    for _ in range(2):
        uploading = asyncio.ensure_future(upload())
        await begun()
        await asyncio.sleep(random.uniform(0, 0.3))
        server.kill()
        await uploading
        server.restart()
        rows = (await client.get(f"{server.http}{MODELS}?level=tenant")).json()["models"]
        assert len(rows) in (0, 200)
        assert [row for row in rows if row["fault"] is not None or not row["inForce"]] == []
        assert len(list(folder.iterdir())) == len(rows)
