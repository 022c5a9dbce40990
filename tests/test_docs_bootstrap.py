"""The pages about bootstrap are true: the recorded exchange, and the commands of the how-to."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_recorded_exchange_is_what_is_said(tmp_path):
    subprocess.run([sys.executable, str(DOCS / "exchanges.py"), str(tmp_path)], check=True, timeout=60)
    for page in tmp_path.iterdir():
        assert page.read_text() == (DOCS / "explanation" / page.name).read_text(), (
            "run: python docs/exchanges.py"
        )


@pytest.mark.slow
def test_the_commands_of_the_how_to(serve, tmp_path, monkeypatch):
    server = serve("--unknown-devices", "create", LWM2M_BOOTSTRAP_COAP="127.0.0.1:0")
    addresses = {
        "127.0.0.1:5683": server.addresses["coap"],
        "127.0.0.1:5687": server.addresses["bootstrap_coap"],
    }
    text = (DOCS / "how-to/bootstrap.md").read_text()
    for written, bound in addresses.items():
        text = text.replace(written, bound)
    blocks = BLOCK.findall(text)
    monkeypatch.chdir(tmp_path)
    meters, secure = (content for language, content in blocks if language == "json")
    Path("meters.json").write_text(meters)
    Path("secure.json").write_text(secure)
    fleet = None
    try:
        for line in [
            line for language, content in blocks if language == "sh" for line in content.splitlines()
        ]:
            if line.endswith("&"):
                fleet = in_background(line)
                continue
            ran(shlex.split(line)[1:], server.http)
    finally:
        if fleet is not None:
            fleet.terminate()
            fleet.communicate(timeout=20)
    ran(["bootstrap", "put", "secure", "secure.json", "--for", "meter-007"], server.http)


def ran(words, url):
    result = CliRunner().invoke(lwm2m, [*words, "--url", url])
    assert result.exit_code == 0, f"{words}\n{result.output}"


def in_background(line):
    """Until all of them are registered."""
    words = shlex.split(line.removesuffix("&"))[1:]
    command = [sys.executable, "-m", "lwm2m_server.launcher", *words]
    fleet = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for told in fleet.stderr:
        if "all registered" in told:
            return fleet
    raise AssertionError("the devices ended")
