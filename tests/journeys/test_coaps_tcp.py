"""The whole server over CoAP with TLS: a certificate is all a device has to show."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from lwm2m_engine.coap import Code
from lwm2m_engine.formats import ContentFormat
from lwm2m_server.settings import Address
from lwm2m_server.simulator.scripted_stream import ScriptedStream

pytestmark = pytest.mark.native_stack("what is below CoAP/UDP makes no difference here")


@pytest.fixture
def server(serve: Any, authority: Any) -> Any:
    certificate, key = authority.issue("localhost")
    return serve(
        "--coaps-tcp",
        "127.0.0.1:0",
        LWM2M_DTLS_CERTIFICATE=str(certificate),
        LWM2M_DTLS_CERTIFICATE_KEY_FILE=str(key),
        LWM2M_DTLS_TRUST=str(authority.trust),
    )


def tls(authority: Any, files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.trust))
    context.check_hostname = False
    context.load_cert_chain(*files)
    return context


async def test_a_device_with_a_certificate_is_managed_until_its_credentials_go(
    server: Any, api: Any, authority: Any, eventually: Any
) -> None:
    await api.post("", 14, {"m2m:nod": {"nodeID": "tls1", "resourceName": "tls1"}})
    there = await api.client.put(
        f"{server.http}/api/v1/devices/tls1/credentials/management", json={"mode": "x509", "endpoint": "tls1"}
    )
    assert there.status_code < 300, there.text
    address = tuple(Address.parse(server.addresses["coaps_tcp"]))
    context = tls(authority, authority.issue("tls1"))
    async with await ScriptedStream.open(address, tls=context) as device:
        other = await device.send(Code.POST, "/rd", "ep=other&lt=300&lwm2m=1.1&b=T", 40, b"</1/0>,</3/0>")
        assert other.code == Code.FORBIDDEN
        answer = await device.send(Code.POST, "/rd", "lt=300&lwm2m=1.1&b=T", 40, b"</1/0>,</5/0>")
        assert answer.code == Code.CREATED
        wish = await api.wish("tls1", "GET /5/0/3")
        question = await device.expect(Code.GET, "/5/0/3")
        device.reply(question, Code.CONTENT, ContentFormat.TEXT, b"0")
        assert (await api.answer_to("tls1", wish))["dataValue"] == {"5/0/3": 0}
        gone = await api.client.delete(f"{server.http}/api/v1/devices/tls1/credentials/management")
        assert gone.status_code < 300, gone.text
        await device.closed()

        async def is_unregistered() -> bool:
            return (await api.get("/api/v1/devices/tls1")).json()["registered"] is False

        await eventually(is_unregistered)
