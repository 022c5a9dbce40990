"""The page "from zero to a forwarded message": its commands, one after the other."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs/how-to/forward-messages.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
END = "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
@pytest.mark.native_stack("nothing of it is about CoAP")
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_commands(serve, tmp_path):
    command = tmp_path / "bin" / "lwm2m"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m lwm2m_server.launcher "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"

    def run(script, **environment):
        done = subprocess.run(
            ["bash", "-euc", END + script],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    clients, start = BLOCKS[0].splitlines()
    # The folder that ``serve`` gives its first server.
    run(clients, LWM2M_DATA=str(tmp_path / "data0"))
    name, value = start.split()[0].split("=")
    assert start.split()[1:] == ["lwm2m", "serve"]
    server = serve(**{name: value})
    script = "\n".join(BLOCKS[1:]).replace("http://127.0.0.1:8080", server.http)
    script = script.replace("8090", str(free_port()))
    script = script.replace("lwm2m simulate", f"lwm2m simulate --coap 127.0.0.1:{server.coap[1]}")
    shown = run(script, LWM2M_URL=server.http)
    assert "2 of 2 devices let in" in shown
    assert '"resSs":1' in shown
    assert (tmp_path / "received.txt").read_text().count('"3/0/9":72') >= 1
