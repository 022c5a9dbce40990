"""A firmware campaign over 200 devices, a fifth of whose datagrams get lost, with a server that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.native_stack("its server is its own")

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "campaignload.py"


@pytest.mark.slow
def test_every_device_ends_as_it_truly_is(tmp_path: Path) -> None:
    flags = ["--devices", "200", "--size", "16384", "--loss", "0.2", "--at-once", "150", "--kill-at", "0.25"]
    done = subprocess.run([sys.executable, SCRIPT, *flags], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert (found["state"], found["devices"], found["kills"]) == ("finished", 200, 1)
    assert found["most"] <= 150
    ends = {state: count for state, count in found["counts"].items() if count}
    # Eight report success and run what they ran, eight fail for good, two never come back; now and then
    # one has no luck with the network, all its attempts long: more of them where the machine is busy.
    assert ends.keys() == {"succeeded", "failed"}
    assert 18 <= ends["failed"] <= 40, found["failures"]
    assert found["restarts"] >= 200
