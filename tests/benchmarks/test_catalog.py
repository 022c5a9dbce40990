"""Loading the bundled registry, and asking it. Run with ``pytest tests/benchmarks --benchmark-only``."""

import subprocess
import sys

from lwm2m_engine.model.catalog import Catalog
from lwm2m_engine.model.sources import Sources, bundled_directory
from lwm2m_engine.paths import Path


def test_cold_load(benchmark):
    """A new process: imports, the whole registry, one object."""
    program = "from lwm2m_engine.model.catalog import Catalog; assert Catalog.bundled()[3][9].units == '/100'"
    benchmark.pedantic(subprocess.check_call, ([sys.executable, "-c", program],), rounds=5, warmup_rounds=1)


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
