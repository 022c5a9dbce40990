"""The order of the tutorial, from a token to a message that an application got, with authentication on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

PREFIX = "/device-management-orchestrator/v3/main"
KEY = "dGVzdDEyMw=="


class Webhook:
    """An application's own server, which keeps what it is sent."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], Any]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Webhook:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook?secret=1"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Connections that are kept alive end too."""
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.received.append((headers, json.loads(body)))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def contents(self) -> list[Any]:
        told = [body["m2m:sgn"]["nev"]["rep"] for _, body in self.received if "nev" in body["m2m:sgn"]]
        return [rep["m2m:cin"]["con"] for rep in told if "m2m:cin" in rep]


class Customer:
    """With a token, as one application."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http, self._token = http, token

    async def call(
        self, method: str, path: str, body: Any = None, ty: int | None = None, **headers: str
    ) -> Any:
        media_type = "application/json" if ty is None else f"application/json;ty={ty}"
        answer = await self._http.request(
            method,
            f"{PREFIX}{path}",
            json=body,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Content-Type": media_type,
                "Accept": "application/json",
                "X-M2M-Origin": "CTestApp",
                "X-M2M-RI": "123",
                "fullName": "false",
                **headers,
            },
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


@pytest.fixture
async def customer(serve: Any) -> Any:
    """1 and 2: a program is registered, and asks for a token."""
    server = serve(LWM2M_DELIVERIES_ALLOW="127.0.0.1")
    async with httpx.AsyncClient(base_url=server.http, timeout=20) as http:
        boss = (
            await http.post("/api/v1/clients", json={"id": "boss", "role": "admin", "tenant": "main"})
        ).json()
        token = await ask_for_token(http, "boss", boss["secret"])
        draft = {"id": "customer", "role": "operate", "tenant": "main"}
        headers = {"Authorization": f"Bearer {token}"}
        added = (await http.post("/api/v1/clients", json=draft, headers=headers)).json()
        refused = await http.get(f"{PREFIX}", headers={"X-M2M-Origin": "CTestApp"})
        assert refused.status_code == 401
        found = Customer(http, await ask_for_token(http, "customer", added["secret"]))
        found.server = server
        yield found


async def ask_for_token(http: httpx.AsyncClient, id: str, secret: str) -> str:
    answer = await http.post("/auth/token", data={"grant_type": "client_credentials"}, auth=(id, secret))
    assert (answer.status_code, answer.json()["expires_in"]) == (200, 300)
    return answer.json()["access_token"]


async def test_the_order_of_the_tutorial(customer: Any, device: Any, eventually: Any) -> None:
    call = customer.call
    # 3. The program becomes an AE; its AE-ID is the origin of all that follows.
    made = await call("POST", "", {"m2m:ae": {"api": "NTestApp", "rn": "TestApp"}}, 2)
    assert made["m2m:ae"]["aei"] == "CTestApp"

    # 4 and 5. A device is prepared, and onboarding is asked for.
    item = {
        "ni": "urn:gsma:imei:351934546788001",
        "noRNe": "device001",
        "ICCID": "89882280000004492060",
        "profe": "SCS-LwM2M",
        "lbl": ["d2c:1.0"],
        "ndvi": {"rn": "device-info", "mgd": 1007, "man": "ACME", "dty": "meter", "mod": "M5", "dlb": ""},
    }
    request = {"dtiot:noPRt": {"cnd": "com.telekom.iot.orchestrator.nodeProvisioningRequest", "opern": 1}}
    request["dtiot:noPRt"]["reqLt"] = [item]
    posted = await call("POST", "/device-provisioning/request", request, 28)

    # 6. How it went.
    async def answered() -> Any:
        found = await call("GET", f"/device-provisioning/response?rcn=4&reqRD={posted['dtiot:noPRt']['ri']}")
        return found["m2m:cnt"].get("flexContainer")

    (response,) = await eventually(answered)
    assert (response["resSs"], response["inEMs"]) == (1, [])

    # 7 and 8. The data of the device, and properties of it.
    await call("DELETE", "/device001/device-info")
    info = {"rn": "device-info", "mgd": 1007, "man": "ACME", "dty": "meter", "mod": "M6", "dlb": "cellar"}
    await call("POST", "/device001", {"m2m:dvi": info}, 13)
    labels = [*(await call("GET", "/device001"))["m2m:nod"]["lbl"], "d2c-uplink-property_room:2035"]
    changed = await call("PUT", "/device001?rcn=1", {"m2m:nod": {"lbl": labels}})
    assert changed["m2m:nod"]["lbl"] == labels

    # 9. A command, which waits for the device.
    message = {"m2m:cin": {"con": "GET /3\n"}}
    sent = await call("POST", "/device-communication/device001/outgoing-msg", message, 4)
    await device(customer.server, "device001")

    async def moved() -> Any:
        found = await call("GET", "/device-communication/device001/sent-msg?rcn=4")
        return [one for one in found["m2m:cnt"].get("m2m:cin", ()) if one["con"] == "GET /3\n"]

    await eventually(moved)

    # 10. What the device says.
    async def received() -> Any:
        found = await call("GET", "/device-communication/device001/received-msg?rcn=4")
        contents = [one["con"] for one in found["m2m:cnt"].get("m2m:cin", ())]
        return [one for one in contents if one.get("requestID") == sent["m2m:cin"]["ri"]]

    (answer,) = await eventually(received)
    assert (answer["resourcePath"], answer["dataValue"]["3/0/0"]) == ("3", "My Demo Device")

    async with Webhook() as webhook:
        # 11. An application with a webhook is integrated, 12. and a device group routes to it.
        hook = {
            "api": "NHook",
            "rn": "Hook",
            "lbl": ["type:d2c", "d2c:1.0", "EndpointType:WebHook"],
            "poa": [webhook.url],
            "poah": ["x-key:abc"],
        }
        await call("POST", "", {"m2m:ae": hook}, 2, **{"X-M2M-Origin": "CHook"})
        group = {"cnd": "com.telekom.iot.orchestrator.deviceGroup", "rn": "meters"}
        group |= {"nds": ["device001"], "aes": ["Hook"]}
        await call("POST", "/device-group", {"dtiot:devGr": group}, 28)
        asked = await call(
            "POST", "/device-communication/device001/outgoing-msg", {"m2m:cin": {"con": "GET /3/0/9"}}, 4
        )

        async def forwarded() -> Any:
            return [one for one in webhook.contents() if one.get("requestID") == asked["m2m:cin"]["ri"]]

        (content,) = await eventually(forwarded)
        assert content["dataValue"] == {"3/0/9": 72}
        assert all(headers["x-key"] == "abc" for headers, _ in webhook.received)

        # Who leaves the group hears no more.
        await call("PUT", "/device-group/meters", {"dtiot:devGr": {"nds": []}})
        heard = len(webhook.contents())
        await call("POST", "/device-communication/device001/received-msg", {"m2m:cin": {"con": "x"}}, 4)
        latest = await call("GET", "/device-communication/device001/received-msg/la")
        assert latest["m2m:cin"]["con"] == "x"
        assert len(webhook.contents()) == heard
