"""kill -9 of the server in every state of a device's outbox.

After the restart each message ends where it would have ended: what was in flight without an answer is sent
again, except Execute and Create, which must not happen twice and are reported instead. No message is lost,
none has two results.

    KILL_ROUNDS=200 pytest tests/faults/test_kills.py -k moment      # the long version of the last test
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
from collections.abc import Awaitable, Callable

import attrs

from lwm2m_engine.coap import Code
from lwm2m_server.coap.blocks import Block
from lwm2m_server.coap.options import BLOCK1, LOCATION_PATH, OBSERVE
from lwm2m_server.coap.options import number as option
from lwm2m_server.simulator.scripted import ScriptedDevice

ROUNDS = int(os.environ.get("KILL_ROUNDS", "2"))
LINKS = b"</1/0>,</5/0>,</3303/0>,</3442/0>"
PACKAGE = base64.b64encode(bytes(3000)).decode()
AWAKE = {"LWM2M_DEVICES_AWAKE_WINDOW": "0.4"}
SENML = 110


@attrs.define(eq=False)
class Patient:
    """One device, one message, and what is heard of it before the server is killed and after."""

    device: ScriptedDevice
    location: str = ""
    wish: dict = attrs.field(factory=dict)
    heard: list[str] = attrs.field(factory=list)
    serving: asyncio.Task | None = None

    async def hear(self):
        """The next request, or block of one."""
        asked = await self.device.receive(30)
        while not asked.is_request:
            asked = await self.device.receive(30)
        if _more(asked)[0] in (None, 0):
            self.heard.append(_METHODS[asked.code])
        return asked

    def answer(self, asked):
        block, more = _more(asked)
        options = [] if block is None else [(BLOCK1, Block(block, more, 6).pack())]
        observe = 0 if option(asked.options, OBSERVE) == 0 else None
        if more:
            self.device.reply(asked, Code.CONTINUE, options=options)
        elif asked.code == Code.GET:
            value = b'[{"bn":"/3303/0/5700","v":20}]'
            self.device.reply(asked, Code.CONTENT, SENML, value, observe=observe)
        else:
            self.device.reply(asked, Code.CHANGED, options=options)

    def serve(self):
        """Answer all from now on."""

        async def serve():
            while True:
                self.answer(await self.hear())

        self.serving = asyncio.create_task(serve())

    def close(self):
        if self.serving is not None:
            self.serving.cancel()
        self.device.close()


_METHODS = {Code.GET: "GET", Code.POST: "POST", Code.PUT: "PUT", Code.DELETE: "DELETE"}


def _more(asked):
    """Number of the block and whether others follow; a request in one piece has no number."""
    value = option(asked.options, BLOCK1)
    if value is None:
        return None, False
    block = Block.unpack(value)
    return block.number, block.more


# --- the states --------------------------------------------------------------------------------------


async def asleep(one: Patient, api) -> None:
    await one.device.silent(0.1)


async def unanswered(one: Patient, api) -> None:
    await one.hear()


async def acknowledged(one: Patient, api) -> None:
    one.device.acknowledge(await one.hear())
    while not await api.messages(one.wish["name"], "sent-msg"):  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.02)


async def cancelling(one: Patient, api) -> None:
    """The relation is there; its end is on the way."""
    one.answer(await one.hear())
    await api.answer_to(one.wish["name"], one.wish)
    one.wish = {**await api.wish(one.wish["name"], "CANCEL /3303/0/5700"), "name": one.wish["name"]}
    await one.hear()


async def half_written(one: Patient, api) -> None:
    for _ in range(2):
        one.answer(await one.hear())
    await one.device.receive()


async def answered(one: Patient, api) -> None:
    one.answer(await one.hear())
    await api.answer_to(one.wish["name"], one.wish)


@attrs.frozen
class State:
    con: str
    reach: Callable[[Patient, object], Awaitable[None]]
    again: list[str]
    """What the device hears after the restart."""
    result: tuple[str, str]
    """``messageType`` of the one result, and its ``responseCode`` or ``reason``."""
    sent: int = 1
    """How often the message lies in ``sent-msg``."""


READ, WRITE, EXECUTE = "GET /3303/0/5700", "PUT /1/0/1 60", "POST /3303/0/5605"
PUSH = f"PUT /5/0/0 {PACKAGE}"
DONE, VALUE = ("response", "2.04"), ("response", "2.05")
UNKNOWN = ("error", "unknown-outcome")

STATES = {
    "a Read waits for a sleeper": State(READ, asleep, ["GET"], VALUE),
    "an Execute waits for a sleeper": State(EXECUTE, asleep, ["POST"], DONE),
    "a Read without an answer": State(READ, unanswered, ["GET"], VALUE),
    "a Write without an answer": State(WRITE, unanswered, ["PUT"], DONE),
    "an Observe without an answer": State("OBSERVE /3303/0/5700", unanswered, ["GET"], VALUE),
    "an Execute without an answer": State(EXECUTE, unanswered, [], UNKNOWN, sent=0),
    "a Create without an answer": State('POST /3442 {"110": "x"}', unanswered, [], UNKNOWN, sent=0),
    "a Cancel without an answer": State("OBSERVE /3303/0/5700", cancelling, ["GET"], VALUE, sent=2),
    "a Write half transferred": State(PUSH, half_written, ["PUT"], DONE),
    "a Read that was answered": State(READ, answered, [], VALUE),
    "an Execute that was answered": State(EXECUTE, answered, [], DONE),
}


async def enter(api, server, number: int, state: State) -> Patient:
    """A device in this state."""
    name = f"device{number:03d}"
    one = Patient(await ScriptedDevice.open(server.coap))
    queue = "&Q" if state.reach is asleep else ""
    answer = await one.device.send(Code.POST, "/rd", f"ep={name}&lwm2m=1.1&lt=300{queue}", 40, LINKS)
    one.location = "/".join(value.decode() for kind, value in answer.options if kind == LOCATION_PATH)
    if state.reach is asleep:
        await asyncio.sleep(0.6)
    one.wish = {**await api.wish(name, state.con), "name": name}
    await state.reach(one, api)
    return one


async def outcome(api, one: Patient):
    """What the device heard, the one result, and how often the message was sent."""
    name, id = one.wish["name"], one.wish["resourceID"]
    await api.answer_to(name, one.wish, 4)
    boxes = [await api.messages(name, box) for box in ("received-msg", "error-msg")]
    results = [content for box in boxes for content in box if content.get("requestID") == id]
    assert len(results) == 1, results
    assert await api.messages(name, "outgoing-msg") == []
    content = results[0]
    kind = (content["messageType"], content.get("responseCode") or content["reason"])
    return one.heard, kind, len(await api.messages(name, "sent-msg"))


async def kill_in(states: dict[str, State], server, connect) -> dict[str, tuple]:
    """The outcome of each state the server is killed in, all at the same moment."""
    api = connect(server)
    entering = [enter(api, server, number, state) for number, state in enumerate(states.values())]
    patients = dict(zip(states, await asyncio.gather(*entering), strict=True))
    server.kill()
    for one in patients.values():
        one.heard.clear()
        one.serve()
    server.restart()
    api = connect(server)
    for name, one in patients.items():
        if states[name].reach is asleep:
            one.device.emit(one.device.request(Code.POST, one.location))
    try:
        found = {name: await outcome(api, one) for name, one in patients.items()}
        # What would be heard too much is heard by now.
        await asyncio.sleep(0.3)
    finally:
        for one in patients.values():
            one.close()
    assert "Traceback" not in server.errors()
    return found


def expected(states: dict[str, State]) -> dict[str, tuple]:
    return {name: (state.again, state.result, state.sent) for name, state in states.items()}


async def test_every_state_of_the_outbox(serve, connect):
    server = serve("--unknown-devices", "create", LWM2M_TRANSMISSION_ACK_TIMEOUT="2", **AWAKE)
    assert await kill_in(STATES, server, connect) == expected(STATES)


async def test_acknowledged_but_not_answered(serve, connect):
    states = {
        "a Read": State(READ, acknowledged, ["GET"], VALUE),
        "an Observe": State("OBSERVE /3303/0/5700", acknowledged, ["GET"], VALUE),
        "an Execute": State(EXECUTE, acknowledged, [], UNKNOWN),
    }
    server = serve("--unknown-devices", "create", LWM2M_TRANSMISSION_ACK_TIMEOUT="2")
    assert await kill_in(states, server, connect) == expected(states)


async def test_any_moment_between_an_answer_and_its_commit(serve, connect):
    """Devices answer as fast as they can while the server is killed: there is one result each, always."""
    rng = random.Random(9)
    server = serve("--unknown-devices", "create", LWM2M_TRANSMISSION_ACK_TIMEOUT="2")
    api = connect(server)
    patients = {}
    for number in range(8):
        one = Patient(await ScriptedDevice.open(server.coap))
        await one.device.send(Code.POST, "/rd", f"ep=device{number:03d}&lwm2m=1.1&lt=3000", 40, LINKS)
        patients[f"device{number:03d}"] = one
        one.serve()
    for round in range(ROUNDS):
        wishes = []
        for con in (READ, EXECUTE, WRITE):
            wishes += await asyncio.gather(*(named(api, name, con) for name in patients))
            await asyncio.sleep(rng.uniform(0, 0.004))
        server.kill()
        server.restart()
        api = connect(server)
        for name, con, wish in wishes:
            content = await api.answer_to(name, wish, 15)
            lost = con == EXECUTE and content["messageType"] == "error"
            assert lost or content["responseCode"] in ("2.04", "2.05"), content
        for name, one in patients.items():
            assert one.heard.count("POST") <= round + 1
            await check(api, name, [wish["resourceID"] for who, _, wish in wishes if who == name])
    for one in patients.values():
        one.close()
    assert "Traceback" not in server.errors()


async def named(api, name, con):
    return name, con, await api.wish(name, con)


async def check(api, name, ids):
    """Each of these messages has one result, and lies in ``sent-msg`` once unless it failed."""
    assert await api.messages(name, "outgoing-msg") == []
    answers, errors = [await api.messages(name, box) for box in ("received-msg", "error-msg")]
    results = [content.get("requestID") for content in answers + errors]
    assert [results.count(id) for id in ids] == [1] * len(ids)
    assert len(await api.messages(name, "sent-msg")) == len(answers)
