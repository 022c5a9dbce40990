"""``lwm2m bench`` hands over to the benchmarks of a checkout, and says when there is none."""

import sys

import pytest
from click.testing import CliRunner

from lwm2m_server.cli import bench
from lwm2m_server.cli.main import lwm2m


def test_it_is_the_benchmarks_command_line(capfd):
    result = CliRunner().invoke(lwm2m, ["bench", "--help"])
    shown = capfd.readouterr().out
    assert result.exit_code == 0
    for word in ("update-many", "update-power-safe", "aiocoap-notify", "--rounds"):
        assert word in shown


def test_its_exit_code_counts(capfd):
    assert CliRunner().invoke(lwm2m, ["bench", "updaet", "--rounds", "1"]).exit_code == 2
    assert "updaet" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a command for Linux")
def test_without_a_checkout_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench.lwm2m_server, "__file__", str(tmp_path / "a/b/c.py"))
    result = CliRunner().invoke(lwm2m, ["bench"])
    assert result.exit_code == 1
    assert "needs a checkout" in result.output
