"""``lwm2m bench``: how fast the server is on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

import lwm2m_server
from lwm2m_engine.errors import SettingsError

SCRIPT = Path("tests/benchmarks/serverload.py")


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", metavar="[CASE|OPTION]...", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure the server under load, over loopback.

    Needs a checkout: the benchmarks are among the tests, and are no part of the package. `--help` lists
    cases and options; without a case all are measured but the long soak.
    """
    command = [sys.executable, str(_script()), *arguments]
    raise SystemExit(subprocess.run(command, check=False).returncode)  # noqa: S603


def _script() -> Path:
    """In the checkout this program runs from, else in the one it is called in."""
    checkout = Path(lwm2m_server.__file__).parents[2]
    for script in (checkout / SCRIPT, SCRIPT):
        if script.is_file():
            return script
    raise SettingsError(f"lwm2m bench needs a checkout: there is no {SCRIPT} here")
