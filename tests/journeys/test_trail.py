"""One id through the log: from the HTTP request to the message, the CoAP exchange and the webhook."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

OUTGOING = "device-communication/device001/outgoing-msg"


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Sink)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_request_is_followed_to_the_webhook(serve, connect, device, sink, eventually):
    server = serve(
        "--unknown-devices",
        "create",
        LWM2M_LOG_FORMAT="json",
        LWM2M_LOG_LEVEL="debug",
        LWM2M_DELIVERIES_ALLOW="127.0.0.1",
    )
    api = connect(server)
    await device(server)
    subscription = {"m2m:sub": {"rn": "to-sink", "enc": {"net": [3]}, "nu": [sink], "nct": 1}}
    made = await api.post("device-communication/device001/received-msg", 23, subscription)
    assert made.status_code == 201, made.text
    wish = {"m2m:cin": {"con": "GET /3/0/9"}}
    answer = await api.post(OUTGOING, 4, wish, headers={"X-M2M-RI": "order-4711"})
    assert answer.status_code == 201
    message = answer.json()["contentInstance"]["resourceID"]

    def lines(**wanted: Any) -> list[dict[str, Any]]:
        found = (json.loads(line) for line in server.errors().splitlines() if line.startswith("{"))
        return [line for line in found if wanted.items() <= line.items()]

    async def delivered() -> bool:
        return bool(lines(event="delivered", message=message))

    await eventually(delivered, 20)
    (request,) = lines(event="request", request="order-4711")
    assert (request["method"], request["status"], request["resource"]) == ("POST", 201, message)
    told = [line["event"] for line in lines(message=message)]
    for one in ("Queued", "Started", "exchange begun", "Sent", "Received", "delivered"):
        assert one in told, told
    (begun,) = lines(event="exchange begun", message=message)
    assert begun["endpoint"] == "device001"
    (ended,) = lines(event="exchange ended", exchange=begun["exchange"])
    assert ended["code"] == "2.05"
    (delivery,) = lines(event="delivered", message=message)
    assert delivery["target"] == sink
    place = f"/device-management-orchestrator/v3/~/main/{delivery['resource']}"
    assert (await api.get(place)).status_code == 200
