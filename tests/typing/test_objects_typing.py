"""Type checkers know the attributes of typed objects: the sample beside this is checked, not imported."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lwm2m_server.cli.main import lwm2m

pytest.importorskip("mypy")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mypy")]

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Exit code and output of mypy. The tests share its cache, hence a worker."""
    cache = tmp_path_factory.mktemp("mypy")

    def check(file):
        command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), file.name]
        done = subprocess.run(command, capture_output=True, text=True, cwd=file.parent)
        return done.returncode, done.stdout.splitlines()

    return check


def test_the_marked_lines_of_the_sample_are_its_mistakes(check, tmp_path):
    source = (HERE / "objects_sample.py").read_text(encoding="utf-8")
    sample = tmp_path / "mistakes.py"
    sample.write_text(source.replace("# type: ignore", "# was: ignore"), encoding="utf-8")
    code, lines = check(sample)
    assert code == 1
    marked = {number for number, line in enumerate(source.splitlines(), 1) if "# type: ignore" in line}
    assert {int(line.split(":")[1]) for line in lines if ": error:" in line} == marked


def test_stubs_of_a_folder(check, tmp_path, monkeypatch):
    (tmp_path / "xml").mkdir()
    (tmp_path / "xml" / "tank.xml").write_text(
        "<LWM2M><Object><Name>Tank</Name><ObjectID>33333</ObjectID><Resources>"
        "<Item ID='1'><Name>Level</Name><Type>Float</Type></Item></Resources></Object></LWM2M>"
    )
    (tmp_path / "sample.py").write_text(
        "from typing import assert_type\n"
        "from my_objects import Tank, Tank_1_0\n"
        "assert_type(Tank(level=0.5).level, float | None)\n"
        "Tank_1_0(level='high')\n"
    )
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(lwm2m, ["models", "stubs", "xml", "--to", "my_objects.py"]).exit_code == 0
    code, lines = check(tmp_path / "sample.py")
    assert code == 1
    assert lines[0].startswith('sample.py:4: error: Argument "level" to "Tank" has incompatible type "str"')
