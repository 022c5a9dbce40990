from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
absent, sys.argv = sys.argv[1], ["lwm2m", *sys.argv[2:]]
if absent:
    sys.modules[absent] = None
from lwm2m_server.launcher import main
sys.exit(main())
"""


def run(absent: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a process in which the package ``absent`` cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, absent, *arguments], capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    ("absent", "arguments", "extra"),
    [
        ("click", ("decode", "--help"), "cli"),
        ("click", ("models", "list"), "cli"),
        ("click", ("serve",), "server"),
        ("click", (), "server"),
        ("typed_settings", ("serve",), "server"),
        ("typed_settings", ("config", "show"), "server"),
        ("starlette", ("serve",), "server"),
        ("aiocoap", ("demo",), "server"),
    ],
)
def test_an_absent_dependency_is_named_with_what_to_install(
    absent: str, arguments: tuple[str, ...], extra: str
) -> None:
    done = run(absent, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert repr(absent) in done.stderr
    assert f"pip install 'lwm2m-engine[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_offline_commands_run_without_the_server_extra() -> None:
    assert run("starlette", "models", "--help").returncode == 0


def test_help_and_version_import_no_subcommand() -> None:
    for flag in ("--help", "--version"):
        done = run("typed_settings", flag)
        assert (done.returncode, done.stderr) == (0, "")


def test_an_unknown_command_is_a_usage_error() -> None:
    done = run("", "srve")
    assert done.returncode == 2
    assert "No such command 'srve'" in done.stderr
