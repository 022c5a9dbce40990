"""Too much at once, from outside; ``flood.py`` is the command for the whole of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FLOOD = Path(__file__).parent / "flood.py"


@pytest.mark.skipif(sys.platform != "linux", reason="source addresses are set as on Linux")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_flood_of_registrations_keeps_no_device_from_updating(tmp_path):
    command = [sys.executable, FLOOD, "--seconds", "2", "--devices", "20", "--pause", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["sent"] == 100_000
    assert figures["shed_logged"] > 0
    assert figures["updates"] >= 20
    assert figures["lost"] == 0
    assert figures["mb_most"] - figures["mb_before"] < 50
    assert figures["log_bytes"] < 50_000
    assert figures["tracebacks"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="source addresses are set as on Linux")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_devices_behind_the_address_the_flood_comes_from_are_answered_all_the_same(tmp_path):
    command = [sys.executable, FLOOD, "--seconds", "2", "--devices", "20", "--pause", "1", "--nat", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["shed_logged"] > 0
    assert figures["updates"] >= 20
    assert figures["lost"] == 0
    # During the flood, that is, and not by a repetition after its end.
    assert figures["p50_ms"] < 1000
