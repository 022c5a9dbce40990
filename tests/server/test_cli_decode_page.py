"""What docs/how-to/decode-a-payload.md shows is what the commands print."""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/how-to/decode-a-payload.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
LWM2M = 'lwm2m() { "$PYTHON" -m lwm2m_server.launcher "$@"; }\n'


def session(block: str) -> list[tuple[str, str]]:
    """Commands (with the lines of a here-document) and what is shown below each."""
    steps = []
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        end = step.index("END\n", step.index("<<END") + 6) + 4 if "<<END" in step else step.index("\n") + 1
        steps.append((step[:end], step[end:]))
    return steps


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_page_shows_what_is_printed(block: str, tmp_path: Path) -> None:
    steps = session(block)
    assert steps
    for command, shown in steps:
        done = subprocess.run(
            ["sh", "-c", LWM2M + command],
            cwd=tmp_path,
            env=os.environ | {"PYTHON": sys.executable, "XDG_CONFIG_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stdout == shown


CAPTURED = next(block for block in BLOCKS if "--coap --hex -" in block)
"""The messages of the page, and what becomes of them."""
LINE = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("tshark -r"))
SERVER, DEVICE = ("192.0.2.1", 5683), ("192.0.2.7", 40001)
IPV4 = 228
"""Link type of captures that begin with the IP header."""


def capture(messages: list[bytes]) -> bytes:
    """A file as tcpdump writes them; the first message goes to the device."""
    packets = []
    for number, message in enumerate(messages):
        source, target = (SERVER, DEVICE) if number == 0 else (DEVICE, SERVER)
        addresses = socket.inet_aton(source[0]) + socket.inet_aton(target[0])
        udp = struct.pack("!HHHH", source[1], target[1], 8 + len(message), 0) + message
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0) + addresses + udp
        packets.append(struct.pack("<IIII", 1_800_000_000 + number, 0, len(ip), len(ip)) + ip)
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, IPV4) + b"".join(packets)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_the_line_for_a_capture_prints_what_the_page_shows(tmp_path: Path) -> None:
    (first, _), (_, shown) = session(CAPTURED)
    messages = [bytes.fromhex(line) for line in first.splitlines()[1:-1]]
    (tmp_path / "capture.pcap").write_bytes(capture(messages))
    done = subprocess.run(
        ["sh", "-c", LWM2M + LINE],
        cwd=tmp_path,
        env=os.environ | {"PYTHON": sys.executable, "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # The request has no payload, which is said on standard error.
    remark = "line 1: no payload\n"
    assert (remark + done.stdout, done.returncode) == (shown, 0), done.stderr
    assert remark in done.stderr
