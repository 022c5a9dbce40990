"""Loading the bundled registry, and asking it. Run with ``pytest tests/benchmarks --benchmark-only``."""

import subprocess
import sys
from statistics import median

import pytest

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import Sources, bundled_directory
from lwm2m_engine.paths import Path

COLD = {
    "the package": "import lwm2m_engine",
    "attrs, for comparison": "import attrs",
    "a typed object": "from lwm2m_engine.objects import Device; Device(battery_level=42)",
    "the registry": "from lwm2m_engine import Catalog; assert Catalog.bundled()[3][9].units == '/100'",
}


@pytest.mark.parametrize("work", COLD)
def test_cold(benchmark, work):
    """In a new process, without the start of Python. ``cpu_ms`` in ``extra_info``: least and median."""
    program = (
        f"import time; started = time.process_time(); {COLD[work]}; print(time.process_time() - started)"
    )
    seconds = []

    def start():
        seconds.append(float(subprocess.check_output([sys.executable, "-c", program])))

    benchmark.pedantic(start, rounds=9, warmup_rounds=1)
    benchmark.extra_info["cpu_ms"] = [round(each * 1000, 1) for each in (min(seconds), median(seconds))]


def test_load(benchmark):
    catalog = benchmark.pedantic(Catalog.bundled, rounds=10, warmup_rounds=1)
    assert len(catalog) == 327


def test_reload_without_a_change(benchmark):
    sources = Sources([bundled_directory()])
    sources.read()
    assert len(benchmark(Catalog.of, sources)) == 327


def test_look_for_changes(benchmark):
    sources = Sources([bundled_directory()])
    sources.read()
    assert benchmark(sources.changed) is False


def test_type_of_a_path(benchmark):
    view = Catalog.bundled().view("1.0", {3: "1.0"})
    path = Path("/3/0/9")
    assert benchmark(view.types, path).value == "Integer"


def test_view_of_a_registration(benchmark):
    catalog = Catalog.bundled()
    announced = {0: "1.1", 1: "1.1", 3: "1.1", 4: "1.2", 5: "1.0", 3303: "1.1"}
    assert benchmark(catalog.view, "1.1", announced).version(3303) == "1.1"
