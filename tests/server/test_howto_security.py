"""The pages on security modes, command by command, as they are written; only ports are others."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed"),
]

DOCS = Path(__file__).parents[2] / "docs/how-to"
BLOCK = re.compile(r"^```(sh|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COAPS = "127.0.0.1:5684"
CLIENTS = re.compile(r"\blwm2m (devices|credentials|read)\b([^\n&]*)")


class Terminal:
    """Where a reader types; a server, once started, runs in another."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.server, self._coaps, self._http = folder, None, "", ""
        programs = folder / "bin"
        programs.mkdir()
        program = programs / "lwm2m"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m lwm2m_server.launcher "$@"\n')
        program.chmod(0o755)
        self._environ = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def write(self, text: str) -> None:
        (self.folder / "lwm2m.toml").write_text(text.replace(COAPS, "127.0.0.1:0"))

    def run(self, script: str) -> None:
        if script.startswith("lwm2m serve"):
            self._serve(script)
            return
        script = CLIENTS.sub(rf"lwm2m \1\2 --url {self._http}", script).replace(COAPS, self._coaps)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-mc", script],
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}\n{self.log}"

    def _serve(self, script: str) -> None:
        ports = "--coap 127.0.0.1:0 --http 127.0.0.1:0"
        with (self.folder / "log").open("w") as log:
            self.server = subprocess.Popen(
                ["bash", "-c", f"exec {script.strip().replace(COAPS, '127.0.0.1:0')} {ports}"],
                cwd=self.folder,
                env=self._environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        addresses = json.loads(self.server.stdout.readline())
        self._coaps, self._http = addresses["coaps"], addresses["http"]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    yield opened
    if opened.server is not None:
        opened.server.send_signal(signal.SIGTERM)
        opened.server.communicate(timeout=20)


RAW_KEYS = pytest.param(
    "connect-with-a-raw-public-key.md",
    marks=pytest.mark.skipif(shutil.which("gnutls-cli") is None, reason="gnutls-cli is not installed"),
)


@pytest.mark.parametrize(
    "page", ["connect-with-a-pre-shared-key.md", "connect-with-a-certificate.md", RAW_KEYS]
)
def test_commands(page: str, terminal: Terminal) -> None:
    blocks = BLOCK.findall((DOCS / page).read_text())
    assert len(blocks) >= 4
    for kind, text in blocks:
        (terminal.write if kind == "toml" else terminal.run)(text)
