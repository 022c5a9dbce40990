"""The commands in the how-tos about devices do what the text says, in the order of the page."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs/how-to"
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"# exit code ([0-9])(?: or ([0-9]))?")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The demo that the pages tell to start; its sleeper sleeps for 2 seconds."""
    program = "import lwm2m_server.cli.demo as cli; cli.SLEEP = 2.0; cli.demo()"
    command = [sys.executable, "-c", program, "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path_factory.mktemp("demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    address = json.loads(process.stdout.readline())["http"]
    while "Try, in a second terminal" not in process.stderr.readline():
        pass
    yield address
    process.terminate()
    process.communicate(timeout=20)


PAGES = ("queue-mode.md", "observations.md", "desired-state.md", "rpc.md", "telemetry.md")


@pytest.mark.parametrize("page", PAGES)
def test_commands(page: str, url: str) -> None:
    lines = [line for block in SHELL.findall((DOCS / page).read_text()) for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("lwm2m ")]
    assert commands
    for line in commands:
        told = EXIT.search(line)
        codes = {int(code) for code in told.groups() if code} if told else {0}
        words = shlex.split(line, comments=True)[1:]
        waits = {words[0]: {"wait": 30}}
        result = CliRunner().invoke(lwm2m, [*words, "--url", url], default_map=waits)
        assert result.exit_code in codes, f"{line}\n{result.output}"
