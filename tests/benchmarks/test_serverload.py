"""``serverload.py`` works: a moment of each kind of load, and nothing goes wrong. No figure is judged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("serverload.py")
MOMENT = ["--seconds=0.2", "--warm-up=0", "--rounds=1", "--clients=10", "--json"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="serverload.py needs Linux")


def run(*cases):
    done = subprocess.run(
        [sys.executable, SCRIPT, *cases, *MOMENT], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert tuple(results) == cases
    for figures in results.values():
        assert figures["done"] > 0
        assert figures["errors"] == 0
        assert 0 < figures["p50_us"] <= figures["p99_us"]
    return results


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc) to build cload.c with")
def test_devices():
    results = run("register-read", "update", "notify")
    assert results["register-read"]["reads"] > 0
    assert results["notify"]["reads"] == 0


def test_applications():
    run("http-create", "http-latest")


def test_an_unknown_case_is_refused():
    done = subprocess.run([sys.executable, SCRIPT, "updaet"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "updaet" in done.stderr
