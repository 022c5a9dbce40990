"""The how-to about campaigns: its commands, in the order of the page, and its document."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.updates.campaign_document import definition_of

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs/how-to/campaigns.md").read_text(encoding="utf-8")
QUICK = {
    "LWM2M_TRANSMISSION_MAX_RETRANSMIT": "4",
    "LWM2M_UPDATES_POLL": "1",
    "LWM2M_UPDATES_SETTLE": "1",
    "LWM2M_UPDATES_FIRST_RETRY": "0.2",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


class Shell:
    """Runs commands of a page against one server."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.programs: list[subprocess.Popen[bytes]] = []
        self.url = server.http

    def run(self, line: str) -> str:
        words = shlex.split(line, comments=True)[1:]
        if words[-1] == "&":
            if words[0] == "simulate":
                self._simulate(words[1:-1])
            return ""
        code = int(told[1]) if (told := re.search(r"# exit code ([0-9])", line)) else 0
        flags = ["--url", self.url] if words[0] in ("packages", "campaigns") else []
        result = CliRunner().invoke(lwm2m, [*words, *flags])
        assert result.exit_code == code, f"{line}\n{result.output}"
        return result.output

    def _simulate(self, flags: list[str]) -> None:
        host, port = self._server.coap
        command = [sys.executable, "-m", "lwm2m_server.launcher", "simulate", *flags]
        command += ["--coap", f"{host}:{port}", "--install", "0.1", "--reboot", "0.1"]
        program = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.programs.append(program)
        assert program.stderr is not None
        while line := program.stderr.readline():
            if b"all registered" in line:
                return

    def stop_devices(self) -> None:
        while self.programs:
            program = self.programs.pop()
            program.kill()
            program.communicate()

    def until(self, told: str, line: str) -> None:
        for _ in range(300):
            if re.search(told, self.run(line)):
                return
            time.sleep(0.1)
        pytest.fail(f"{line} never told {told}: {self.run(line)}")


@pytest.fixture
def shell(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    made = Shell(serve("--unknown-devices", "create", **QUICK))
    yield made
    made.stop_devices()


def test_its_commands(shell: Shell) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    told: dict[str, str] = {}
    for line in lines:
        if line.startswith("lwm2m campaigns approve"):
            # When their packages have arrived, as the page says.
            wave = r"^1 +2 +no +2 " if "--wave" in line else r"^2 +10 +no +10 "
            shell.until(f"(?m){wave}", "lwm2m campaigns show pumps-2.0")
        if line.startswith("lwm2m campaigns retry"):
            # Those who want to stop it have all the time they need.
            shell.stop_devices()
        told[line] = shell.run(line)
    shown = told["lwm2m campaigns show pumps-2.0"]
    assert re.search(r"(?m)^4 +.+", shown)
    failed = told["lwm2m campaigns devices pumps-2.0 --state failed"].splitlines()[1:]
    assert {line.split()[0] for line in failed} == {"pump010", "pump020", "pump030", "pump040"}
    assert told["lwm2m campaigns abort pumps-2.0"] == "pumps-2.0 is aborting\n"


def test_its_document() -> None:
    (document,) = (json.loads(block) for block in blocks("json"))
    assert definition_of(document).waves[1].completed == 95.0
