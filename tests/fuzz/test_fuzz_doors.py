"""The fuzzing of DTLS and bootstrap runs, and finds nothing in a moment; see ``tests/fuzz/doors.py``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).with_name("doors.py")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install .[fuzz]"
)


@pytest.mark.parametrize(("door", "least"), [("compact", 10), ("bootstrap", 100)])
def test_a_moment_of_fuzzing(tmp_path: Path, door: str, least: int) -> None:
    command = [sys.executable, str(COMMAND), "--door", door, "--seconds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.removeprefix(f"{door}: ").partition(" inputs")[0]) > least
    assert list(tmp_path.iterdir()) == []
