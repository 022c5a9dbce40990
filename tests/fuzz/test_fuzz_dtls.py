"""The fuzzing of DTLS sessions runs, and finds nothing in a moment; see ``tests/fuzz/dtls.py``."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).with_name("dtls.py")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install .[fuzz]"
)


def test_a_moment_of_fuzzing(tmp_path: Path) -> None:
    command = [sys.executable, str(COMMAND), "--engine", "compact", "--seconds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.removeprefix("compact: ").partition(" inputs")[0]) > 10
    assert list(tmp_path.iterdir()) == []
