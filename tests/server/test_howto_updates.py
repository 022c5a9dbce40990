"""The commands in the how-tos about updates do what the text says, in the order of the page."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.simulator.updating import UpdateOptions

DOCS = Path(__file__).parents[2] / "docs/how-to"
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LOCAL = ("image",)


def commands(page: str) -> list[list[str]]:
    lines = [line for block in SHELL.findall((DOCS / page).read_text()) for line in block.splitlines()]
    found = [shlex.split(line)[1:] for line in lines if line.startswith("lwm2m ")]
    # The device of the page is one of the test.
    return [words for words in found if words[0] != "simulate"]


async def test_the_pages(serve: Any, device: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server = serve("--unknown-devices", "create")
    updating = UpdateOptions(install=0.01, reboot=0.01, software=2)
    simulated = await device(server, "device001", version="1.1", updating=updating)
    for page in ("update-firmware.md", "update-software.md"):
        for words in commands(page):
            at = [] if words[0] in LOCAL else ["--url", server.http]
            result = await asyncio.to_thread(CliRunner().invoke, lwm2m, [*words, *at])
            assert result.exit_code == 0, f"{words}: {result.output}"
    assert simulated.get("/3/0/3").content == "2.0"
    assert "/9/0/6" in [str(path) for path, _ in simulated.executed]
