"""Lost and doubled datagrams, and devices that talk nonsense: nothing happens twice, nothing stops."""

from __future__ import annotations

import random
import socket

import pytest

from lwm2m_engine.coap import CoapReply, Code


async def test_doubled_datagrams_register_once_and_are_recorded_once(server, api, device):
    one = await device(server, "device001", live=False, version="1.1")
    one.faults.duplicate = True
    await one.register()
    await api.ask("device001", "GET /3/0/9")
    await one.send("/3/0/9")
    assert (await one.update()).code == Code.CHANGED
    logs = (await api.get("device-communication/device001/logs?rcn=8")).json()["container"]
    events = [entry["content"]["event"] for entry in logs["contentInstance"]]
    assert events.count("registered") == 1
    assert events.count("updated") == 1
    kinds = [content["messageType"] for content in await api.messages("device001")]
    assert kinds.count("send") == 1


async def test_lost_datagrams_are_made_good(server, api, device):
    one = await device(server, "device001", live=False, version="1.1")
    one.faults.drop_outgoing = {1}
    await one.register()
    await api.ask("device001", "GET /3/0/0")
    # The next request to the device is lost, and so is its first answer.
    one.faults.drop_incoming = {one.faults.heard + 1}
    one.faults.drop_outgoing = {one.faults.sent + 1}
    answer = await api.ask("device001", "POST /3/0/4")
    assert answer["responseCode"] == "2.04"
    assert len(one.executed) == 1


async def test_a_slow_device_delays_nobody_else(server, api, device, eventually):
    slow = await device(server, "slow", live=False)
    await slow.register()
    await api.ask("slow", "GET /3/0/0")
    slow.faults.delay = 1.0
    quick = await device(server, "quick", live=False)
    await quick.register()
    first = await api.wish("slow", "GET /3/0/9")
    assert (await api.ask("quick", "GET /3/0/9"))["dataValue"] == {"3/0/9": 72}
    assert await api.latest("slow", "outgoing-msg") is not None
    assert (await api.answer_to("slow", first))["dataValue"] == {"3/0/9": 72}


async def test_an_undecodable_answer_is_kept_raw(server, api, device):
    one = await device(server, "device001", live=False)
    await one.register()
    await api.ask("device001", "GET /3/0/0")
    one.faults.reply = lambda request: CoapReply(Code.CONTENT, b"\xc0\x09", 11542)
    wish = await api.wish("device001", "GET /3/0/9")
    content = await api.answer_to("device001", wish)
    assert (content["rawPayload"], content["contentFormat"]) == ("wAk=", 11542)
    assert content["error"]


@pytest.mark.native_stack("aiocoap leaves a traceback for options that are not UTF-8")
async def test_random_bytes_stop_nothing(server, api, device):
    rng = random.Random(7252)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        for _ in range(300):
            noise.sendto(rng.randbytes(rng.randrange(64)), server.coap)
            # A header that looks like CoAP, so that what follows is looked at.
            header = bytes([0x40 | rng.randrange(9), rng.randrange(1, 6), *rng.randbytes(2)])
            noise.sendto(header + rng.randbytes(rng.randrange(48)), server.coap)
    one = await device(server, "device001", live=False)
    await one.register()
    assert (await api.ask("device001", "GET /3/0/9"))["dataValue"] == {"3/0/9": 72}
    assert server.process.poll() is None
    assert "Traceback" not in server.errors()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_both_address_families(serve, connect, device, host):
    server = serve("--unknown-devices", "create", "--coap", f"{host}:0")
    assert server.addresses["coap"].startswith(host)
    one = await device(server, "device001", live=False)
    await one.register()
    assert (await connect(server).ask("device001", "GET /3/0/9"))["dataValue"] == {"3/0/9": 72}
