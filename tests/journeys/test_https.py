"""A server that other machines may reach: only with clients, and with TLS or a proxy that has it."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m
from lwm2m_server.http.tls import Certificate

pytestmark = pytest.mark.native_stack("applications only: nothing here depends on the CoAP stack")

LAUNCH = [sys.executable, "-m", "lwm2m_server.launcher", "serve", "--coap", "127.0.0.1:0"]


def refusal(data: Path, *flags: str) -> str:
    """What ``serve`` says instead of serving."""
    command = [*LAUNCH, "--data", data, "--http", "0.0.0.0:0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    return done.stderr


async def test_https_beyond_this_machine(
    serve: Any, authority: Any, tmp_path: Path, monkeypatch: Any, eventually: Any
) -> None:
    data = tmp_path / "data0"
    assert "no API clients are configured" in refusal(data)
    saved = tmp_path / "root.json"
    add = ["clients", "add", "root", "--role", "system", "--data", str(data), "--save", str(saved)]
    # It has an event loop of its own.
    added = await asyncio.to_thread(CliRunner().invoke, lwm2m, add)
    assert added.exit_code == 0, added.output

    chain, key = authority.issue("localhost")
    server = serve("--http-cert", str(chain), "--http-key", str(key))
    assert server.http.startswith("https://127.0.0.1:")
    port = int(server.http.rpartition(":")[2])
    trusted = ssl.create_default_context(cafile=authority.trust)
    async with httpx.AsyncClient(verify=trusted, http2=True) as client:
        answer = await client.get(f"https://localhost:{port}/healthz")
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")

    # Commands trust what the system trusts.
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.trust))
    url = ["--url", f"https://localhost:{port}", "--token-file", str(saved)]
    listed = await asyncio.to_thread(CliRunner().invoke, lwm2m, ["clients", "list", "--json", *url])
    assert [one["id"] for one in json.loads(listed.output)] == ["root"]

    # Certbot and others write new files in place of the old ones.
    newer = authority.issue("localhost", days=90, file="newer")
    shutil.copyfile(newer[1], key)
    shutil.copyfile(newer[0], chain)
    certificate = Certificate.load(chain, key)

    async def renewed() -> bool:
        try:
            return await certificate.is_shown("127.0.0.1", port)
        except OSError:
            return False

    await eventually(renewed, 30)
