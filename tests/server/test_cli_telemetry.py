"""``lwm2m telemetry`` against a server: tables, JSON, CSV; points in time as people write them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
from datetime import datetime

import pytest
from click.testing import CliRunner

from lwm2m_engine.coap import CoapRequest, Code
from lwm2m_engine.codecs import encode
from lwm2m_engine.entries import Entry
from lwm2m_engine.formats import ContentFormat
from lwm2m_engine.paths import Path
from lwm2m_server.cli.exits import Misuse
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.cli.moments import duration, moment
from lwm2m_server.simulator.objects import server_object

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("90s", 1_799_999_910_000),
        ("24h", 1_799_913_600_000),
        ("1.5d", 1_799_870_400_000),
        ("1799999910000", 1_799_999_910_000),
        ("2027-01-15T08:00:00+00:00", 1_800_000_000_000),
        ("2027-01-15", int(datetime(2027, 1, 15).astimezone().timestamp() * 1000)),
    ],
)
def test_points_in_time(text: str, milliseconds: int):
    assert moment(text, NOW) == milliseconds


@pytest.mark.parametrize("text", ["", "yesterday", "24", "h", "5y", "2027-13-01"])
def test_no_points_in_time(text: str):
    with pytest.raises(Misuse, match="no time"):
        moment(text, NOW)


def test_durations():
    assert duration("15m") == 900_000
    with pytest.raises(Misuse, match="no duration"):
        duration("2027-01-15")


@pytest.fixture
async def run(serve, device):
    """Commands about ``device001`` of a server that has told hours of temperatures."""
    server = serve("--unknown-devices", "create")
    one = await device(server, live=False, objects=[server_object(300, "U")])
    await one.register()
    begin = float(int(time.time()) - 7200)
    entries = [Entry(Path("/3303/0/5700"), 20.0 + minute % 10, begin + 60 * minute) for minute in range(120)]
    payload = encode(entries, ContentFormat.SENML_CBOR, at=Path("/"))
    await one.ask(CoapRequest(Code.POST, ("dp",), (), payload, ContentFormat.SENML_CBOR))
    await one.ask(CoapRequest(Code.POST, ("dp",), (), b"\xff", ContentFormat.SENML_CBOR))

    async def run(*words: str, exit_code: int = 0) -> str:
        command = ["telemetry", "device001", *words, "--url", server.http]
        result = await asyncio.to_thread(CliRunner().invoke, lwm2m, command)
        assert result.exit_code == exit_code, result.output
        return result.output

    return run


async def test_last_values_histories_and_aggregates(run):
    (row,) = (await run()).splitlines()[1:]
    assert row.split()[:3] == ["sensorValue", "/3303/0/5700", "29.0"]
    assert len((await run("sensorValue", "--from", "3h")).splitlines()) == 121
    assert len((await run("sensorValue", "--from", "3h", "--limit", "5")).splitlines()) == 6
    (found,) = json.loads(await run("--from", "3h", "--agg", "count", "--json"))
    assert [row["value"] for row in found["values"]] == [120]
    rows = list(csv.reader(io.StringIO(await run("sensorValue", "--from", "3h", "--csv"))))
    assert len(rows) == 121
    assert "no key 'sensorvalu'" in await run("sensorvalu", exit_code=2)


async def test_what_could_not_be_decoded_and_forgetting(run):
    assert "/w==" in await run("--undecoded")
    assert await run("--attributes") == "key  path  value  time  source\n"
    assert await run("--forget", "sensorValue", "--to", "0s") == "120 values forgotten\n"
    assert len((await run()).splitlines()) == 1
    await run("--forget", "--attributes", exit_code=2)
