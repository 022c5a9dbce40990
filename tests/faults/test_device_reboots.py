"""Devices that begin again, and devices whose address changes under way."""

from __future__ import annotations

import asyncio

import pytest

from lwm2m_engine.coap import Code
from lwm2m_server.coap import wire
from lwm2m_server.coap.options import LOCATION_PATH
from lwm2m_server.simulator.scripted import ACK, RST, ScriptedDevice, observe_of

REGISTER = ("/rd", "ep=device001&lwm2m=1.1&lt=300", 40, b"</3303/0>,</1/0>")
SENML = 110


@pytest.fixture
async def boot():
    """A device that starts on the same port each time, and counts its message ids from 1 again."""
    booted = []

    async def start(server):
        local = booted[-1].address if booted else None
        if booted:
            booted[-1].close()
            await asyncio.sleep(0.01)
        booted.append(await ScriptedDevice.open(server.coap, local=local))
        return booted[-1]

    yield start
    booted[-1].close()


def location_of(answer):
    return "/" + "/".join(value.decode() for number, value in answer.options if number == LOCATION_PATH)


async def register(device, *, links=REGISTER[3]):
    answer = await device.send(Code.POST, *REGISTER[:3], links)
    assert answer.code == Code.CREATED
    return location_of(answer)


async def observe(api, device):
    """Have the server observe ``/3303/0/5700``; the token of the relation."""
    wish = await api.wish("device001", "OBSERVE /3303/0/5700")
    asked = await device.expect(Code.GET, "/3303/0/5700")
    device.reply(asked, Code.CONTENT, SENML, b'[{"bn":"/3303/0/5700","v":20}]', observe=0)
    await api.answer_to("device001", wish)
    return asked.token


def notify(device, token, sequence, value):
    return device.notify(token, sequence, SENML, b'[{"bn":"/3303/0/5700","v":%d}]' % value)


async def notifications(api):
    contents = await api.messages("device001")
    return [one["dataValue"]["3303/0/5700"] for one in contents if one["messageType"] == "notification"]


async def test_a_device_that_boots_in_the_same_second_is_answered_as_before(server, api, boot):
    """Clients that count from the clock send the same first datagram twice (message id and token too)."""
    first = await register(await boot(server))
    device = await boot(server)
    again = device.request(Code.POST, *REGISTER)
    device.emit(again)
    answer = await device.response(again)
    assert (answer.code, answer.token) == (Code.CREATED, again.token)
    assert location_of(answer) == first
    assert (await device.send(Code.POST, first)).code == Code.CHANGED
    events = [entry["event"] for entry in await api.messages("device001", "logs")]
    assert (events.count("registered"), events.count("updated")) == (1, 1)


async def test_an_old_answer_to_a_device_that_left_meanwhile_leads_to_a_new_register(server, api, boot):
    device = await boot(server)
    location = await register(device)
    assert (await device.send(Code.DELETE, location)).code == Code.DELETED
    # The very datagrams of the run before: what they are answered with may be old, but not for long.
    device = await boot(server)
    location = await register(device)
    assert (await device.send(Code.POST, location)).code == Code.NOT_FOUND
    assert (await device.send(Code.POST, await register(device))).code == Code.CHANGED


async def test_old_message_ids_of_a_booted_device_are_no_duplicates(server, api, boot):
    device = await boot(server)
    old = await register(device)
    token = await observe(api, device)
    device = await boot(server)
    new = await register(device, links=b"</3303/0>,</3303/1>,</1/0>")
    assert new != old
    # The relation died with the registration; its token means nothing any more, a new one begins.
    asked = await device.expect(Code.GET, "/3303/0/5700")
    assert (asked.token != token, observe_of(asked)) == (True, 0)
    device.reply(asked, Code.CONTENT, SENML, b'[{"bn":"/3303/0/5700","v":20}]', observe=0)
    message = notify(device, token, 1, 21)
    assert await device.receive() == wire.Message(RST, 0, message.mid)
    assert (await device.send(Code.POST, old)).code == Code.NOT_FOUND
    assert (await device.send(Code.POST, new)).code == Code.CHANGED
    assert await notifications(api) == []
    wish = await api.wish("device001", "GET /3303/1/5700")
    asked = await device.expect(Code.GET, "/3303/1/5700")
    device.reply(asked, Code.CONTENT, SENML, b'[{"bn":"/3303/1/5700","v":1}]')
    assert (await api.answer_to("device001", wish))["dataValue"] == {"3303/1/5700": 1}


