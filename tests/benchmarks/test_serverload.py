"""``serverload.py`` works: a moment of each kind of load, and nothing goes wrong. No figure is judged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("serverload.py")
MOMENT = ["--seconds=0.2", "--warm-up=0", "--rounds=1", "--clients=10", "--soak=1", "--json"]
SMALL = ["--many=20", "--containers=10", "--messages=3", "--unanswered=5", "--http-rate=100"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="serverload.py needs Linux")
needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="there is no C compiler (cc) to build cload.c with"
)


def run(*cases):
    done = subprocess.run(
        [sys.executable, SCRIPT, *cases, *MOMENT, *SMALL], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert tuple(results) == cases
    return results


def went_well(results):
    for figures in results.values():
        assert figures["done"] > 0
        assert figures["errors"] == 0
        assert 0 < figures["p50_us"] <= figures["p99_us"]


@needs_compiler
def test_devices():
    results = run("register-read", "update-power-safe", "notify-mapped")
    went_well(results)
    assert results["register-read"]["reads"] > 0
    assert results["notify-mapped"]["reads"] == 0


@needs_compiler
def test_reads():
    went_well(run("read-unanswered", "http-read"))


@needs_compiler
def test_fleets():
    results = run("memory", "restart")
    assert results["memory"]["bytes"] > 0
    assert 0 < results["restart"]["seconds"] < 60


@needs_compiler
def test_soak():
    results = run("soak")
    went_well(results)
    assert results["soak"]["growth"] >= 0


@needs_compiler
def test_stock_aiocoap():
    went_well(run("aiocoap-update", "aiocoap-notify"))


def test_applications():
    went_well(run("http-create", "http-latest"))


def test_an_unknown_case_is_refused():
    done = subprocess.run([sys.executable, SCRIPT, "updaet"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "updaet" in done.stderr
