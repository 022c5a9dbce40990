"""What is counted where devices reach the server, and that the page about it names each number."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lwm2m_engine.coap import Code
from lwm2m_server.app import Running, run
from lwm2m_server.settings import Address, BootstrapSettings, Settings
from lwm2m_server.simulator.dtls import DtlsClient, DtlsContext, PreSharedKey, connect
from lwm2m_server.simulator.scripted import ScriptedDevice

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "counts.md"
ANY = (Address("127.0.0.1", 0),)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    settings = Settings(
        coap=ANY,
        coap_tcp=ANY,
        coaps=ANY,
        http=ANY[0],
        data=tmp_path / "data",
        bootstrap=BootstrapSettings(coap=ANY),
    )
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    server = asyncio.create_task(run(settings, ready=started.set_result, stop=stop))
    await asyncio.wait([server, started], return_when=asyncio.FIRST_COMPLETED)
    yield started.result()
    stop.set()
    await server


def address(running: Running, name: str) -> tuple[str, int]:
    host, _, port = running.addresses.devices[name][0].rpartition(":")
    return host, int(port)


async def test_each_source_counts_what_it_sees_and_the_page_says_what_that_is(
    running: Running, eventually: Any
) -> None:
    async with await ScriptedDevice.open(address(running, "coap")) as device:
        device.raw(b"no CoAP")
        asked = device.request(Code.POST, "/rd", "ep=nobody")
        for _ in range(2):
            device.emit(asked)
            await device.receive()
    async with await ScriptedDevice.open(address(running, "bootstrap_coap")) as device:
        await device.send(Code.POST, "/bs", "ep=nobody")
    stranger = DtlsClient(DtlsContext(PreSharedKey(b"nobody", bytes(16))))
    with suppress(ConnectionError):
        await connect(asyncio.DatagramProtocol, address(running, "coaps"), stranger)
    _, writer = await asyncio.open_connection(*address(running, "coap_tcp"))

    async def counted() -> bool:
        return running.counts.read()["coap+tcp"]["tcp_connections"] == 1

    await eventually(counted)
    counts = running.counts.read()
    writer.close()
    assert set(counts) == {"coap", "coap+tcp", "coaps", "coap-bs", "bootstrap"}
    plain = counts["coap"]
    seen = ("coap_requests_total", "coap_duplicates_total", "coap_malformed_total", "coap_requests_under_way")
    assert [plain[name] for name in seen] == [1, 1, 1, 0]
    assert (plain["shedding_active"], plain["shedding_shed_total"]) == (0, 0)
    secure = counts["coaps"]
    seen = ("dtls_cookies_total", "dtls_begun_total", "dtls_failed_total", "dtls_established_total")
    assert [secure[name] for name in seen] == [1, 1, 1, 0]
    assert (counts["bootstrap"]["bootstrap_refused_total"], counts["coap-bs"]["coap_requests_total"]) == (
        1,
        1,
    )
    explained = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(explained) == sorted({name for numbers in counts.values() for name in numbers})