async def test_a_boot_with_a_request_under_way_sends_it_again_after_register(server, api, boot):
    device = await boot(server)
    await register(device)
    read, execute = [await api.wish("device001", con) for con in ("GET /3303/0/5700", "POST /3303/0/5605")]
    await device.expect(Code.GET, "/3303/0/5700")
    device = await boot(server)
    await register(device, links=b"</3303/0>,</1/0>,</3303/1>")
    asked = await device.expect(Code.GET, "/3303/0/5700")
    device.reply(asked, Code.CONTENT, SENML, b'[{"bn":"/3303/0/5700","v":1}]')
    asked = await device.expect(Code.POST, "/3303/0/5605")
    device.reply(asked, Code.CHANGED)
    assert (await api.answer_to("device001", read))["responseCode"] == "2.05"
    assert (await api.answer_to("device001", execute))["responseCode"] == "2.04"
    assert await api.messages("device001", "error-msg") == []


async def test_a_boot_with_an_execute_under_way_does_not_run_it_twice(server, api, boot):
    device = await boot(server)
    await register(device)
    execute = await api.wish("device001", "POST /3303/0/5605")
    await device.expect(Code.POST, "/3303/0/5605")
    device = await boot(server)
    await register(device, links=b"</3303/0>,</1/0>,</3303/1>")
    content = await api.answer_to("device001", execute)
    assert (content["messageType"], content["reason"]) == ("error", "unknown-outcome")
    await device.silent(0.3)


async def test_a_device_whose_registration_ended_is_told_at_its_update(server, api, boot):
    """It boots, believes in the location it kept, and learns that it must register."""
    device = await boot(server)
    location = await register(device)
    assert (await api.delete("device001")).status_code == 200
    device = await boot(server)
    device.next_mid()
    assert (await device.send(Code.POST, location)).code == Code.NOT_FOUND
    assert (await device.send(Code.POST, await register(device))).code == Code.CHANGED


async def test_a_new_port_in_mid_observation(server, api, boot):
    """Without security nothing but the address speaks for a notification; an Update brings the new one."""
    device = await boot(server)
    location = await register(device)
    token = await observe(api, device)
    notify(device, token, 1, 21)
    assert (await device.receive()).type == ACK
    async with await ScriptedDevice.open(server.coap) as moved:
        moved.next_mid()
        message = notify(moved, token, 2, 22)
        # Neither acknowledged nor reset: a Reset would end a relation that is still wanted.
        await moved.silent(0.3)
        assert await notifications(api) == [21]
        assert (await moved.send(Code.POST, location)).code == Code.CHANGED
        # The device repeats what was not acknowledged.
        moved.emit(message)
        assert await moved.receive() == wire.Message(ACK, 0, message.mid)
        notify(moved, token, 3, 23)
        assert (await moved.receive()).type == ACK
        assert await notifications(api) == [21, 22, 23]
        wish = await api.wish("device001", "CANCEL /3303/0/5700")
        asked = await moved.expect(Code.GET, "/3303/0/5700")
        assert (asked.token, observe_of(asked)) == (token, 1)
        moved.reply(asked, Code.CONTENT, SENML, b'[{"bn":"/3303/0/5700","v":24}]')
        await api.answer_to("device001", wish)


async def test_a_nat_that_forgets_costs_no_notification(server, api, device, network, eventually):
    between = await network(server)
    one = await device(between, live=False, version="1.1")
    await one.register()
    await api.ask("device001", "OBSERVE /3/0/9")
    await between.rebind()
    one.set("/3/0/9", 41)
    assert (await one.update()).code == Code.CHANGED
    assert (await api.ask("device001", "GET /3/0/9"))["dataValue"] == {"3/0/9": 41}

    async def notified():
        contents = await api.messages("device001")
        return [one["dataValue"] for one in contents if one["messageType"] == "notification"]

    assert await eventually(notified) == [{"3/0/9": 41}]
