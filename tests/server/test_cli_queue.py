"""``lwm2m queue``: how what waits is shown. What it does to a server is in ``test_cli_operations``."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.client import Client
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.cli.queue import message_text


def test_how_far_a_long_request_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def message(number: str, in_flight: bool) -> dict[str, object]:
        return {"id": number, "content": "GET /3", "createdAt": 0, "expiresAt": 1000, "inFlight": in_flight}

    device = {
        "messages": [message("a", True), message("b", False)],
        "transferred": {"bytes": 2048, "of": 10000},
    }
    monkeypatch.setattr(Client, "device", lambda self, name: device)
    first, second = CliRunner().invoke(lwm2m, ["queue", "dev"]).stdout.splitlines()[1:]
    assert first.endswith("under way, 2048 of 10000 bytes")
    assert "under way" not in second
    device["transferred"] = None
    assert CliRunner().invoke(lwm2m, ["queue", "dev"]).stdout.splitlines()[1].endswith("under way")


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("PUT /3/0/14 +02:00\n", "PUT /3/0/14 +02:00"),
        ("PUT /3/0\n\n{}", "PUT /3/0 {}"),
        ('{"method": "PUT", "path": "/3/0/14", "value": "+02:00"}', "PUT /3/0/14 +02:00"),
        ('{"method": "PUT", "path": "/3/0/9", "value": 0}', "PUT /3/0/9 0"),
        ('{"method": "IPATCH", "path": "/", "value": {"/3/0/14": "x"}}', 'IPATCH / {"/3/0/14": "x"}'),
        ('{"method": "GET", "path": "/3"}', "GET /3"),
        ("3", "3"),
    ],
)
def test_a_message_in_a_line(content: str, shown: str) -> None:
    assert message_text(content) == shown
