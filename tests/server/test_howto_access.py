"""The page about access: its commands, one after the other, and its files."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from lwm2m_server.access.grants import load_grants
from lwm2m_server.cli.main import lwm2m

PAGE = (Path(__file__).parents[2] / "docs/how-to/access.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    return [text for kind, text in BLOCK.findall(PAGE) if kind == language]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_commands(serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The folder that ``serve`` gives its first server.
    monkeypatch.setenv("LWM2M_DATA", str(tmp_path / "data0"))
    address = ""
    for block in blocks("sh"):
        if not block.startswith(("lwm2m", "export")):
            script = block.replace("http://127.0.0.1:8080", address)
            done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            continue
        for line in block.splitlines():
            words = shlex.split(line)
            if words[0] == "export":
                monkeypatch.setenv(*words[1].split("="))
            elif words[1] == "serve":
                address = serve().http
                monkeypatch.setenv("LWM2M_URL", address)
            else:
                result = CliRunner().invoke(lwm2m, words[1:])
                assert result.exit_code == 0, f"{line}\n{result.output}"
    assert address


@pytest.mark.parametrize("text", blocks("toml"))
def test_files(text, tmp_path):
    file = tmp_path / "access.toml"
    file.write_text(text)
    assert load_grants(file)
