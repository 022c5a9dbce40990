"""``/metrics`` of a server with a device."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")


def _samples(text: str) -> dict[tuple[str, str], float]:
    """By name and value of the only label."""
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_figures_of_a_server(server, api, device, eventually):
    async with httpx.AsyncClient(base_url=server.http) as client:

        async def figures():
            answer = await client.get("/metrics")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/plain")
            return answer.text

        before = _samples(await figures())
        node = {"m2m:nod": {"rn": "a-device", "ni": "urn:dev:a-device"}}
        assert (await api.post("", 14, node)).status_code == 201
        assert (await client.get("/api/v1/devices/nobody")).status_code == 404
        await api.wish("a-device", "GET /3")
        await device(server, "a-device")

        async def registered():
            now = _samples(await figures())
            return now["lwm2m_registrations", ""] == 1 and now["lwm2m_loop_lag_seconds_count", ""] > 0

        await eventually(registered)
        text = await figures()
        after = _samples(text)
    assert (
        after["lwm2m_http_requests_total", "201"] == before.get(("lwm2m_http_requests_total", "201"), 0) + 2
    )
    assert after["lwm2m_http_requests_total", "404"] == 1
    assert after["lwm2m_http_requests_open", ""] == 1
    assert after["lwm2m_events_total", "Registered"] == 1
    assert after["lwm2m_ledger_operations_total", ""] > before["lwm2m_ledger_operations_total", ""]
    assert after["lwm2m_ledger_commit_seconds_count", ""] > before["lwm2m_ledger_commit_seconds_count", ""]
    assert after["lwm2m_ledger_bytes", "ledger"] > 0
    # What grows with the fleet has no place here.
    assert "a-device" not in text
    page = (Path(__file__).parents[2] / "docs/how-to/observability.md").read_text(encoding="utf-8")
    counts = (Path(__file__).parents[2] / "docs/reference/counts.md").read_text(encoding="utf-8")
    for family in text_string_to_metric_families(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert (
            not name.startswith("lwm2m_")
            or f"`{name}`" in page
            or f"`{name.removeprefix('lwm2m_')}`" in counts
        ), name
