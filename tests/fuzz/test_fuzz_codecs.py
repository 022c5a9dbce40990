"""The fuzzing command runs, and finds nothing in a moment; a real run is ``python tests/fuzz/codecs.py``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).with_name("codecs.py")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install .[fuzz]"
)


def test_a_moment_of_fuzzing(tmp_path: Path) -> None:
    command = [sys.executable, str(COMMAND), "--codec", "lwm2m-cbor", "--seconds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    executed = int(done.stdout.removeprefix("lwm2m-cbor: ").partition(" inputs")[0])
    assert executed > 1000
    assert list(tmp_path.iterdir()) == []


def test_a_finding_is_shown(tmp_path: Path) -> None:
    """The replay of a payload: a good one is silent, and an unknown codec is no success."""
    (tmp_path / "payload").write_bytes(b"\x00\xc1\x09\x64")
    replay = [sys.executable, str(COMMAND), "--replay", str(tmp_path / "payload"), "--codec"]
    assert subprocess.run([*replay, "tlv"], capture_output=True, timeout=60, check=False).returncode == 0
    done = subprocess.run([*replay, "nonsense"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "unknown content format" in done.stderr
