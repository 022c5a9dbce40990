"""A server does what its ``/openapi.json`` says, whatever it is asked."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).with_name("schemathesis.toml")
SECONDS = 10


async def test_what_it_answers_is_described(serve, device, tmp_path):
    server = serve("--unknown-devices", "create")
    await device(server, "0")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIG, "run", "--no-color"]
    # What it makes up is the same each time; the long way makes up something else.
    command += ["--seed", "1"]
    command += ["--max-time", str(SECONDS), "--max-examples", "5", "--phases", "coverage,fuzzing"]
    process = await asyncio.create_subprocess_exec(
        *command, f"{server.http}/openapi.json", cwd=tmp_path, stdout=PIPE, stderr=STDOUT
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()[-20_000:]
    assert "Traceback" not in server.errors()
