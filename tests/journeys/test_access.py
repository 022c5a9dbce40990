"""Every path of a server is behind the door: without a token, with too small a role, from another tenant."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

HEADERS = {"X-M2M-Origin": "CAdmin", "X-M2M-RI": "1"}
NAMES = {"name": "device001", "side": "management", "id": "boss", "endpoint": "device001", "tenant": "main"}
NOBODYS = {
    "/api/v1/tenants",
    "/api/v1/clients",
    "/api/v1/audit",
    "/api/v1/signing-key",
    "/api/v1/profiles/schema",
    "/api/v1/profiles/defaults",
}
"""Paths where the argument ``tenant`` means something else, or nothing."""
OF_ALL = ("/api/v1/models", "/api/v1/plugins", "/api/v1/problems")
"""What tenants have, and the system, too."""
LOOKING = ("get", "head", "options")


class Callers:
    """Clients of a server, each with a token."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.tokens: dict[str | None, dict[str, str]] = {None: {}}

    async def add(self, id: str, role: str, tenant: str | None, by: str | None) -> None:
        draft = {"id": id, "role": role, "tenant": tenant}
        added = await self.client.post("/api/v1/clients", json=draft, headers=self.tokens[by])
        form, secret = {"grant_type": "client_credentials"}, added.json()["secret"]
        granted = (await self.client.post("/auth/token", data=form, auth=(id, secret))).json()
        self.tokens[id] = {"Authorization": f"Bearer {granted['access_token']}"}

    async def call(self, who: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**HEADERS, **self.tokens[who], **more.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **more)


@pytest.fixture
async def callers(serve: Any) -> Any:
    server = serve()
    async with httpx.AsyncClient(base_url=server.http, timeout=20) as client:
        callers = Callers(client)
        await callers.add("root", "system", None, None)
        await callers.call("root", "post", "/api/v1/tenants", json={"name": "other"})
        await callers.add("boss", "admin", "main", "root")
        await callers.add("eye", "read", "main", "root")
        await callers.add("stranger", "admin", "other", "root")
        node = {"m2m:nod": {"rn": "device001", "ni": "urn:dev:1"}}
        base = "/device-management-orchestrator/v3/main"
        media_type = {"Content-Type": "application/json;ty=14"}
        added = await callers.call("boss", "post", base, json=node, headers=media_type)
        assert added.status_code == 201, added.text
        yield callers


async def test_every_path_there_is_and_some_there_are_not(callers: Callers) -> None:
    await every_path(callers)
    await tricks(callers)


async def every_path(callers: Callers) -> None:
    """As the server describes them."""
    described = (await callers.client.get("/openapi.json")).json()["paths"]
    api = 0
    for pattern, methods in described.items():
        path = re.sub(r"\{(\w+)\}", lambda found: NAMES.get(found[1], "device001"), pattern)
        for method, operation in methods.items():
            if operation.get("security") == []:
                continue
            api += pattern.startswith("/api/")
            place = (method, pattern)
            body: dict[str, Any] = {} if method in (*LOOKING, "delete") else {"json": {}}
            if method == "post" and not pattern.startswith("/api/"):
                body["headers"] = {"Content-Type": "application/json;ty=14"}
            anonymous = await callers.call(None, method, path, **body)
            if path != "/metrics":
                assert anonymous.status_code == 401, place
            if method not in LOOKING:
                assert (await callers.call("eye", method, path, **body)).status_code == 403, place
            if pattern.startswith("/api/") and not any(pattern.startswith(one) for one in NOBODYS):
                found = await callers.call("stranger", method, path, params={"tenant": "main"}, **body)
                assert found.status_code in (400, 403, 404), (place, found.text)
                if not pattern.startswith(OF_ALL):
                    assert (await callers.call("root", method, path, **body)).status_code == 403, place
    assert api > 30
    from_elsewhere = {"X-Forwarded-For": "192.0.2.1"}
    for who, status in ((None, 401), ("boss", 403), ("root", 200)):
        figures = await callers.call(who, "get", "/metrics", headers=from_elsewhere)
        assert figures.status_code == status
    still = await callers.call("boss", "get", "/api/v1/devices")
    assert [one["name"] for one in still.json()["devices"]] == ["device001"]


async def tricks(callers: Callers) -> None:
    """Over a bare socket: paths as no library sends them."""
    parts = urlsplit(str(callers.client.base_url))
    bearer = callers.tokens["stranger"]["Authorization"]
    prefix = "/device-management-orchestrator/v3"
    targets = [
        f"{prefix}/other/../main/device001",
        f"{prefix}/other/%2e%2e/main/device001",
        f"{prefix}/other/..%2fmain/device001",
        f"{prefix}/other%2f..%2fmain%2fdevice001",
        f"{prefix}/%2e/main/device001",
        f"{prefix}//main/device001",
        f"{prefix}/main%2fdevice001",
        f"{prefix}/main%00/device001",
        f"{prefix}/%6dain/device001",
        f"/healthz/..{prefix}/main/device001",
        f"/auth/token/..%2f..{prefix}/main/device001",
        f"{prefix}/~/other/../main/device001",
        "/api/v1/devices/device001?tenant=other&tenant=main",
        "/api/v1/devices/..%2fdevices%2fdevice001?tenant=main",
        "/api/v1/../v1/devices/device001?tenant=main",
        "/api//v1/devices/device001?tenant=main",
        f"http://elsewhere{prefix}/main/device001",
        "*",
        f"{prefix}/main/\xff\xfe",
    ]
    for target in targets:
        for header in (f"Authorization: {bearer}\r\n", ""):
            with socket.create_connection((parts.hostname, parts.port), 10) as connection:
                head = f"GET {target} HTTP/1.1\r\nHost: x\r\nX-M2M-Origin: CAdmin\r\n{header}"
                connection.sendall(f"{head}Connection: close\r\n\r\n".encode("latin-1"))
                answer = b""
                while chunk := connection.recv(65536):
                    answer += chunk
            assert b" 200 " not in answer.split(b"\r\n")[0], (target, answer)
            assert b"urn:dev:1" not in answer, target
