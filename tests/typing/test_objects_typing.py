"""The typing sample means to mypy what it says. It is not imported, only checked."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

HERE = Path(__file__).parent


def check(tmp_path_factory, *files):
    """Workers of one test run share the cache."""
    cache = tmp_path_factory.getbasetemp().parent / "mypy"
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parents[1])
    return done.returncode, done.stdout.splitlines()


def test_the_sample_is_typed_as_it_says(tmp_path_factory):
    code, lines = check(tmp_path_factory, HERE / "objects_sample.py")
    assert code == 0, "\n".join(lines)


def test_each_mistake_of_the_sample_is_one(tmp_path_factory, tmp_path):
    source = (HERE / "objects_sample.py").read_text(encoding="utf-8")
    sample = tmp_path / "mistakes.py"
    sample.write_text(source.replace("# type: ignore", "# was: ignore"), encoding="utf-8")
    code, lines = check(tmp_path_factory, sample)
    assert code == 1
    marked = {number for number, line in enumerate(source.splitlines(), 1) if "# type: ignore" in line}
    assert {int(line.split(":")[1]) for line in lines if ": error:" in line} == marked
