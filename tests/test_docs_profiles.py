"""The how-to about device profiles is true: its documents are profiles, and its commands do what they say."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m

PAGE = Path(__file__).parents[1] / "docs/how-to/device-profiles.md"
BLOCK = re.compile(r"(?:`(\w+\.json)`[^`]*)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OTHERS = ("serve", "simulate")
"""Commands that go on until they are stopped."""


async def test_the_commands_of_the_how_to(server, device, tmp_path, monkeypatch):
    await device(server, "meter-001")
    monkeypatch.chdir(tmp_path)
    told = followed(server)
    assert "meter-001" in told["lwm2m profiles devices meters"]
    assert "meters replaced" in told["lwm2m profiles edit meters meters.json"]
    assert "coap://127.0.0.1:5683" in told["lwm2m profiles bootstrap plant"]


def followed(server):
    """What each command of the page printed."""
    told = {}
    for name, language, content in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "json":
            Path(name).write_text(content)
        for line in content.splitlines() if language == "sh" else ():
            words = shlex.split(line)[1:]
            if words[0] not in OTHERS:
                told[line] = ran(words, server.http)
    assert json.loads(Path("exported.json").read_text())["name"] == "meters"
    return told


def ran(words, url):
    result = CliRunner().invoke(lwm2m, [*words, "--url", url])
    assert result.exit_code == 0, f"{words}\n{result.output}"
    return result.output
