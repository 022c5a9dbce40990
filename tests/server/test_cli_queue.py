"""``lwm2m queue``: how what waits is shown. What it does to a server is in ``test_cli_operations``."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.client import Client
from lwm2m_server.cli.main import lwm2m
from lwm2m_server.cli.queue import message_text


def test_how_far_a_long_request_is_and_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    def message(state: str, by: dict[str, str], way: object = None) -> dict[str, object]:
        facts = {"id": "a", "content": "GET /3", "since": 0, "until": 1000}
        return {**facts, "state": state, "by": by, "transferred": way}

    way = {"bytes": 2048, "of": 10000}
    waiting = [
        message("in flight", {"kind": "rpc", "id": "x", "method": "Read"}, way),
        message("acknowledged", {"kind": "platform"}),
        message("waiting", {"kind": "application", "origin": "CMyApp"}),
    ]
    monkeypatch.setattr(Client, "get", lambda self, path: {"queue": waiting})
    lines = CliRunner().invoke(lwm2m, ["queue", "dev"]).stdout.splitlines()[1:]
    assert lines[0].endswith("rpc Read  under way, 2048 of 10000 bytes")
    assert lines[1].endswith("platform  acknowledged")
    assert lines[2].endswith("CMyApp")


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
