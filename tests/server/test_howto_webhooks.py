"""The how-to about webhooks: its receiver and its requests, as they stand there."""

import asyncio
import itertools
import json
import re
import shlex
import threading
from http.server import HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m

PAGE = (Path(__file__).parents[2] / "docs/how-to/webhooks.md").read_text(encoding="utf-8")
BASE = "/device-management-orchestrator/v3/main"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def receiver(capfd):
    """The program of the page, on a free port; what it prints."""
    names = {"__name__": "page"}
    exec(blocks("python")[0], names)
    server = HTTPServer(("127.0.0.1", 0), names["Receiver"])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_the_page(start, open_to_loopback, receiver, capfd):
    api = await start(open_to_loopback)
    await api.add_device()
    requests = [shlex.split(block) for block in blocks("sh") if block.startswith("curl") and "$API" in block]
    assert len(requests) == 2
    for words in requests:
        path = next(word for word in words if word.startswith("$API")).removeprefix("$API")
        options = list(itertools.pairwise(words))
        headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
        (body,) = (value for option, value in options if option == "-d")
        port = str(receiver.server_address[1])
        body = body.replace(":9000/", f":{port}/")
        answer = await api.client.post(BASE + path, content=body, headers=headers)
        assert answer.status_code == 201, answer.text
    content = {"nodeResourceName": "device001", "dataValue": {"3303/0/5700": 21.5}}
    sent = {"m2m:cin": {"con": content, "cnf": "application/json:0"}}
    await api.post("/device-communication/device001/received-msg", 4, sent)
    async with asyncio.timeout(20):
        while not any(seen.delivered for _, _, seen in api.deliveries.lanes("main")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    shown = json.loads(blocks("json")[0])
    assert told["m2m:sgn"]["nev"]["rep"]["m2m:cin"]["con"] == content
    assert names(told) == names(shown) - {"time", "messageType", "resourcePath"}


async def test_a_pause(start, open_to_loopback):
    api = await start(open_to_loopback)
    await api.post("", 2, {"m2m:ae": {"rn": "MyApp", "api": "NMyApp"}})
    lines = [line for block in blocks("sh") for line in block.splitlines() if "PATCH" in line]
    told = []
    for line in lines:
        words = shlex.split(line)
        answer = await api.client.patch(words[3], content=words[-1])
        told.append(answer.json()["paused"])
    assert told == [True, False]


def names(document):
    """Of all members."""
    if not isinstance(document, dict):
        return set()
    return set(document).union(*map(names, document.values()))


@pytest.mark.parametrize(
    "line", [line for block in blocks("sh") for line in block.splitlines() if "deliveries" in line]
)
def test_the_commands_are_there(line):
    words = shlex.split(line)
    if words[0] == "lwm2m":
        answer = CliRunner().invoke(lwm2m, [*words[1:], "--url", "http://127.0.0.1:9"])
        assert "no server answers" in answer.output
