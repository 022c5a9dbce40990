"""For whom the HTTP API answers."""

from __future__ import annotations

import httpx
import pytest
from starlette.responses import PlainTextResponse

from lwm2m_server.http.hosts import REMEMBERED, only_for


@pytest.fixture
async def client():
    async def app(scope, receive, send):
        await PlainTextResponse("here")(scope, receive, send)

    guarded = only_for(["0.0.0.0", "D2C.example"], app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://x") as client:
        yield client


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "127.3.2.1",
        "localhost",
        "LOCALHOST:80",
        "[::1]:8080",
        "0.0.0.0:8080",
        "d2c.example",
        "d2c.EXAMPLE:443",
    ],
)
async def test_this_machine_and_names_in_the_settings(client, host):
    for _ in range(2):
        assert (await client.get("/", headers={"Host": host})).text == "here"


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "127.0.0.1.attacker.example",
        "localhost.attacker.example",
        "192.0.2.7",
        "[::1",
        "",
        "ü",
    ],
)
async def test_others_are_refused(client, host):
    answer = await client.get("/", headers={"Host": host.encode()})
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    assert "http_hosts" in answer.json()["detail"]


async def test_good_hosts_do_not_pile_up(client):
    for port in range(REMEMBERED + 10):
        assert (await client.get("/", headers={"Host": f"127.0.0.1:{port}"})).status_code == 200


async def test_a_program_may_leave_it_out():
    sent = []

    async def app(scope, receive, send):
        await PlainTextResponse("here")(scope, receive, send)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await only_for([], app)(scope, None, send)
    assert sent[0]["status"] == 200
