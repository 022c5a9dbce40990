"""The distribution as people get it: each way of installing, in a virtual environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SOURCES = ("lwm2m_engine", "server", "plugins", "models", "tests", "docs", ".ci")
FILES = ("pyproject.toml", "README.md", "LICENSE")


@attrs.frozen
class Environment:
    """A clean virtual environment with one way of installing."""

    folder: Path

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment somewhere else than the checkout."""
        program = str(self.folder / "bin" / command[0])
        done = subprocess.run(
            [program, *command[1:]], cwd=self.folder, env=clean(), capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def installed(self) -> set[str]:
        """Names of the installed distributions."""
        script = "from importlib.metadata import distributions as d; print(*(x.name.lower() for x in d()))"
        return set(self.run("python", "-c", script).stdout.split())


def clean() -> dict[str, str]:
    """The environment without what would let the checkout shine through."""
    return {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LWM2M_", "COV_"))
    }


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, and the wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean(), timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def environments(
    built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Environment]:
    """Every way of installing, made at the same time."""
    sdist, wheel = built
    ways = {
        "library": [str(wheel)],
        "cli": [f"{wheel}[cli]"],
        "server": [f"{wheel}[server]"],
        "editable": ["-e", str(unpacked(sdist, tmp_path_factory.mktemp("checkout")))],
    }
    folders = {name: tmp_path_factory.mktemp(name) for name in ways}
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda name: install(folders[name], ways[name]), ways))
    return {name: Environment(folder) for name, folder in folders.items()}


def unpacked(sdist: Path, folder: Path) -> Path:
    """The sdist as a source tree, which is what a checkout looks like."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    return next(folder.iterdir())


def install(folder: Path, requirements: list[str]) -> None:
    venv.create(folder, with_pip=False, symlinks=True)
    # Compiling is most of the work, and would be for modules that are never imported.
    flags = ["--python", str(folder / "bin" / "python"), "install", "-q", "--no-compile"]
    command = [sys.executable, "-m", "pip", *flags, *requirements]
    done = subprocess.run(command, capture_output=True, text=True, env=clean(), timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_three_packages_and_the_registry(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    models = [name for name in names if name.startswith("lwm2m_engine/_models/")]

    assert tops == {"lwm2m_engine", "lwm2m_server", "lwm2m_plugins"}
    assert len([name for name in models if name.endswith(".xml")]) == len(
        list((ROOT / "models/xml").glob("*.xml"))
    )
    assert {f"{top}/py.typed" for top in tops} <= set(names)


def test_the_wheel_holds_what_the_console_shows(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if name.startswith("lwm2m_server/console/")}
    server = ROOT / "server"
    files = [path for path in (server / "lwm2m_server/console").rglob("*") if path.is_file()]
    assert names == {path.relative_to(server).as_posix() for path in files if "__pycache__" not in path.parts}
    assert "lwm2m_server/console/static/vendor/htmx.min.js" in names


def test_the_sdist_holds_everything_a_checkout_has(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    expected = {
        str(path.relative_to(ROOT))
        for source in SOURCES
        for path in (ROOT / source).rglob("*.py")
        if "node_modules" not in path.parts
    }
    assert expected | set(FILES) | {".ci/run"} <= names


def test_the_library_alone(environments: Mapping[str, Environment]) -> None:
    library = environments["library"]
    script = (
        "from lwm2m_engine import Catalog; print(Catalog.bundled()[3].name, len(list(Catalog.bundled())))"
    )

    assert library.installed() == {"lwm2m-engine", "attrs", "cbor2", "lxml", "pluggy"}
    assert library.run("python", "-c", script).stdout.startswith("Device 3")
    for command, extra in (("decode", "cli"), ("serve", "server")):
        assert f"pip install 'lwm2m-engine[{extra}]'" in library.run("lwm2m", command, code=2).stderr


def test_an_editable_install_reads_the_models_of_its_checkout(
    environments: Mapping[str, Environment],
) -> None:
    script = "from lwm2m_engine import Catalog; print(Catalog.bundled()[3].source)"
    source = Path(environments["editable"].run("python", "-c", script).stdout.strip())
    assert source.parts[-3:-1] == ("models", "xml")


def test_the_cli_extra(environments: Mapping[str, Environment]) -> None:
    cli = environments["cli"]
    assert not cli.installed() & {"starlette", "aiocoap", "tinydb", "granian"}

    decoded = cli.run("lwm2m", "decode", "--format", "tlv", "--path", "/3/0", "--hex", "c10948", "--json")
    assert [(row["path"], row["value"]) for row in json.loads(decoded.stdout)] == [("/3/0/9", 72)]
    (cli.folder / "in.json").write_text(decoded.stdout)
    encoded = cli.run(
        "lwm2m", "encode", "--format", "tlv", "--path", "/3/0", "--json-input", "in.json", "--hex"
    )
    assert encoded.stdout.strip().lower() == "c10948"
    assert "Device" in cli.run("lwm2m", "models", "show", "3").stdout
    assert "onem2m_device" in cli.run("lwm2m", "plugins", "list").stdout
    assert "pip install 'lwm2m-engine[server]'" in cli.run("lwm2m", "serve", code=2).stderr


def test_the_server_extra_starts_and_stops(environments: Mapping[str, Environment]) -> None:
    with serving(environments["server"]) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        assert addresses["coap"].startswith("127.0.0.1:")
        assert addresses["http"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def serving(environment: Environment) -> subprocess.Popen[str]:
    program = str(environment.folder / "bin" / "lwm2m")
    return subprocess.Popen(
        [program, "serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", "data"],
        cwd=environment.folder,
        env=clean(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
