"""``lwm2m completion``, and what a shell then asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from lwm2m_server.cli.main import COMMANDS, lwm2m


def completed(*words: str) -> list[str]:
    """The words a shell offers in place of the last one."""
    *before, incomplete = words
    shell = ShellComplete(lwm2m, {}, "lwm2m", "_LWM2M_COMPLETE")
    return [item.value for item in shell.get_completions(list(before), incomplete)]


@pytest.mark.parametrize(
    ("shell", "mark"), [("bash", "complete -o"), ("zsh", "#compdef lwm2m"), ("fish", "--command lwm2m")]
)
def test_scripts(shell: str, mark: str) -> None:
    result = CliRunner().invoke(lwm2m, ["completion", shell])
    assert result.exit_code == 0
    assert mark in result.stdout
    assert "_LWM2M_COMPLETE" in result.stdout


def test_a_shell_we_do_not_know() -> None:
    result = CliRunner().invoke(lwm2m, ["completion", "tcsh"])
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("",), list(COMMANDS)),
        (("de",), ["demo", "devices", "desired", "deliveries", "delete", "decode"]),
        (("--v",), ["--version"]),
        (
            ("decode", "--format", "senml-"),
            ["senml-json", "senml-cbor", "senml-etch-json", "senml-etch-cbor"],
        ),
        (("encode", "--format", "115"), ["11542", "11543", "11544"]),
        (("convert", "--to", "T"), ["text", "tlv"]),
        (
            ("decode", "--path", "/1024"),
            ["/10241", "/10242", "/10243", "/10244", "/10245", "/10246", "/10247"],
        ),
        (("decode", "--path", "/3/"), []),
        # A word before that is wrong does not stop it.
        (("decode", "--path", "/nowhere", "--format", "tl"), ["tlv"]),
        (("models", "show", "1024"), ["10241", "10242"]),
        (("models", "which", "334"), ["3340", "3341"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
    ],
)
def test_what_is_offered(words: tuple[str, ...], offered: list[str]) -> None:
    found = completed(*words)
    assert found[: len(offered)] == offered
    assert (found == []) == (offered == [])


def test_paths_start_with_the_smallest_object() -> None:
    assert completed("decode", "--path", "")[:4] == ["/0", "/1", "/2", "/3"]


@pytest.mark.parametrize("words", ["lwm2m ", "lwm2m decode --format "])
def test_completing_imports_nothing_heavy(words: str) -> None:
    script = (
        "import sys; from lwm2m_server.cli.main import lwm2m\n"
        "try: lwm2m.main(prog_name='lwm2m')\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ
        | {"_LWM2M_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert "decode" in done.stdout or "tlv" in done.stdout
    heavy = {
        "lxml",
        "cbor2",
        "rich",
        "attrs",
        "asyncio",
        "aiocoap",
        "lwm2m_engine.codecs",
        "lwm2m_engine.model",
    }
    assert not heavy & set(done.stderr.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(lwm2m, ["completion", "bash"]).stdout
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{script}\ncomplete -p lwm2m"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert done.stdout.startswith("complete ")
